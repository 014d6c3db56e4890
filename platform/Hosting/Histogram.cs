namespace Mesh.Hosting;

/// <summary>A histogram of durations with fixed bounds; recording takes no lock and allocates nothing.</summary>
internal sealed class Histogram
{
    // From a JWKS check (tens of microseconds) to a TokenReview of a struggling API server (seconds).
    private static readonly double[] BoundsInSeconds = [0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10];

    private readonly long[] _buckets = new long[BoundsInSeconds.Length + 1];
    private long _ticks;

    public void Record(TimeSpan duration)
    {
        var seconds = duration.TotalSeconds;
        var bucket = 0;
        while (bucket < BoundsInSeconds.Length && seconds > BoundsInSeconds[bucket]) bucket++;
        Interlocked.Increment(ref _buckets[bucket]);
        Interlocked.Add(ref _ticks, duration.Ticks);
    }

    public void WriteTo(PrometheusText text, string name, string help)
    {
        text.Header(name, help, "histogram");
        var count = 0L;
        for (var i = 0; i < _buckets.Length; i++)
        {
            count += Interlocked.Read(ref _buckets[i]);
            var bound = i < BoundsInSeconds.Length ? BoundsInSeconds[i] : double.PositiveInfinity;
            text.Sample(name + "_bucket", count, ("le", PrometheusText.Number(bound)));
        }

        text.Sample(name + "_sum", new TimeSpan(Interlocked.Read(ref _ticks)).TotalSeconds);
        text.Sample(name + "_count", count);
    }
}
