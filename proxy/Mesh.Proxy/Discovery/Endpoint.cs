using System.Collections.Frozen;
using System.Net;
using Mesh.Spiffe;

namespace Mesh.Proxy.Discovery;

/// <summary>One place to connect to, as discovery describes it.</summary>
/// <param name="Address">Where the workload listens; its proxy when <paramref name="InboundPort"/> is null and redirection is in place.</param>
/// <param name="Weight">Its share, at least 1.</param>
/// <param name="Identity">Who must answer. Null: no proxy is there, connect in plaintext. Never null because an identity could not be read.</param>
/// <param name="InboundPort">The port of the workload's proxy that takes a transport header, or null when connections go to <paramref name="Address"/> itself.</param>
/// <param name="Protocol">What the workload's port is known to speak.</param>
/// <param name="AuthorityOverride">The authority to write into requests in place of the client's, or null.</param>
/// <param name="Labels">Labels for metrics and logs.</param>
internal sealed record Endpoint(
    IPEndPoint Address, uint Weight, EndpointIdentity? Identity, int? InboundPort, ProtocolHint Protocol, string? AuthorityOverride, FrozenDictionary<string, string> Labels)
{
    public bool Equals(Endpoint? other) =>
        other is not null && Address.Equals(other.Address) && Weight == other.Weight && Identity == other.Identity && InboundPort == other.InboundPort
        && Protocol == other.Protocol && AuthorityOverride == other.AuthorityOverride && Same(Labels, other.Labels);

    public override int GetHashCode() => HashCode.Combine(Address, Weight, Identity, InboundPort, Protocol);

    internal static bool Same(FrozenDictionary<string, string> a, FrozenDictionary<string, string> b) =>
        a.Count == b.Count && a.All(pair => b.TryGetValue(pair.Key, out string? value) && value == pair.Value);
}

/// <summary>The identity that a peer must prove, and the name to send as SNI.</summary>
internal sealed record EndpointIdentity(SpiffeId Id, string ServerName);

internal enum ProtocolHint
{
    /// <summary>Nothing is known: look at the bytes.</summary>
    Unknown = 0,

    /// <summary>Its proxy takes HTTP/1 requests over HTTP/2 as well.</summary>
    Http2 = 1,

    /// <summary>Do not look at the bytes.</summary>
    Opaque = 2,
}
