using Mesh.Proxy.Logging;
using Mesh.Testing;

namespace Mesh.Proxy.Tests.Logging;

public sealed class LineLimitTests
{
    private readonly ManualTime _time = new();

    [Fact]
    public void A_burst_passes_and_then_one_in_each_period_that_says_how_many_were_kept_back()
    {
        var limit = new LineLimit(burst: 3, TimeSpan.FromSeconds(1), _time);
        Assert.Equal([0, 0, 0, null, null], Admit(limit, 5));
        _time.Advance(TimeSpan.FromMilliseconds(990));
        Assert.Equal([null], Admit(limit, 1));
        _time.Advance(TimeSpan.FromMilliseconds(20));
        Assert.Equal([3, null], Admit(limit, 2));
    }

    [Fact]
    public void Silence_gives_the_burst_back_and_no_more()
    {
        var limit = new LineLimit(burst: 2, TimeSpan.FromSeconds(1), _time);
        Admit(limit, 5);
        _time.Advance(TimeSpan.FromHours(1));
        Assert.Equal([3, 0, null], Admit(limit, 3));
    }

    private static long?[] Admit(LineLimit limit, int times) =>
        [.. Enumerable.Range(0, times).Select(_ => limit.Admit(out var leftOut) ? leftOut : (long?)null)];
}
