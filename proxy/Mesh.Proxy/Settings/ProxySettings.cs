using System.Collections.Immutable;
using System.Net;
using Mesh.Proxy.Logging;
using Mesh.Proxy.Policy;
using Mesh.Spiffe;

namespace Mesh.Proxy.Settings;

/// <summary>Everything the proxy is told at start, parsed and checked. No other code reads the environment.</summary>
internal sealed record ProxySettings
{
    public required InboundSettings Inbound { get; init; }
    public required OutboundSettings Outbound { get; init; }
    public required IdentitySettings Identity { get; init; }

    /// <summary>Null when the proxy has no discovery: it then only receives.</summary>
    public required DestinationSettings? Destination { get; init; }

    /// <summary>Null when no spans are made.</summary>
    public TracingSettings? Tracing { get; init; }

    public required IPEndPoint AdminListen { get; init; }
    public required LogLevel LogLevel { get; init; }
    public required LogFormat LogFormat { get; init; }

    /// <summary>One line for every connection and for every HTTP request, at its end.</summary>
    public required bool AccessLog { get; init; }

    /// <summary>How long open connections may go on after SIGTERM before they are cut.</summary>
    public required TimeSpan ShutdownGracePeriod { get; init; }
}

internal sealed record InboundSettings
{
    /// <summary>Where redirected and direct connections arrive; null when only named services are served.</summary>
    public required IPEndPoint? Listen { get; init; }

    /// <summary>Listeners that need no redirection: one for each local application.</summary>
    public required ImmutableArray<InboundService> Services { get; init; }

    public required InboundPolicy Policy { get; init; }
    public required ImmutableArray<IPNetwork> ClusterNetworks { get; init; }

    /// <summary>Ports whose first bytes are not looked at: server-first protocols, and traffic that is TLS of its own.</summary>
    public required PortSet OpaquePorts { get; init; }

    /// <summary>The addresses of this pod. Empty: redirected connections to any address are taken.</summary>
    public required ImmutableArray<IPAddress> Addresses { get; init; }

    public required TimeSpan ConnectTimeout { get; init; }

    /// <summary>How long a client may take to say its first bytes, to finish its handshake, and to send the transport header; each.</summary>
    public required TimeSpan DetectTimeout { get; init; }

    public required int MaxConnections { get; init; }

    /// <summary>Whether applications are told of their clients in an <c>x-forwarded-client-cert</c> field.</summary>
    public ForwardedClientCertificate ForwardedClientCertificate { get; init; }
}

/// <summary>What becomes of the <c>x-forwarded-client-cert</c> field of requests, in the form that Envoy gave it.</summary>
internal enum ForwardedClientCertificate
{
    /// <summary><c>off</c>: it is the applications' own business.</summary>
    None = 0,

    /// <summary><c>set</c>: what clients say in it is removed, and a client with a verified identity is named: <c>URI=spiffe://...</c>.</summary>
    Set = 1,
}

/// <summary>A listener of its own for one local application: connections to <see cref="Listen"/> go to <see cref="Application"/>.</summary>
internal sealed record InboundService(IPEndPoint Listen, IPEndPoint Application);

internal sealed record OutboundSettings
{
    /// <summary>Where redirected connections arrive; null when only named services are reached.</summary>
    public required IPEndPoint? Listen { get; init; }

    public required ImmutableArray<OutboundService> Services { get; init; }
    public required TimeSpan ConnectTimeout { get; init; }

    /// <summary>For the TLS handshake with one endpoint.</summary>
    public required TimeSpan HandshakeTimeout { get; init; }

    /// <summary>How long a connection waits for the first answer of discovery.</summary>
    public required TimeSpan DiscoveryTimeout { get; init; }

    public required int MaxConnections { get; init; }

    /// <summary>What becomes of a redirected connection to an address of which discovery cannot say whether it is meshed.</summary>
    public required UndiscoveredTraffic Undiscovered { get; init; }

    /// <summary>Ports of redirected connections whose first bytes are not looked at, whatever discovery says: server-first protocols.</summary>
    public PortSet OpaquePorts { get; init; } = PortSet.Empty;

    /// <summary>How long a client may take to say its first bytes before it is taken for one that waits for the server's.</summary>
    public TimeSpan DetectTimeout { get; init; } = TimeSpan.FromSeconds(10);
}

/// <summary>What to do with an address that discovery has not told anything of: it does not answer, or more addresses are in use than are followed.</summary>
internal enum UndiscoveredTraffic
{
    /// <summary><c>plaintext</c>: to where the client meant to go, as without a mesh. Linkerd's way: an application keeps working while discovery is away.</summary>
    Plaintext = 0,

    /// <summary><c>refuse</c>: the connection is refused. What discovery knows nothing of by its own word (an address outside the mesh) is not concerned.</summary>
    Refuse = 1,
}

/// <summary>A local listener that stands for one authority of the mesh.</summary>
internal sealed record OutboundService(IPEndPoint Listen, HostPort Authority);

internal sealed record IdentitySettings
{
    /// <summary>Who this proxy is: the identity it asks for, and the only one it accepts for itself.</summary>
    public required SpiffeId Id { get; init; }

    /// <summary>The SNI that means us. Other names are other programs' TLS.</summary>
    public required string ServerName { get; init; }

    /// <summary>Read again at every request for a certificate, because the platform renews it.</summary>
    public required string TokenFile { get; init; }

    /// <summary>PEM or SPIFFE bundle JSON; read again when it changes.</summary>
    public required string TrustAnchorsFile { get; init; }

    public required HostPort ServiceAddress { get; init; }

    /// <summary>Who must answer at <see cref="ServiceAddress"/>.</summary>
    public required SpiffeId ServiceId { get; init; }

    /// <summary>Shortest and longest time between two renewals.</summary>
    public required TimeSpan MinRefresh { get; init; }

    public required TimeSpan MaxRefresh { get; init; }
}

internal sealed record DestinationSettings
{
    public required HostPort ServiceAddress { get; init; }
    public required SpiffeId ServiceId { get; init; }

    /// <summary>Passed through to discovery: which pod asks (namespace, node), for topology.</summary>
    public required string ContextToken { get; init; }

    /// <summary>Who knows routes; discovery itself unless it is said otherwise.</summary>
    public required HostPort PolicyAddress { get; init; }

    public required SpiffeId PolicyServiceId { get; init; }
}

/// <summary>Where spans go.</summary>
internal sealed record TracingSettings
{
    public required HostPort Collector { get; init; }

    /// <summary>Who must answer there; null for a collector without mutual TLS.</summary>
    public required SpiffeId? CollectorId { get; init; }

    /// <summary>What the spans are shown under.</summary>
    public required string ServiceName { get; init; }

    /// <summary>Of recording a request about which nobody has decided, 0 to 1.</summary>
    public required double Probability { get; init; }
}
