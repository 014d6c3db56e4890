using Mesh.Proxy.Balance;

namespace Mesh.Proxy.Tests.Balance;

public sealed class PeakEwmaTests
{
    private const double Decay = 10_000;

    [Fact]
    public void Nothing_known_reads_as_the_default()
    {
        Assert.Equal((30, 10_000), (LoadParameters.Default.DefaultLatency, LoadParameters.Default.Decay));
        Assert.Equal(30, new PeakEwma(30, 500).Read(500, Decay));
    }

    [Fact]
    public void A_peak_is_believed_at_once()
    {
        var latency = new PeakEwma(30, 0);
        latency.Observe(400, 1, Decay);
        Assert.Equal(400, latency.Read(1, Decay));
    }

    [Fact]
    public void Better_news_is_believed_by_the_time_that_has_passed()
    {
        var latency = new PeakEwma(100, 0);
        latency.Observe(20, 10_000, Decay);
        Assert.Equal(100 / Math.E + 20 * (1 - 1 / Math.E), latency.Read(10_000, Decay), 9);
        // At the same moment it says nothing new.
        latency = new PeakEwma(100, 0);
        latency.Observe(20, 0, Decay);
        Assert.Equal(100, latency.Read(0, Decay));
    }

    [Fact]
    public void Without_news_it_falls_by_one_e_in_each_decay_and_not_below_the_clock()
    {
        var latency = new PeakEwma(1000, 0);
        Assert.Equal(1000 / Math.E, latency.Read(10_000, Decay), 9);
        Assert.Equal(1000 / (Math.E * Math.E), latency.Read(20_000, Decay), 9);
        Assert.Equal(1, latency.Read(1_000_000, Decay));
    }

    [Fact]
    public void It_stays_between_the_least_and_the_worst_that_was_seen_whatever_comes()
    {
        var random = new Random(5);
        for (var round = 0; round < 500; round++)
        {
            long now = random.Next(1_000_000);
            double worst = random.Next(1, 100);
            var latency = new PeakEwma(worst, now);
            for (var i = 0; i < 50; i++)
            {
                // The clock may stand still, and a request may end in the turn in which another began.
                now += random.Next(3) == 0 ? 0 : random.Next(5_000);
                var seen = random.NextDouble() * 500;
                worst = Math.Max(worst, seen);
                latency.Observe(seen, now - random.Next(2), Decay);
                Assert.InRange(latency.Read(now, Decay), 1, worst);
                Assert.True(latency.Read(now + 1_000, Decay) <= latency.Read(now, Decay));
            }
        }
    }
}
