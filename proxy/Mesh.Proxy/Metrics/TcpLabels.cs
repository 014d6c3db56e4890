using Mesh.Proxy.Connections;
using Mesh.Proxy.Policy;

namespace Mesh.Proxy.Metrics;

/// <summary>Which socket of a forwarded connection is counted.</summary>
internal enum TcpSide
{
    /// <summary>The one we accepted.</summary>
    Source = 0,

    /// <summary>The one we opened.</summary>
    Destination = 1,
}

/// <summary>Linkerd's labels of the <c>tcp_*</c> families. <paramref name="Target"/> is the authority (outbound) or the application's address (inbound).</summary>
internal sealed record TcpLabels(Direction Direction, TcpSide Side, string Target, PeerIdentity Peer)
{
    private static readonly PeerIdentity.Absent Unknown = new(AbsentReason.NoTlsFromRemote);

    /// <summary>The label set that takes over when there are too many: direction and side stay true.</summary>
    public static TcpLabels Overflow(TcpLabels labels) => new(labels.Direction, labels.Side, "overflow", Unknown);

    public MetricLabel[] ToLabels() =>
    [
        ("direction", Direction.Label()),
        ("peer", Side == TcpSide.Source ? "src" : "dst"),
        (Direction == Direction.Inbound ? "target_addr" : "authority", Target),
        .. Identity(Peer, Side == TcpSide.Source ? "client_id" : "server_id"),
    ];

    /// <summary>Linkerd's three shapes: <c>tls="true",client_id=…</c>, <c>tls="opaque"</c>, <c>tls="no_identity",no_tls_reason=…</c>.</summary>
    public static MetricLabel[] Identity(PeerIdentity peer, string idLabel) => peer switch
    {
        PeerIdentity.Verified verified => [("tls", "true"), (idLabel, verified.Id.ToString())],
        PeerIdentity.Absent { Reason: AbsentReason.NoClientCertificate } => [("tls", "true")],
        PeerIdentity.Absent { Reason: AbsentReason.ForeignTls } => [("tls", "opaque")],
        PeerIdentity.Absent absent => [("tls", "no_identity"), ("no_tls_reason", absent.Reason.Label())],
        _ => [],
    };
}

/// <summary>The counters of one label set: plain numbers, written on the loop.</summary>
internal sealed class TcpCounters
{
    public long Opened;
    public long Closed;
    public long ReadBytes;
    public long WriteBytes;
}
