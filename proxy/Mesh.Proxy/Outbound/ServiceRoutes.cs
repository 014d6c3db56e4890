using System.Collections.Frozen;
using Mesh.Proxy.Discovery;
using Mesh.Proxy.Routing;
using Mesh.Proxy.Settings;

namespace Mesh.Proxy.Outbound;

/// <summary>
/// The policy in force for one service, and the destinations of its backends. A policy is put in force when the endpoints of its backends are known,
/// so that no request is turned away for a change. Shared by all client connections. Lives on the loop.
/// </summary>
/// <param name="target">The authority or address, for logs and metrics.</param>
/// <param name="authority">What the control plane is asked for; null for an address that stands for one workload, which has no routes.</param>
/// <param name="self">What the service itself is called as a backend.</param>
/// <param name="http">What all share.</param>
internal sealed class ServiceRoutes(string target, HostPort? authority, HostPort self, OutboundHttp http)
{
    // Milliseconds. Nobody hears of changes of what nobody has asked for in a long time.
    private const long AskEvery = 60_000;

    private Dictionary<Backend, HttpDestination> _destinations = [];
    private OutboundRoute? _route;
    private Task? _ready;
    private OutboundPolicy? _newest;
    private long _asked;
    private int _generation;

    public HostPort? Authority => authority;

    /// <summary>The one in force; there is one after <see cref="ReadyAsync"/>.</summary>
    public OutboundPolicy Policy { get; private set; } = OutboundPolicy.Default(self);

    /// <summary>Client connections that use it, and when the last one left.</summary>
    public int Users { get; set; }

    public long UnusedSince { get; set; }

    /// <summary>Takes over what a connection was told of the service's own endpoints. Complete when a policy is in force.</summary>
    public Task ReadyAsync(OutboundRoute route)
    {
        _route = route;
        foreach (var (backend, destination) in _destinations)
            if (IsSelf(backend)) destination.Update(route);
        return _ready ??= StartAsync();
    }

    /// <summary>Where requests to <paramref name="backend"/>, one of the policy's, go.</summary>
    public HttpDestination To(Backend backend) => _destinations[backend];

    /// <summary>Another policy has been told.</summary>
    public async Task UseAsync(OutboundPolicy policy)
    {
        if (ReferenceEquals(policy, _newest)) return;
        _newest = policy;
        var generation = ++_generation;
        // By reference, since it is asked for every request; equal backends have one destination all the same.
        var next = new Dictionary<Backend, HttpDestination>(ReferenceEqualityComparer.Instance);
        foreach (var backend in Backends(policy.Http1).Concat(Backends(policy.Http2)))
            if (!next.ContainsKey(backend)) next.Add(backend, Enter(backend));
        await Task.WhenAll(next.Select(pair => ResolveAsync(pair.Key, pair.Value)));
        var given = next;
        if (generation == _generation)
        {
            given = _destinations;
            (Policy, _destinations) = (policy, next);
        }

        foreach (var destination in given.Values) http.Leave(destination);
    }

    /// <summary>Keeps the control plane telling of changes while there are requests.</summary>
    public void Touch()
    {
        if (authority is null || http.Now - _asked < AskEvery) return;
        http.Upstreams.Run(AskAsync);
    }

    public void LeaveAll()
    {
        _generation++;
        foreach (var destination in _destinations.Values) http.Leave(destination);
        _destinations = [];
    }

    private async Task StartAsync()
    {
        if (authority is not null) await AskAsync();
        if (_newest is null) await UseAsync(Policy);
    }

    private async Task AskAsync()
    {
        _asked = http.Now;
        var generation = _generation;
        var (policy, _) = await http.Lookup.Policy(authority!, http.DiscoveryTimeout, CancellationToken.None);
        // What was told in between is newer than an answer.
        if (policy is not null && generation == _generation) await UseAsync(policy);
    }

    private HttpDestination Enter(Backend backend)
    {
        if (IsSelf(backend))
        {
            var own = http.Enter(new DestinationKey(target, authority, null, backend.Load, backend.Accrual));
            own.Update(_route!);
            return own;
        }

        var destination = http.Enter(new DestinationKey((backend.Authority?.ToString() ?? backend.Endpoint?.Address.ToString())!, backend.Authority, backend.Endpoint, backend.Load, backend.Accrual));
        if (backend.Endpoint is { } endpoint && !destination.IsKnown) destination.Update(new EndpointSet(exists: true, [endpoint], FrozenDictionary<string, string>.Empty));
        return destination;
    }

    private async Task ResolveAsync(Backend backend, HttpDestination destination)
    {
        if (destination.IsKnown || backend.Authority is not { } name) return;
        var resolution = await http.Lookup.Resolve(name, http.DiscoveryTimeout, CancellationToken.None);
        if (resolution.Endpoints is { } endpoints) destination.Update(endpoints);
    }

    private bool IsSelf(Backend backend) => backend.Authority == self;

    private static IEnumerable<Backend> Backends(RouteTable table) => table.Routes.SelectMany(r => r.Rules).SelectMany(r => r.Rule.Backends.All).Select(b => b.Backend);
}
