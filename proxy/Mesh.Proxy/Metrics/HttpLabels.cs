using Mesh.Proxy.Connections;
using Mesh.Proxy.Policy;

namespace Mesh.Proxy.Metrics;

/// <summary>Linkerd's labels of the request families.</summary>
/// <param name="Direction">Of the request, seen from this proxy.</param>
/// <param name="Target">
/// The application's address (inbound), or the authority that discovery knows (outbound). Never what a client wrote into a request and nobody looked up.
/// </param>
/// <param name="Peer">Who asks (inbound), who answers (outbound).</param>
/// <param name="Endpoint">The workload that answers, for outbound requests.</param>
internal sealed record HttpLabels(Direction Direction, string Target, PeerIdentity Peer, EndpointLabels Endpoint)
{
    private static readonly PeerIdentity.Absent Unknown = new(AbsentReason.NoTlsFromRemote);

    /// <summary>The label set that takes over when there are too many: the direction stays true.</summary>
    public static HttpLabels Overflow(HttpLabels labels) => new(labels.Direction, "overflow", Unknown, EndpointLabels.None);

    public MetricLabel[] ToLabels() =>
    [
        ("direction", Direction.Label()),
        (Direction == Direction.Inbound ? "target_addr" : "authority", Target),
        .. TcpLabels.Identity(Peer, Direction == Direction.Inbound ? "client_id" : "server_id"),
        .. Endpoint.ToLabels(),
    ];
}
