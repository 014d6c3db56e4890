using System.Globalization;

namespace Mesh.Proxy.Metrics;

/// <summary>The bounds of a histogram's buckets, and the unit in which they are shown.</summary>
internal sealed class LatencyBuckets
{
    private readonly long[] _upper;

    private LatencyBuckets(long unit, params double[] bounds)
    {
        Unit = unit;
        _upper = [.. bounds.Select(b => (long)(b * unit))];
        Labels = [.. bounds.Select(b => b.ToString(CultureInfo.InvariantCulture)), "+Inf"];
    }

    /// <summary>In seconds, as Prometheus recommends; for what only we have.</summary>
    public static LatencyBuckets Seconds { get; } = new(1_000_000, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10);

    /// <summary>Linkerd's, in milliseconds.</summary>
    public static LatencyBuckets Milliseconds { get; } = new(
        1_000, 1, 2, 3, 4, 5, 10, 20, 30, 40, 50, 100, 200, 300, 400, 500, 1_000, 2_000, 3_000, 4_000, 5_000, 10_000, 20_000, 30_000, 40_000, 50_000);

    /// <summary>Microseconds in one unit of the page.</summary>
    public long Unit { get; }

    /// <summary>Values of the <c>le</c> label; the last is infinity.</summary>
    public string[] Labels { get; }

    /// <summary>The bucket of a duration in microseconds; a bound belongs to its own bucket.</summary>
    public int Find(long microseconds)
    {
        var bucket = 0;
        while (bucket < _upper.Length && microseconds > _upper[bucket]) bucket++;
        return bucket;
    }
}

/// <summary>Counts durations into fixed buckets. Written by one loop; read by a scrape at any time, which may see a sample in one number and not yet in another.</summary>
internal sealed class LatencyHistogram(LatencyBuckets buckets)
{
    private readonly long[] _counts = new long[buckets.Labels.Length];
    private long _microseconds;

    public LatencyBuckets Buckets => buckets;

    /// <summary>In the unit of the buckets.</summary>
    public double Sum => Volatile.Read(ref _microseconds) / (double)buckets.Unit;

    public void Record(TimeSpan elapsed) => Record((long)elapsed.TotalMicroseconds);

    public void Record(long microseconds)
    {
        _counts[buckets.Find(microseconds)]++;
        _microseconds += microseconds;
    }

    public long CountAt(int bucket) => Volatile.Read(ref _counts[bucket]);
}
