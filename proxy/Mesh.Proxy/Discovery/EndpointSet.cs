using System.Collections.Frozen;
using System.Collections.Immutable;

namespace Mesh.Proxy.Discovery;

/// <summary>The endpoints of one authority at one moment. Immutable; an endpoint that did not change is the same object in the next set.</summary>
internal sealed class EndpointSet
{
    public static EndpointSet Absent { get; } = new(exists: false, [], FrozenDictionary<string, string>.Empty);

    public EndpointSet(bool exists, ImmutableArray<Endpoint> endpoints, FrozenDictionary<string, string> labels) =>
        (Exists, Endpoints, Labels) = (exists, endpoints, labels);

    /// <summary>Whether the authority is a service at all; one that exists may have no endpoints.</summary>
    public bool Exists { get; }

    /// <summary>In no particular order, each address once.</summary>
    public ImmutableArray<Endpoint> Endpoints { get; }

    /// <summary>Labels that hold for all endpoints.</summary>
    public FrozenDictionary<string, string> Labels { get; }
}
