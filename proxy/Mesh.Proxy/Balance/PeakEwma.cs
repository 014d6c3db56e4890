namespace Mesh.Proxy.Balance;

/// <summary>How the latency of endpoints is estimated. In milliseconds.</summary>
/// <param name="DefaultLatency">Of an endpoint that nothing is known of yet.</param>
/// <param name="Decay">In this time what was seen loses all but 1/e of its weight. At least 1.</param>
internal sealed record LoadParameters(double DefaultLatency, double Decay)
{
    /// <summary>Linkerd's: 30 ms, 10 s.</summary>
    public static LoadParameters Default { get; } = new(30, 10_000);
}

/// <summary>
/// A moving average of latency that believes bad news at once and good news slowly, as Finagle's and Linkerd's do. With <c>w = exp(-elapsed / decay)</c>
/// a latency above the estimate replaces it, and one below gives <c>estimate * w + latency * (1 - w)</c>. Asked without news it reads
/// <c>estimate * w</c>: it falls towards nothing, so that an endpoint once slow, to which nobody goes any more, is tried again.
/// </summary>
internal struct PeakEwma(double latency, long now)
{
    // The loop's clock has no finer step. Below it estimates differ by rounding only, and what is under way must decide.
    private const double Least = 1;

    private double _estimate = latency;
    private long _at = now;

    /// <summary>Milliseconds, at least 1.</summary>
    public readonly double Read(long now, double decay) => Math.Max(Least, _estimate * Weight(now, decay));

    public void Observe(double latency, long now, double decay)
    {
        var weight = Weight(now, decay);
        _estimate = latency >= _estimate ? latency : _estimate * weight + latency * (1 - weight);
        _at = Math.Max(_at, now);
    }

    private readonly double Weight(long now, double decay) => now <= _at ? 1 : Math.Exp((_at - now) / decay);
}
