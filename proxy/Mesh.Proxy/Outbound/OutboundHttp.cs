using Mesh.Proxy.Discovery;
using Mesh.Proxy.Exchanges;
using Mesh.Proxy.Metrics;
using Mesh.Proxy.Settings;
using Mesh.Proxy.Upstreams;

namespace Mesh.Proxy.Outbound;

/// <summary>What the HTTP side of all outbound connections shares: the destinations in use and the connections to them. Lives on the loop.</summary>
internal sealed class OutboundHttp(UpstreamSet set, ExchangePool exchanges, EndpointDialer dialer, ProxyMetrics metrics, ExchangeAccount account, Random random) : IDisposable
{
    // Milliseconds after the last client connection: a client that comes again finds warm connections.
    private const long KeepUnused = 60_000;

    private readonly Dictionary<string, HttpDestination> _destinations = [];

    public ExchangePool Exchanges => exchanges;

    public UpstreamSet Upstreams => set;

    public ExchangeAccount Account => account;

    public Random Random => random;

    public long Now => set.Loop.Now;

    /// <summary>The destination of that name; to be given back by <see cref="Leave"/>, once.</summary>
    public HttpDestination Enter(string target)
    {
        DropUnused();
        if (!_destinations.TryGetValue(target, out var destination)) _destinations.Add(target, destination = new HttpDestination(target, this));
        destination.Users++;
        return destination;
    }

    public void Leave(HttpDestination destination)
    {
        if (--destination.Users == 0) destination.UnusedSince = Now;
    }

    public HttpEndpoint Open(Endpoint endpoint, EndpointSet among, string target) => new(endpoint, EndpointLabels.Of(endpoint.Labels, among.Labels), target, set, dialer, metrics);

    public void Dispose()
    {
        foreach (var destination in _destinations.Values) destination.Dispose();
        _destinations.Clear();
    }

    private void DropUnused()
    {
        foreach (var (target, destination) in _destinations)
        {
            if (destination.Users > 0 || Now - destination.UnusedSince < KeepUnused) continue;
            destination.Dispose();
            _destinations.Remove(target);
        }
    }
}
