using Mesh.Proxy.Identity;
using Mesh.Proxy.Metrics;
using Mesh.Spiffe.Renewal;

namespace Mesh.Proxy.Control;

internal sealed partial class ControlPlane
{
    private static readonly RenewalFault[] Faults = [.. Enum.GetValues<RenewalFault>().Where(f => f != RenewalFault.None)];
    private static readonly BundleRefusal[] Refusals = [.. Enum.GetValues<BundleRefusal>().Where(r => r != BundleRefusal.None)];

    /// <summary>Writes the families of identity and discovery. The first three have Linkerd's names; unlike Linkerd's they count failed calls as well.</summary>
    public void WriteTo(PrometheusText page)
    {
        RenewalStatus status = Renewal.Status;
        page.Gauge("control_identity_cert_expiration_timestamp_seconds", "When the certificate in force expires, Unix time; 0 before the first.");
        page.Sample(Seconds(status.ExpiresAt));
        page.Gauge("control_identity_cert_refresh_timestamp_seconds", "When the certificate in force was obtained, Unix time; 0 before the first.");
        page.Sample(Seconds(status.RenewedAt));
        page.Counter("control_identity_cert_refreshes_total", "Attempts to obtain a certificate, by result and reason.");
        page.Sample(status.Renewals, ("result", "ok"));
        foreach (RenewalFault fault in Faults) page.Sample(Renewal.FailuresOf(fault), ("result", "error"), ("reason", fault.Label()));
        page.Gauge("mesh_proxy_identity_valid", "1 while a valid certificate is in force; at 0 mesh connections are refused.");
        page.Sample(Identity.Usable is null ? 0 : 1);
        page.Gauge("mesh_proxy_identity_next_attempt_timestamp_seconds", "When the next certificate is asked for, Unix time.");
        page.Sample(Seconds(status.NextAttemptAt));
        page.Gauge("mesh_proxy_identity_generation", "Changes of certificate or trust anchors since the start.");
        page.Sample(Identity.Current?.Generation ?? 0);

        page.Gauge("mesh_proxy_trust_bundle_sequence", "The trust bundle in force; 0 while it comes from the bootstrap file.");
        page.Sample(Identity.Trust.Sequence);
        page.Gauge("mesh_proxy_trust_bundle_anchors", "Trust anchors in force.");
        page.Sample(Identity.Trust.InForce?.X509Authorities.Length ?? 0);
        page.Gauge("mesh_proxy_trust_anchor_expiration_timestamp_seconds", "When the first of the trust anchors in force expires, Unix time.");
        page.Sample(Seconds(Identity.Trust.InForce?.X509Authorities.Select(a => (DateTimeOffset?)a.NotAfter).Min()));
        page.Counter("mesh_proxy_trust_bundle_refusals_total", "Pushed trust bundles that were not taken, by reason.");
        foreach (BundleRefusal refusal in Refusals) page.Sample(Identity.RefusalsOf(refusal), ("reason", refusal.Label()));
        page.Gauge("mesh_proxy_trust_stream_connected", "1 while the identity service pushes trust bundles.");
        page.Sample(Bundles.Connected ? 1 : 0);
        page.Counter("mesh_proxy_trust_streams_total", "Streams to the identity service that brought a bundle.");
        page.Sample(Bundles.Opened);

        if (Directory is null) return;
        page.Gauge("mesh_proxy_discovery_watches", "Authorities and addresses that discovery is asked about.");
        page.Sample(Directory.Watches);
        page.Gauge("mesh_proxy_discovery_stale_watches", "Of those, the ones that show the last known answer because discovery is away.");
        page.Sample(Directory.StaleWatches);
        page.Counter("mesh_proxy_discovery_updates_total", "Changes of endpoint sets.");
        page.Sample(Directory.Updates);
        page.Counter("mesh_proxy_discovery_endpoints_left_out_total", "Endpoints that were not taken: no usable address, or an identity that no peer could be held to.");
        page.Sample(Directory.EndpointsLeftOut);
        page.Counter("mesh_proxy_discovery_turned_away_total", "Authorities and addresses not asked about because too many are in use.");
        page.Sample(Directory.TurnedAway);

        if (Policies is null) return;
        page.Gauge("mesh_proxy_policy_watches", "Services whose routes are followed.");
        page.Sample(Policies.Watches);
        page.Gauge("mesh_proxy_policy_stale_watches", "Of those, the ones that show the last known routes because the service of routes is away.");
        page.Sample(Policies.StaleWatches);
        page.Counter("mesh_proxy_policy_updates_total", "Changes of routes.");
        page.Sample(Policies.Updates);
        page.Counter("mesh_proxy_policy_rules_refused_total", "Rules that were not understood, and refuse their requests.");
        page.Sample(Policies.RulesRefused);
    }

    private static double Seconds(DateTimeOffset? at) => at is { } time ? time.ToUnixTimeMilliseconds() / 1000.0 : 0;
}
