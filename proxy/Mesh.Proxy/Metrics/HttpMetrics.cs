using System.Collections.Concurrent;
using Mesh.Proxy.Connections;
using Mesh.Proxy.Http;
using Mesh.Proxy.Policy;

namespace Mesh.Proxy.Metrics;

/// <summary>
/// What is counted of HTTP. Every method that returns counters searches for them: callers keep what they get (for a connection, an endpoint, a
/// route) and add to it for each request. Searched and written on the loop; a scrape reads beside it.
/// </summary>
internal sealed partial class HttpMetrics(InboundPolicy policy)
{
    // A label set is up to 18 histograms of 28 lines: what peers can make of the page stays some megabytes.
    private const int MostLabels = 400;
    private const int MostRoutes = 200;
    private const int MostBalancers = 1000;

    private readonly BoundedFamily<HttpLabels, HttpCounters> _requests = new(MostLabels, HttpLabels.Overflow);
    private readonly BoundedFamily<RouteLabels, RouteCounters> _routes = new(MostRoutes, _ => new RouteLabels("overflow", "overflow"));
    private readonly BoundedFamily<AuthorizationLabels, Counter> _authorizations = new(ProxyMetrics.MostAuthorizationLabels, AuthorizationLabels.Overflow);
    private readonly ConcurrentDictionary<string, BalancerGauge> _balancers = new();
    private readonly HttpConnectionCounters[] _connections = [.. Enumerable.Range(0, 12).Select(_ => new HttpConnectionCounters())];
    private readonly FailureCounts[] _failures = [new(), new()];

    public HttpCounters Of(HttpLabels labels) => _requests[labels];

    /// <summary>The counters of a route's retries.</summary>
    /// <param name="authority">One that discovery knows.</param>
    /// <param name="route">The route's name as configured; "default" when there is none.</param>
    public RouteCounters Route(string authority, string route) => _routes[new RouteLabels(authority, route)];

    /// <summary>The requests of <paramref name="permit"/>'s peer that were allowed.</summary>
    public Counter Allowed(Permit permit, string target) => _authorizations[new AuthorizationLabels(permit.Peer, target, DenialReason.None)];

    public Counter Denied(PeerIdentity peer, string target, DenialReason reason) => _authorizations[new AuthorizationLabels(peer, target, reason)];

    /// <summary>The gauge of one balancer, until <see cref="Remove"/>. Beyond a number nobody reaches in practice it is not shown.</summary>
    public BalancerGauge Balancer(string authority) =>
        _balancers.Count < MostBalancers ? _balancers.GetOrAdd(authority, static _ => new BalancerGauge()) : new BalancerGauge();

    public void Remove(string authority) => _balancers.TryRemove(authority, out _);

    /// <summary>The connections of one version, towards the client (<see cref="TcpSide.Source"/>) or the server.</summary>
    public HttpConnectionCounters Connections(Direction direction, TcpSide side, HttpVersion version) =>
        _connections[((int)direction * 2 + (int)side) * 3 + (int)version];

    /// <summary>A request that the proxy answered itself, or lost.</summary>
    /// <param name="reason">A label that the code names, such as <c>Refusal.Reason</c>.</param>
    public void Failed(Direction direction, string reason) => _failures[(int)direction].Add(reason);

    private sealed record RouteLabels(string Authority, string Route);
}

/// <summary>The retries of one route: plain numbers, written on the loop.</summary>
internal sealed class RouteCounters
{
    /// <summary>Attempts after the first.</summary>
    public long Retries;

    /// <summary>Requests that a retry saved.</summary>
    public long Successes;

    /// <summary>Requests not tried again because their number of attempts was used up.</summary>
    public long LimitExceeded;

    /// <summary>Requests not tried again because the budget of the route was.</summary>
    public long Overflow;
}

/// <summary>Endpoints of one authority: set on the loop.</summary>
internal sealed class BalancerGauge
{
    /// <summary>Endpoints that take requests.</summary>
    public long Ready;

    /// <summary>Endpoints that are being connected to, or are left out after failures.</summary>
    public long Pending;
}
