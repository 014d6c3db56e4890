using Mesh.Proxy.Native;

namespace Mesh.Proxy.Tests.Native;

public sealed class TimerWheelTests : IDisposable
{
    private readonly EventLoop _loop = new(TimeProvider.System, new EventLoopOptions());

    public void Dispose() => _loop.Dispose();

    private LoopTimer At(TimerWheel wheel, long deadline, List<(long Deadline, long Fired)> log)
    {
        var timer = new LoopTimer(_loop, _ => log.Add((deadline, wheel.Time)), null) { Deadline = deadline };
        wheel.Insert(timer);
        return timer;
    }

    [Theory]
    [InlineData(1)]
    [InlineData(1023)]
    [InlineData(1024)]
    [InlineData(1025)]
    [InlineData(5000)]
    [InlineData(1_048_575)] // the last millisecond the far wheel reaches
    [InlineData(1_048_576)]
    [InlineData(10_000_000)] // beyond both wheels
    public void Fires_at_its_millisecond_whatever_the_distance(long deadline)
    {
        var log = new List<(long, long)>();
        var wheel = new TimerWheel(0);
        At(wheel, deadline, log);
        while (wheel.Count > 0)
        {
            long step = wheel.UntilNext(wheel.Time);
            Assert.InRange(step, 1, long.MaxValue);
            wheel.Advance(wheel.Time + step);
        }

        Assert.Equal([(deadline, deadline)], log);
    }

    [Fact]
    public void Fires_many_in_order_under_random_steps_of_the_clock()
    {
        var random = new Random(42);
        var log = new List<(long Deadline, long Fired)>();
        var wheel = new TimerWheel(0);
        for (int i = 0; i < 5000; i++) At(wheel, random.NextInt64(1, 3_000_000), log);
        for (long now = 0; wheel.Count > 0; now += random.NextInt64(1, 4000)) wheel.Advance(now);
        Assert.Equal(5000, log.Count);
        Assert.All(log, entry => Assert.Equal(entry.Deadline, entry.Fired));
        Assert.Equal(log.Select(e => e.Deadline).Order(), log.Select(e => e.Deadline));
    }

    [Fact]
    public void A_removed_timer_never_fires_and_leaves_nothing()
    {
        var log = new List<(long, long)>();
        var wheel = new TimerWheel(0);
        LoopTimer[] timers = [.. new long[] { 5, 5, 5, 5000, 5000, 5000 }.Select(d => At(wheel, d, log))];
        wheel.Remove(timers[1]);
        wheel.Remove(timers[4]);
        wheel.Remove(timers[0]);
        wheel.Advance(10_000);
        Assert.Equal([(5L, 5L), (5000L, 5000L), (5000L, 5000L)], log);
        Assert.Equal(-1, wheel.UntilNext(10_000));
    }
}
