using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Net;
using Mesh.Protocol.Outbound;
using Mesh.Spiffe;

namespace Mesh.Destination.Services;

/// <summary>Where one instance of a service can be reached, and who it must prove to be.</summary>
internal sealed record Endpoint
{
    /// <summary>The application's address.</summary>
    public required IPEndPoint Address { get; init; }

    /// <summary>Null for an instance outside the mesh: it is reached in plaintext.</summary>
    public required SpiffeId? Identity { get; init; }

    /// <summary>The SNI that the instance's proxy answers to; set whenever <see cref="Identity"/> is.</summary>
    public required string? ServerName { get; init; }

    /// <summary>The port of the instance's proxy that takes the transport header; null when it takes none.</summary>
    public required int? InboundPort { get; init; }

    /// <summary>Relative; Linkerd's default is 10,000.</summary>
    public required uint Weight { get; init; }

    /// <summary>The bytes are not HTTP, or shall not be looked at.</summary>
    public required bool Opaque { get; init; }

    /// <summary>For metrics of the client.</summary>
    public required ImmutableSortedDictionary<string, string> Labels { get; init; }

    public bool Equals(Endpoint? other) =>
        other is not null && Address.Equals(other.Address) && Equals(Identity, other.Identity) && ServerName == other.ServerName && InboundPort == other.InboundPort
        && Weight == other.Weight && Opaque == other.Opaque && Labels.SequenceEqual(other.Labels);

    public override int GetHashCode() => HashCode.Combine(Address, Identity, InboundPort, Weight);
}

/// <summary>A service and its instances, in the order of their addresses.</summary>
internal sealed record Service(Authority Authority, bool Opaque, ImmutableArray<Endpoint> Endpoints)
{
    /// <summary>What becomes of traffic to it, as proxies are told. Never changed once it is here.</summary>
    public required OutboundPolicy Policy { get; init; }

    public bool Equals(Service? other) =>
        other is not null && Authority == other.Authority && Opaque == other.Opaque && Endpoints.SequenceEqual(other.Endpoints) && Policy.Equals(other.Policy);

    public override int GetHashCode() => HashCode.Combine(Authority, Opaque, Endpoints.Length);
}

/// <summary>Everything discovery knows at one moment. Immutable; a change is a new table.</summary>
internal sealed class ServiceTable
{
    private readonly FrozenDictionary<Authority, Service> _services;
    private readonly FrozenDictionary<IPEndPoint, Endpoint> _endpoints;

    public ServiceTable(IReadOnlyCollection<Service> services)
    {
        _services = services.ToFrozenDictionary(s => s.Authority);
        _endpoints = services.SelectMany(s => s.Endpoints).DistinctBy(e => e.Address).ToFrozenDictionary(e => e.Address);
    }

    public ImmutableArray<Service> Services => _services.Values;

    public int EndpointCount => _endpoints.Count;

    public Service? Find(Authority authority) => _services.GetValueOrDefault(authority);

    /// <summary>The instance that lives at an address, whatever service it belongs to.</summary>
    public Endpoint? FindEndpoint(IPEndPoint address) => _endpoints.GetValueOrDefault(address);
}
