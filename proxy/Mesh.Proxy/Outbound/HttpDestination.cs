using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Net;
using Mesh.Proxy.Discovery;

namespace Mesh.Proxy.Outbound;

/// <summary>
/// Where the requests of one authority, or of one address, may go: its endpoints as discovery knows them now, with the connections to them. Shared by
/// all client connections. Lives on the loop.
/// </summary>
internal sealed class HttpDestination(string target, OutboundHttp http) : IDisposable
{
    private readonly Dictionary<IPEndPoint, HttpEndpoint> _byAddress = [];
    private HttpEndpoint[] _endpoints = [];
    private EndpointSet? _set;

    /// <summary>The authority or address, for logs and metrics.</summary>
    public string Target => target;

    /// <summary>Client connections that use it, and when the last one left.</summary>
    public int Users { get; set; }

    public long UnusedSince { get; set; }

    /// <summary>Takes a new set over; connections to endpoints that stay are kept, those to endpoints that left end when their requests have.</summary>
    public void Update(EndpointSet set)
    {
        if (ReferenceEquals(set, _set)) return;
        _set = set;
        var before = new Dictionary<IPEndPoint, HttpEndpoint>(_byAddress);
        _byAddress.Clear();
        foreach (var endpoint in set.Endpoints)
        {
            var stays = before.TryGetValue(endpoint.Address, out var known) && known.Endpoint == endpoint;
            _byAddress[endpoint.Address] = stays ? known! : http.Open(endpoint, set, target);
            if (stays) before.Remove(endpoint.Address);
        }

        _endpoints = [.. _byAddress.Values];
        // Last, since requests that wait there look at once for another place.
        foreach (var gone in before.Values) gone.Dispose();
    }

    /// <summary>Takes over what a connection was told; later sets come by <see cref="Update(EndpointSet)"/>.</summary>
    public void Update(OutboundRoute route)
    {
        if (route is OutboundRoute.Endpoints { Authority: not null } && _set is not null) return;
        ImmutableArray<Endpoint> endpoints = route switch
        {
            OutboundRoute.Endpoints some => some.Candidates,
            OutboundRoute.Original original => [new Endpoint(original.Address, 1, null, null, ProtocolHint.Unknown, null, FrozenDictionary<string, string>.Empty)],
            _ => [],
        };
        if (_set is not null && _set.Endpoints.SequenceEqual(endpoints)) return;
        Update(new EndpointSet(exists: true, endpoints, FrozenDictionary<string, string>.Empty));
    }

    /// <summary>One of the endpoints for a request; <paramref name="not"/> was tried before. Null when there is none.</summary>
    public HttpEndpoint? Pick(HttpEndpoint? not)
    {
        if (_endpoints.Length == 0) return null;
        if (_endpoints.Length == 1) return _endpoints[0];
        var first = Draw(not);
        var second = Draw(not);
        return Cost(second) < Cost(first) ? second : first;
    }

    public void Dispose()
    {
        foreach (var endpoint in _endpoints) endpoint.Dispose();
        _endpoints = [];
        _byAddress.Clear();
    }

    private HttpEndpoint Draw(HttpEndpoint? not)
    {
        var at = http.Random.Next(_endpoints.Length);
        var drawn = _endpoints[at];
        return ReferenceEquals(drawn, not) ? _endpoints[(at + 1) % _endpoints.Length] : drawn;
    }

    private static double Cost(HttpEndpoint endpoint) => endpoint.IsBackingOff ? double.MaxValue : (endpoint.Pending + 1) / (double)Math.Max(1, endpoint.Endpoint.Weight);
}
