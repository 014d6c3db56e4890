using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using System.Net;

namespace Mesh.Proxy.Policy;

internal enum DenialReason
{
    None = 0,

    /// <summary>The policy asks for a verified identity and the peer has none.</summary>
    Unauthenticated = 1,

    /// <summary>The peer's address is outside the cluster networks.</summary>
    OutsideCluster = 2,

    /// <summary>The policy denies everybody.</summary>
    DeniedByPolicy = 3,
}

/// <summary>What inbound connections are judged by.</summary>
internal sealed record InboundRules(InboundPolicy Policy, ImmutableArray<IPNetwork> ClusterNetworks);

/// <summary>
/// Leave for one connection to reach the application. Only <see cref="TryGrant"/> makes one, and the forwarder takes nothing without one:
/// a connection that nobody authorised does not compile.
/// </summary>
internal sealed class Permit
{
    private Permit(PeerIdentity peer, int port, bool audited) => (Peer, Port, Audited) = (peer, port, audited);

    public PeerIdentity Peer { get; }

    /// <summary>The application port this leave is for.</summary>
    public int Port { get; }

    /// <summary>Given only because the policy is to watch and not to deny.</summary>
    public bool Audited { get; }

    /// <summary>The decision: a function of its arguments and nothing else.</summary>
    public static bool TryGrant(
        InboundRules rules, PeerIdentity peer, IPAddress source, int port, [NotNullWhen(true)] out Permit? permit, out DenialReason reason)
    {
        reason = rules.Policy switch
        {
            InboundPolicy.AllUnauthenticated => DenialReason.None,
            InboundPolicy.AllAuthenticated => Authenticated(peer),
            InboundPolicy.ClusterUnauthenticated => InCluster(rules, source),
            InboundPolicy.ClusterAuthenticated => InCluster(rules, source) is var outside && outside != DenialReason.None ? outside : Authenticated(peer),
            InboundPolicy.Audit => DenialReason.None,
            _ => DenialReason.DeniedByPolicy,
        };
        permit = reason == DenialReason.None ? new Permit(peer, port, rules.Policy == InboundPolicy.Audit) : null;
        return permit is not null;
    }

    private static DenialReason Authenticated(PeerIdentity peer) =>
        peer is PeerIdentity.Verified ? DenialReason.None : DenialReason.Unauthenticated;

    private static DenialReason InCluster(InboundRules rules, IPAddress source)
    {
        var address = source.IsIPv4MappedToIPv6 ? source.MapToIPv4() : source;
        foreach (var network in rules.ClusterNetworks)
            if (network.Contains(address)) return DenialReason.None;
        return DenialReason.OutsideCluster;
    }
}

internal static class PolicyText
{
    public static string Label(this DenialReason reason) => reason switch
    {
        DenialReason.Unauthenticated => "unauthenticated",
        DenialReason.OutsideCluster => "outside_cluster",
        DenialReason.DeniedByPolicy => "denied_by_policy",
        _ => "none",
    };

    /// <summary>The name an operator configures.</summary>
    public static string Label(this InboundPolicy policy) => policy switch
    {
        InboundPolicy.AllUnauthenticated => "all-unauthenticated",
        InboundPolicy.AllAuthenticated => "all-authenticated",
        InboundPolicy.ClusterUnauthenticated => "cluster-unauthenticated",
        InboundPolicy.ClusterAuthenticated => "cluster-authenticated",
        InboundPolicy.Audit => "audit",
        _ => "deny",
    };
}
