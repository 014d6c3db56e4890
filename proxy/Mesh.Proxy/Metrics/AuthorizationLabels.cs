using Mesh.Proxy.Policy;

namespace Mesh.Proxy.Metrics;

/// <summary>Linkerd's labels of the <c>inbound_*_authz_*</c> families, and the reason of a denial.</summary>
internal sealed record AuthorizationLabels(PeerIdentity Peer, string Target, DenialReason Reason)
{
    public static AuthorizationLabels Overflow(AuthorizationLabels labels) =>
        labels with { Peer = new PeerIdentity.Absent(AbsentReason.NoTlsFromRemote), Target = "overflow" };

    public MetricLabel[] ToLabels(InboundPolicy policy) =>
    [
        ("target_addr", Target), ("srv_kind", "default"), ("srv_name", policy.Label()), ("authz_kind", "default"), ("authz_name", policy.Label()),
        .. TcpLabels.Identity(Peer, "client_id"),
        ("reason", Reason == DenialReason.None ? "" : Reason.Label()),
    ];
}
