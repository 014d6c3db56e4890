using Mesh.Identity.Bundles;
using Mesh.Identity.Metrics;
using Mesh.Spiffe;

namespace Mesh.Identity.Hosting;

/// <summary>What the service says about itself: the conditions of readiness, and the metrics that are read from state rather than counted.</summary>
internal sealed partial class IdentityServer
{
    private ReadinessReason? IsStopping(DateTimeOffset now) =>
        _stopping.IsCancellationRequested ? new ReadinessReason("stopping", "The service is stopping.") : null;

    private ReadinessReason? IssuerUsable(DateTimeOffset now) =>
        _issuers.Current.IsUsable(now, out var why) ? null : new ReadinessReason("issuer", $"{why!.Sentence} {why.Remedy}".TrimEnd());

    private ReadinessReason? AnchorsLoaded(DateTimeOffset now) =>
        _anchors.Current.Bundle is null ? new ReadinessReason("anchors", _anchors.Current.Problem?.Sentence ?? "No trust anchors are loaded.") : null;

    private ReadinessReason? TokensJudged(DateTimeOffset now) =>
        _tokens.Validator.NotReadyReason is { } reason ? new ReadinessReason("tokens", reason) : null;

    private ReadinessReason? OwnCertificateValid(DateTimeOffset now) =>
        Own.IsValid(now) ? null : new ReadinessReason("own_certificate", "The service has no valid certificate for its own TLS port.");

    private void WriteMetrics(PrometheusText text, DateTimeOffset now)
    {
        text.Gauge("mesh_identity_ready", "1 while the service can issue.", Readiness.Judge(now).IsEmpty ? 1 : 0);
        Metrics.WriteTo(text);
        WriteIssuer(text, now);
        WriteAnchors(text, now);
        WriteStreams(text);
        text.Counter("mesh_identity_connections_refused_total", "Connections closed before TLS because their source address had too many.", _sources.Refused);
        ProcessMetrics.WriteTo(text);
    }

    private void WriteIssuer(PrometheusText text, DateTimeOffset now)
    {
        const string reloads = "mesh_identity_issuer_reloads_total";
        text.Header(reloads, "Changes of the issuer's files, by what became of them.", "counter");
        text.Sample(reloads, _issuers.Accepted, ("result", "accepted"));
        text.Sample(reloads, _issuers.Refused, ("result", "refused"));
        if (_issuers.Current.Issuer is not { } issuer) return;
        text.Gauge("mesh_identity_issuer_expiry_timestamp_seconds", "When the issuer, or one above it, expires. Unix time.", issuer.NotAfter.ToUnixTimeSeconds());
        text.Gauge("mesh_identity_issuer_ttl_seconds", "What is left of the issuer's life.", Math.Max(0, Math.Floor((issuer.NotAfter - now).TotalSeconds)));
        if (Own.Current is { } own)
            text.Gauge("mesh_identity_own_certificate_expiry_timestamp_seconds", "When the service's own TLS certificate expires. Unix time.", own.Leaf.NotAfter.ToUnixTimeSeconds());
    }

    private void WriteAnchors(PrometheusText text, DateTimeOffset now)
    {
        if (Feed.Current is not { } edition) return;
        text.Gauge("mesh_identity_anchors", "Trust anchors in force.", edition.Bundle.X509Authorities.Length);
        text.Gauge("mesh_identity_bundle_sequence", "Sequence of the bundle in force.", edition.Sequence);
        text.Counter("mesh_identity_bundle_editions_total", "Bundles put in force, each encoded once.", Feed.Editions);
        if (edition.Bundle.X509Authorities.IsEmpty) return;
        var earliest = edition.Bundle.X509Authorities.Min(anchor => anchor.NotAfter);
        text.Gauge("mesh_identity_anchor_expiry_timestamp_seconds", "When the first of the trust anchors expires. Unix time.", earliest.ToUnixTimeSeconds());
        text.Gauge("mesh_identity_anchor_ttl_seconds", "What is left of the life of the trust anchor that ends first.", Math.Max(0, Math.Floor((earliest - now).TotalSeconds)));
    }

    private void WriteStreams(PrometheusText text)
    {
        const string streams = "mesh_identity_bundle_streams";
        var counts = Streams.CountByState(Feed.Current?.Sequence ?? 0);
        text.Header(streams, "Open bundle streams by what they hold against the bundle in force.", "gauge");
        foreach (var state in HoldingStates.All) text.Sample(streams, counts[(int)state], ("state", state.Label()));
    }
}
