using System.Collections.Immutable;
using Mesh.Spiffe;
using Mesh.Trust.Requests;

namespace Mesh.Trust.Issuing;

/// <summary>
/// An SVID to be issued: the key comes from a request that proved it, the names from whoever authenticated the requester.
/// </summary>
public sealed record SvidRequest(SubjectKey Key, SpiffeId Id)
{
    /// <summary>DNS names beside the SPIFFE ID, in Linkerd's form or those of a service; usually none or one, at most 8.</summary>
    public ImmutableArray<string> DnsNames { get; init; } = [];

    /// <summary>Null for the usual lifetime of the policy.</summary>
    public TimeSpan? Lifetime { get; init; }
}
