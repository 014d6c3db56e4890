using Mesh.Proxy.Metrics;

namespace Mesh.Proxy.Tests.Metrics;

public sealed class PrometheusTextTests
{
    [Fact]
    public void Writes_families_with_help_type_and_samples()
    {
        var page = new PrometheusText();
        page.Counter("tcp_open_total", "Connections opened.");
        page.Sample(3, ("direction", "inbound"), ("absent", ""));
        page.Sample(1.5);
        Assert.Equal(
            "# HELP tcp_open_total Connections opened.\n# TYPE tcp_open_total counter\ntcp_open_total{direction=\"inbound\"} 3\ntcp_open_total 1.5\n",
            page.ToString());
    }

    [Fact]
    public void Label_values_are_escaped()
    {
        var page = new PrometheusText();
        page.Gauge("a", "b");
        page.Sample(1, ("sni", "x\"y\\z\nw"));
        Assert.Contains("a{sni=\"x\\\"y\\\\z\\nw\"} 1\n", page.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void Histograms_are_cumulative_and_end_in_infinity()
    {
        var histogram = new LatencyHistogram(LatencyBuckets.Seconds);
        histogram.Record(TimeSpan.FromMilliseconds(1)); // a bound belongs to its own bucket
        histogram.Record(TimeSpan.FromMilliseconds(1.5));
        histogram.Record(TimeSpan.FromMinutes(1));
        var page = new PrometheusText();
        page.Histogram("h", "help");
        page.Sample(histogram, ("direction", "inbound"));
        var text = page.ToString();
        Assert.Contains("h_bucket{direction=\"inbound\",le=\"0.0005\"} 0\n", text, StringComparison.Ordinal);
        Assert.Contains("h_bucket{direction=\"inbound\",le=\"0.001\"} 1\n", text, StringComparison.Ordinal);
        Assert.Contains("h_bucket{direction=\"inbound\",le=\"10\"} 2\n", text, StringComparison.Ordinal);
        Assert.Contains("h_bucket{direction=\"inbound\",le=\"+Inf\"} 3\n", text, StringComparison.Ordinal);
        Assert.Contains("h_sum{direction=\"inbound\"} 60.0025\n", text, StringComparison.Ordinal);
        Assert.Contains("h_count{direction=\"inbound\"} 3\n", text, StringComparison.Ordinal);
    }

    [Fact]
    public void Process_figures_are_there()
    {
        var page = new PrometheusText();
        ProcessMetrics.WriteTo(page);
        Assert.Matches("process_open_fds [1-9]", page.ToString());
        Assert.Matches("process_resident_memory_bytes [1-9]", page.ToString());
        Assert.Matches("process_max_fds [1-9]", page.ToString());
    }
}
