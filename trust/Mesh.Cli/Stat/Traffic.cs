using System.Globalization;

namespace Mesh.Cli.Stat;

/// <summary>What passed between a workload and one peer, in one direction.</summary>
/// <param name="Workload">Whose proxy counted.</param>
/// <param name="Peer">A SPIFFE ID, or why there is none.</param>
/// <param name="Target">The application's address (inbound), the authority (outbound).</param>
internal sealed record TrafficKey(string Workload, string Direction, string Peer, string Target);

/// <param name="Success">Of the responses, 0 to 1; null without any.</param>
/// <param name="PerSecond">Responses.</param>
/// <param name="P50">Milliseconds to the first byte; null without any.</param>
/// <param name="Connections">TCP connections open at the end.</param>
internal sealed record Traffic(TrafficKey Key, double? Success, double PerSecond, double? P50, double? P95, double? P99, long Connections);

/// <summary>Two readings of one proxy's page, some time apart, and what passed between them.</summary>
internal static class TrafficReading
{
    public static IReadOnlyList<Traffic> Between(string workload, IReadOnlyList<Sample> before, IReadOnlyList<Sample> after, TimeSpan elapsed)
    {
        var earlier = Totals(before);
        var rows = new SortedDictionary<TrafficKey, Sums>(KeyOrder);
        foreach (var (series, value) in Totals(after))
        {
            // A counter that is lower than it was began again: the proxy was restarted.
            var grown = earlier.TryGetValue(series, out var start) && start <= value ? value - start : value;
            Row(series.Labels).Add(series, grown);
        }

        foreach (var sample in after.Where(s => s.Name == "tcp_open_connections" && s.Label("peer") == (s.Label("direction") == "inbound" ? "src" : "dst")))
            Row(Labels.Of(sample)).Connections += (long)sample.Value;
        return [.. rows.Where(r => r.Value.Responses > 0 || r.Value.Connections > 0).Select(r => r.Value.Traffic(r.Key, elapsed))];

        Sums Row(Labels labels)
        {
            var key = new TrafficKey(workload, labels.Direction, labels.Peer, labels.Target);
            return rows.TryGetValue(key, out var sums) ? sums : rows[key] = new Sums();
        }
    }

    /// <summary>Who the page is of, by its own word.</summary>
    public static string? Workload(IReadOnlyList<Sample> page) => page.FirstOrDefault(s => s.Name == "mesh_proxy_identity_info")?.Label("id");

    private static Dictionary<Series, double> Totals(IReadOnlyList<Sample> page)
    {
        var totals = new Dictionary<Series, double>();
        foreach (var sample in page)
        {
            Series? series = sample.Name switch
            {
                "response_total" => new Series(Labels.Of(sample), sample.Label("classification") == "success" ? Kind.Success : Kind.Failure, 0),
                "response_latency_ms_bucket" when Bound(sample.Label("le")) is { } bound => new Series(Labels.Of(sample), Kind.Bucket, bound),
                _ => null,
            };
            if (series is not null && double.IsFinite(sample.Value)) totals[series] = totals.GetValueOrDefault(series) + sample.Value;
        }

        return totals;
    }

    private static double? Bound(string? le) =>
        le == "+Inf" ? double.PositiveInfinity : double.TryParse(le, NumberStyles.Float, CultureInfo.InvariantCulture, out var bound) ? bound : null;

    private static readonly Comparer<TrafficKey> KeyOrder = Comparer<TrafficKey>.Create((a, b) =>
        (string.CompareOrdinal(a.Workload, b.Workload), string.CompareOrdinal(a.Direction, b.Direction), string.CompareOrdinal(a.Peer, b.Peer), string.CompareOrdinal(a.Target, b.Target))
        switch
        {
            ( not 0 and var w, _, _, _) => w,
            (_, not 0 and var d, _, _) => d,
            (_, _, not 0 and var p, _) => p,
            var (_, _, _, t) => t,
        });

    private enum Kind
    {
        Success,
        Failure,
        Bucket,
    }

    private sealed record Series(Labels Labels, Kind Kind, double Bound);

    private sealed record Labels(string Direction, string Peer, string Target)
    {
        public static Labels Of(Sample sample) => new(
            sample.Label("direction") ?? "",
            sample.Label("client_id") ?? sample.Label("server_id") ?? sample.Label("no_tls_reason") ?? (sample.Label("tls") == "opaque" ? "tls of its own" : "unknown"),
            sample.Label("target_addr") ?? sample.Label("authority") ?? "");
    }

    private sealed class Sums
    {
        private readonly SortedDictionary<double, double> _buckets = [];
        private double _success;
        private double _failure;

        public double Responses => _success + _failure;

        public long Connections { get; set; }

        public void Add(Series series, double grown)
        {
            if (series.Kind == Kind.Success) _success += grown;
            else if (series.Kind == Kind.Failure) _failure += grown;
            else _buckets[series.Bound] = _buckets.GetValueOrDefault(series.Bound) + grown;
        }

        public Traffic Traffic(TrafficKey key, TimeSpan elapsed) => new(
            key, Responses > 0 ? _success / Responses : null, Responses / elapsed.TotalSeconds,
            Quantile.Of(_buckets, 0.5), Quantile.Of(_buckets, 0.95), Quantile.Of(_buckets, 0.99), Connections);
    }
}

/// <summary>Estimates from the buckets of a histogram, as Prometheus' <c>histogram_quantile</c> does.</summary>
internal static class Quantile
{
    /// <param name="buckets">Counts up to each bound, cumulative; the last bound is infinity.</param>
    /// <returns>Null when nothing was counted. The last finite bound when the quantile lies beyond it.</returns>
    public static double? Of(SortedDictionary<double, double> buckets, double quantile)
    {
        if (buckets.Count == 0 || buckets.Values.Max() is var total && total <= 0) return null;
        var rank = quantile * total;
        var (lower, below) = (0.0, 0.0);
        foreach (var (bound, count) in buckets)
        {
            if (count >= rank)
            {
                if (double.IsPositiveInfinity(bound)) return lower;
                return count > below ? lower + (bound - lower) * (rank - below) / (count - below) : bound;
            }

            (lower, below) = (bound, count);
        }

        return lower;
    }
}
