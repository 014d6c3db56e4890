using Mesh.Proxy.Discovery;
using Mesh.Proxy.Exchanges;
using Mesh.Proxy.Metrics;
using Mesh.Proxy.Settings;
using Mesh.Proxy.Upstreams;

namespace Mesh.Proxy.Outbound;

/// <summary>What the HTTP side of all outbound connections shares: the destinations in use and the connections to them. Lives on the loop.</summary>
internal sealed class OutboundHttp(
    UpstreamSet set, ExchangePool exchanges, EndpointDialer dialer, DestinationLookup lookup, ProxyMetrics metrics, ExchangeAccount account, Random random) : IDisposable
{
    // Milliseconds after the last client connection: a client that comes again finds warm connections.
    private const long KeepUnused = 60_000;

    // Requests under way at once in a busy proxy; more are left to the collector.
    private const int MaxSpare = 256;

    private readonly Dictionary<DestinationKey, HttpDestination> _destinations = [];
    private readonly Stack<OutboundAttempts> _spare = new();

    public ExchangePool Exchanges => exchanges;

    public UpstreamSet Upstreams => set;

    public ExchangeAccount Account => account;

    public DestinationLookup Lookup => lookup;

    public Random Random => random;

    public long Now => set.Loop.Now;

    /// <summary>What <paramref name="key"/> says; to be given back by <see cref="Leave"/>, once.</summary>
    public HttpDestination Enter(DestinationKey key)
    {
        DropUnused();
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
        foreach (var (key, destination) in _destinations)
        {
            if (destination.Users > 0 || Now - destination.UnusedSince < KeepUnused) continue;
            destination.Dispose();
            _destinations.Remove(key);
        }
    }
}
