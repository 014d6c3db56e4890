using System.Collections.Frozen;
using System.Collections.Immutable;
using Mesh.Proxy.Balance;
using Mesh.Proxy.Discovery;
using Mesh.Proxy.Settings;

namespace Mesh.Proxy.Outbound;

/// <summary>What makes two destinations one.</summary>
/// <param name="Target">The authority or address, for logs and metrics.</param>
/// <param name="Authority">What discovery is asked for; null when the endpoints do not change.</param>
/// <param name="Endpoint">The one endpoint, where a policy names it; else null.</param>
/// <param name="Load">How the load of endpoints is estimated.</param>
/// <param name="Accrual">When endpoints are taken out of use; null: never.</param>
internal sealed record DestinationKey(string Target, HostPort? Authority, Endpoint? Endpoint, LoadParameters Load, FailureAccrualParameters? Accrual);

/// <summary>
/// Where the requests of one authority, or of one address, may go: its endpoints as discovery knows them now, with the connections to them. Shared by
/// all client connections. Lives on the loop.
/// </summary>
internal sealed class HttpDestination : IDisposable
{
    private readonly DestinationKey _key;
    private readonly OutboundHttp _http;
    private readonly P2cBalancer<HttpEndpoint> _balancer;
    private EndpointSet? _set;
    private long _refreshed = -1;

    public HttpDestination(DestinationKey key, OutboundHttp http)
    {
        (_key, _http) = (key, http);
        _balancer = new P2cBalancer<HttpEndpoint>(
            key.Load, key.Accrual, endpoint => http.Open(endpoint, _set!, key.Target), static left => left.Dispose(), http.Random, static endpoint => !endpoint.IsBackingOff);
    }

    /// <summary>Something was told of its endpoints.</summary>
    public bool IsKnown => _set is not null;

    /// <summary>Services that use it, and when the last one left.</summary>
    public int Users { get; set; }

    public long UnusedSince { get; set; }

    /// <summary>How many requests may be sent a second time.</summary>
    public RetryBudget Retries { get; } = new(RetryBudgetParameters.Default);

    /// <summary>Takes a new set over; connections to endpoints that stay are kept, those to endpoints that left end when their requests have.</summary>
    public void Update(EndpointSet set)
    {
        if (ReferenceEquals(set, _set)) return;
        _set = set;
        _balancer.Update(set.Endpoints, _http.Now);
        foreach (var member in _balancer.Endpoints) member.Value.Describe(member.Endpoint, set.Labels);
    }

    /// <summary>Takes over what a connection was told; later sets come from discovery.</summary>
    public void Update(OutboundRoute route)
    {
        if (_key.Authority is not null && _set is not null) return;
        ImmutableArray<Endpoint> endpoints = route switch
        {
            OutboundRoute.Endpoints some => some.Candidates,
            OutboundRoute.Original original => [new Endpoint(original.Address, 1, null, null, ProtocolHint.Unknown, null, FrozenDictionary<string, string>.Empty)],
            _ => [],
        };
        if (_set is not null && _set.Endpoints.SequenceEqual(endpoints)) return;
        Update(new EndpointSet(exists: true, endpoints, FrozenDictionary<string, string>.Empty));
    }

    /// <summary>Chooses an endpoint for a request. One that was tried before is not chosen as long as there is another.</summary>
    public PickResult Pick(OutboundAttempts attempts)
    {
        Refresh();
        var result = _balancer.Pick(_http.Now, attempts.Tried, out var attempt);
        if (result == PickResult.AllTried) result = _balancer.Pick(_http.Now, [], out attempt);
        if (result == PickResult.Picked) attempts.Begin(attempt);
        return result;
    }

    public void Dispose()
    {
        _set = null;
        _balancer.Update([], _http.Now);
    }

    // Discovery answers at once what it has answered before; when it no longer knows, what it knew last stands.
    private void Refresh()
    {
        if (_key.Authority is not { } authority || _refreshed == _http.Now) return;
        _refreshed = _http.Now;
        if (_http.Lookup.Known(authority) is { } set) Update(set);
    }
}
