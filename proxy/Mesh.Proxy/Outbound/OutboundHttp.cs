using Mesh.Proxy.Discovery;
using Mesh.Proxy.Exchanges;
using Mesh.Proxy.Metrics;
using Mesh.Proxy.Routing;
using Mesh.Proxy.Settings;
using Mesh.Proxy.Upstreams;

namespace Mesh.Proxy.Outbound;

/// <summary>What the HTTP side of all outbound connections shares: the destinations in use and the connections to them. Lives on the loop.</summary>
internal sealed class OutboundHttp(
    UpstreamSet set, ExchangePool exchanges, EndpointDialer dialer, DestinationLookup lookup, TimeSpan discoveryTimeout, ProxyMetrics metrics, ExchangeAccount account, Random random) : IDisposable
{
    // Milliseconds after the last client connection: a client that comes again finds warm connections.
    private const long KeepUnused = 60_000;

    // Requests under way at once in a busy proxy; more are left to the collector.
    private const int MaxSpare = 256;

    private readonly Dictionary<DestinationKey, HttpDestination> _destinations = [];
    private readonly Dictionary<(string Target, HostPort? Authority), ServiceRoutes> _services = [];
    private readonly Stack<OutboundAttempts> _spare = new();

    public ExchangePool Exchanges => exchanges;

    public UpstreamSet Upstreams => set;

    public ExchangeAccount Account => account;

    public DestinationLookup Lookup => lookup;

    public TimeSpan DiscoveryTimeout => discoveryTimeout;

    public Random Random => random;

    public long Now => set.Loop.Now;

    /// <summary>The service that a client calls; to be given back by <see cref="Leave(ServiceRoutes)"/>, once.</summary>
    /// <param name="target">The authority or address, for logs and metrics.</param>
    /// <param name="authority">Null when discovery names no service for the address.</param>
    /// <param name="self">What the service is called as a backend.</param>
    public ServiceRoutes Enter(string target, HostPort? authority, HostPort self)
    {
        DropUnused();
        if (!_services.TryGetValue((target, authority), out var service)) _services.Add((target, authority), service = new ServiceRoutes(target, authority, self, this));
        service.Users++;
        return service;
    }

    public void Leave(ServiceRoutes service)
    {
        if (--service.Users == 0) service.UnusedSince = Now;
    }

    /// <summary>The policy of a service has changed.</summary>
    public void Use(HostPort authority, OutboundPolicy policy)
    {
        foreach (var service in _services.Values)
            if (service.Authority == authority) set.Run(() => service.UseAsync(policy));
    }

    /// <summary>What <paramref name="key"/> says; to be given back by <see cref="Leave(HttpDestination)"/>, once.</summary>
    public HttpDestination Enter(DestinationKey key)
    {
        if (!_destinations.TryGetValue(key, out var destination)) _destinations.Add(key, destination = new HttpDestination(key, this));
        destination.Users++;
        return destination;
    }

    public void Leave(HttpDestination destination)
    {
        if (--destination.Users == 0) destination.UnusedSince = Now;
    }

    public HttpEndpoint Open(Endpoint endpoint, EndpointSet among, string target) => new(endpoint, among.Labels, target, set, dialer, metrics);

    public OutboundAttempts Rent() => _spare.TryPop(out var spare) ? spare : new OutboundAttempts();

    public void Return(OutboundAttempts attempts)
    {
        attempts.Clear();
        if (_spare.Count < MaxSpare) _spare.Push(attempts);
    }

    public void Dispose()
    {
        foreach (var destination in _destinations.Values) destination.Dispose();
        _destinations.Clear();
    }

    private void DropUnused()
    {
        foreach (var (key, service) in _services)
        {
            if (service.Users > 0 || Now - service.UnusedSince < KeepUnused) continue;
            service.LeaveAll();
            _services.Remove(key);
        }

        foreach (var (key, destination) in _destinations)
        {
            if (destination.Users > 0 || Now - destination.UnusedSince < KeepUnused) continue;
            destination.Dispose();
            _destinations.Remove(key);
        }
    }
}
