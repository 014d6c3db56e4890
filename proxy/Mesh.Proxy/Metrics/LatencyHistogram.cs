namespace Mesh.Proxy.Metrics;

/// <summary>Counts durations into fixed buckets. Written by one loop; read by a scrape at any time, which may see a sample in one number and not yet in another.</summary>
internal sealed class LatencyHistogram
{
    private readonly long[] _counts = new long[UpperBounds.Length + 1];
    private long _sumTicks;

    /// <summary>Seconds, inclusive.</summary>
    public static ReadOnlySpan<double> UpperBounds => [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10];

    public TimeSpan Sum => TimeSpan.FromTicks(Volatile.Read(ref _sumTicks));

    public void Record(TimeSpan elapsed)
    {
        var seconds = elapsed.TotalSeconds;
        var bucket = 0;
        while (bucket < UpperBounds.Length && seconds > UpperBounds[bucket]) bucket++;
        _counts[bucket]++;
        _sumTicks += elapsed.Ticks;
    }

    public long CountAt(int bucket) => Volatile.Read(ref _counts[bucket]);
}
