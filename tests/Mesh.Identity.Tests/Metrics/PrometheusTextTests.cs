using Mesh.Identity.Issuance;
using Mesh.Identity.Metrics;
using Mesh.Identity.Tokens;

namespace Mesh.Identity.Tests.Metrics;

public sealed class PrometheusTextTests
{
    [Fact]
    public void A_sample_has_its_help_type_labels_and_value()
    {
        var text = new PrometheusText();
        text.Header("a_total", "What it counts.", "counter");
        text.Sample("a_total", 3, ("result", "issued"), ("reason", "none"));
        text.Gauge("b", "A moment.", double.PositiveInfinity);
        Assert.Equal("# HELP a_total What it counts.\n# TYPE a_total counter\na_total{result=\"issued\",reason=\"none\"} 3\n# HELP b A moment.\n# TYPE b gauge\nb +Inf\n", text.ToString());
    }

    [Fact]
    public void A_label_value_cannot_break_out()
    {
        var text = new PrometheusText();
        text.Sample("a", 1, ("l", "x\"} 9\n\\"));
        Assert.Equal("a{l=\"x\\\"} 9\\n\\\\\"} 1\n", text.ToString());
    }

    [Fact]
    public void A_histogram_is_cumulative_and_ends_with_infinity()
    {
        var histogram = new Histogram();
        histogram.Record(TimeSpan.FromMicroseconds(60));
        histogram.Record(TimeSpan.FromMilliseconds(3));
        histogram.Record(TimeSpan.FromMinutes(1));
        var text = new PrometheusText();
        histogram.WriteTo(text, "h", "H.");
        var lines = text.ToString().Split('\n');
        Assert.Contains("h_bucket{le=\"5E-05\"} 0", lines);
        Assert.Contains("h_bucket{le=\"0.0001\"} 1", lines);
        Assert.Contains("h_bucket{le=\"0.005\"} 2", lines);
        Assert.Contains("h_bucket{le=\"10\"} 2", lines);
        Assert.Contains("h_bucket{le=\"+Inf\"} 3", lines);
        Assert.Contains("h_count 3", lines);
    }

    [Fact]
    public void Every_reason_a_certificate_can_be_refused_for_has_its_own_series()
    {
        var metrics = new IdentityMetrics();
        metrics.Refused(CertifyFault.Token, TokenFault.Expired);
        metrics.Refused(CertifyFault.IdentityMismatch, TokenFault.None);
        metrics.Issued(TimeSpan.FromMilliseconds(1));
        var text = new PrometheusText();
        metrics.WriteTo(text);
        var series = text.ToString().Split('\n').Where(l => l.StartsWith("mesh_identity_certify_total{", StringComparison.Ordinal)).ToArray();
        Assert.Equal(series.Length, series.Select(l => l[..l.IndexOf('}')]).Distinct().Count());
        Assert.Equal(Enum.GetValues<CertifyFault>().Length + Enum.GetValues<TokenFault>().Length - 2, series.Length);
        Assert.Contains("mesh_identity_certify_total{result=\"refused\",reason=\"token_expired\"} 1", series);
        Assert.Contains("mesh_identity_certify_total{result=\"refused\",reason=\"identity_mismatch\"} 1", series);
        Assert.Contains("mesh_identity_certify_total{result=\"issued\",reason=\"none\"} 1", series);
    }
}
