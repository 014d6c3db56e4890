using System.Collections.Immutable;
using System.Net;
using Mesh.Proxy.Connections;
using Mesh.Proxy.Discovery;
using Mesh.Proxy.Policy;
using Mesh.Proxy.Settings;

namespace Mesh.Proxy.Outbound;

/// <summary>Where an outbound connection may go: endpoints of discovery, the address the client asked for, or nowhere and why.</summary>
internal abstract record OutboundRoute
{
    private OutboundRoute() { }

    /// <summary>One of these, each with the identity it must prove, if it has one.</summary>
    /// <param name="Candidates">As they are now.</param>
    /// <param name="Authority">Whose endpoints they are, for who wants to know of later ones; null when the address stands for one workload.</param>
    /// <param name="Opaque">The bytes are not to be looked at.</param>
    internal sealed record Endpoints(ImmutableArray<Endpoint> Candidates, HostPort? Authority, bool Opaque) : OutboundRoute;

    /// <summary>The original destination in plaintext: discovery says it is no meshed workload, or has never said anything.</summary>
    internal sealed record Original(IPEndPoint Address, AbsentReason Reason) : OutboundRoute;

    internal sealed record Refused(ConnectionEnd End, string Detail) : OutboundRoute;

    /// <summary>A named listener: only discovery can say where its authority lives, so without an answer there is no route.</summary>
    public static async ValueTask<OutboundRoute> ForAuthorityAsync(HostPort authority, DestinationLookup lookup, TimeSpan limit, CancellationToken ct)
    {
        var resolution = await lookup.Resolve(authority, limit, ct);
        return resolution.Kind switch
        {
            ResolutionKind.Found => OfEndpoints(authority, resolution, opaque: false),
            ResolutionKind.NotFound => new Refused(ConnectionEnd.NoEndpoint, "no such service"),
            _ => new Refused(ConnectionEnd.DiscoveryUnavailable, "discovery has not answered"),
        };
    }

    /// <summary>A redirected connection. What discovery does not know goes where the client meant it to go; <paramref name="undiscovered"/> says what of that it was never able to say.</summary>
    public static async ValueTask<OutboundRoute> ForAddressAsync(
        IPEndPoint address, DestinationLookup lookup, UndiscoveredTraffic undiscovered, TimeSpan limit, CancellationToken ct)
    {
        var (kind, profile, _) = await lookup.Profile(address, limit, ct);
        if (kind == ResolutionKind.Unavailable)
        {
            return undiscovered == UndiscoveredTraffic.Refuse
                ? new Refused(ConnectionEnd.DiscoveryUnavailable, "discovery cannot say whether this address is meshed")
                : new Original(address, AbsentReason.NotDiscovered);
        }

        if (kind == ResolutionKind.NotFound || profile is null) return new Original(address, AbsentReason.NotProvidedByDiscovery);
        if (profile.Refused) return new Refused(ConnectionEnd.NoEndpoint, "discovery's identity for this address cannot be used");
        if (profile.Authority is not null && HostPort.TryParse(profile.Authority, out var authority))
        {
            var resolution = await lookup.Resolve(authority, limit, ct);
            return resolution.Kind switch
            {
                ResolutionKind.Found => OfEndpoints(authority, resolution, profile.Opaque),
                ResolutionKind.NotFound => new Refused(ConnectionEnd.NoEndpoint, "no such service"),
                // Discovery knows the service, so its endpoints may have identities: plaintext would let slip what mutual TLS is to protect.
                _ => new Refused(ConnectionEnd.DiscoveryUnavailable, "discovery knows the service and has not told its endpoints"),
            };
        }

        return profile.Endpoint is { } endpoint ? new Endpoints([endpoint], null, profile.Opaque || endpoint.Protocol == ProtocolHint.Opaque) : new Original(address, AbsentReason.NotProvidedByDiscovery);
    }

    private static OutboundRoute OfEndpoints(HostPort authority, Resolution resolution, bool opaque) =>
        resolution.Endpoints is { Endpoints: { IsEmpty: false } endpoints }
            ? new Endpoints(endpoints, authority, opaque || endpoints.All(e => e.Protocol == ProtocolHint.Opaque))
            : new Refused(ConnectionEnd.NoEndpoint, "the service has no endpoints");
}
