using System.Collections.Immutable;

namespace Mesh.Proxy.Discovery;

/// <summary>What discovery knows of an address that a client connected to.</summary>
/// <param name="Authority">The service that the address belongs to, as <c>name:port</c> for <see cref="ServiceDirectory.ResolveAsync"/>; null when it belongs to none.</param>
/// <param name="Opaque">Do not look at the bytes.</param>
/// <param name="Endpoint">The one workload that the address is of, when it is no service's.</param>
/// <param name="Refused">The address is a workload's that cannot be held to its identity. It must not be dialled, least of all in plaintext.</param>
/// <param name="Overrides">Authorities to split traffic over, with weights; empty when there is no split.</param>
internal sealed record ServiceProfile(string? Authority, bool Opaque, Endpoint? Endpoint, bool Refused, ImmutableArray<WeightedAuthority> Overrides)
{
    public bool Equals(ServiceProfile? other) =>
        other is not null && Authority == other.Authority && Opaque == other.Opaque && Endpoint == other.Endpoint && Refused == other.Refused && Overrides.SequenceEqual(other.Overrides);

    public override int GetHashCode() => HashCode.Combine(Authority, Opaque, Endpoint, Overrides.Length);
}

internal sealed record WeightedAuthority(string Authority, uint Weight);
