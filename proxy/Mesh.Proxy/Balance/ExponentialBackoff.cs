namespace Mesh.Proxy.Balance;

/// <summary>How long to wait after failures in a row: <c>Min</c> doubled for each, at most <c>Max</c>, with up to <c>Jitter</c> of that added by chance. In milliseconds.</summary>
internal sealed record ExponentialBackoff
{
    private const long Longest = 24 * 60 * 60 * 1000L;

    private ExponentialBackoff(long min, long max, double jitter) => (Min, Max, Jitter) = (min, max, jitter);

    /// <summary>Linkerd's for endpoints that fail: 1 s to 60 s, half as much again by chance.</summary>
    public static ExponentialBackoff Default { get; } = new(1_000, 60_000, 0.5);

    public long Min { get; }

    public long Max { get; }

    public double Jitter { get; }

    /// <summary>Null when these are no bounds: negative, the wrong way round, nothing at all, longer than a day, or a jitter that is not in 0..100.</summary>
    public static ExponentialBackoff? Create(long min, long max, double jitter) =>
        min >= 0 && max >= Math.Max(1, min) && max <= Longest && jitter is >= 0 and <= 100 ? new ExponentialBackoff(min, max, jitter) : null;

    /// <summary>The wait after <paramref name="attempts"/> have failed in a row, counted from 1. Never more than <see cref="Max"/>.</summary>
    public long After(int attempts, Random random)
    {
        var step = Math.Min(Max, Min * Math.Pow(2, Math.Min(attempts - 1, 40)));
        return (long)Math.Min(Max, step + step * Jitter * random.NextDouble());
    }
}
