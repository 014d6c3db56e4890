using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Net;
using Mesh.Proxy.Connections;
using Mesh.Proxy.Discovery;
using Mesh.Proxy.Outbound;
using Mesh.Proxy.Policy;
using Mesh.Proxy.Settings;
using Mesh.Proxy.Tests.Connections;

namespace Mesh.Proxy.Tests.Outbound;

public sealed class OutboundRouteTests
{
    private static readonly IPEndPoint Address = new(IPAddress.Parse("10.0.0.7"), 80);
    private static readonly HostPort Authority = HostPort.Parse("web.demo:80");
    private static readonly Endpoint Meshed = RunningProxy.Meshed(Address, new IPEndPoint(Address.Address, 4143));

    [Theory]
    [InlineData(ResolutionKind.NotFound, ConnectionEnd.NoEndpoint)]
    [InlineData(ResolutionKind.Unavailable, ConnectionEnd.DiscoveryUnavailable)]
    internal async Task A_named_listener_goes_nowhere_without_an_answer(ResolutionKind kind, ConnectionEnd end)
    {
        var route = await OutboundRoute.ForAuthorityAsync(Authority, Resolving(kind, null), TimeSpan.FromSeconds(1), CancellationToken.None);
        Assert.Equal(end, Assert.IsType<OutboundRoute.Refused>(route).End);
    }

    [Fact]
    public async Task A_service_without_endpoints_is_refused()
    {
        var empty = new EndpointSet(true, [], FrozenDictionary<string, string>.Empty);
        var route = await OutboundRoute.ForAuthorityAsync(Authority, Resolving(ResolutionKind.Found, empty), TimeSpan.FromSeconds(1), CancellationToken.None);
        Assert.Equal(ConnectionEnd.NoEndpoint, Assert.IsType<OutboundRoute.Refused>(route).End);
    }

    [Theory]
    [InlineData(ResolutionKind.Unavailable, AbsentReason.NotDiscovered)]
    [InlineData(ResolutionKind.NotFound, AbsentReason.NotProvidedByDiscovery)]
    internal async Task A_redirected_connection_to_the_unknown_goes_where_it_was_going(ResolutionKind kind, AbsentReason reason)
    {
        var route = await OutboundRoute.ForAddressAsync(Address, Profiling(kind, null), UndiscoveredTraffic.Plaintext, TimeSpan.FromSeconds(1), CancellationToken.None);
        Assert.Equal(new OutboundRoute.Original(Address, reason), route);
    }

    [Fact]
    public async Task Who_would_rather_lose_a_connection_than_send_plaintext_unasked_loses_only_those_discovery_cannot_speak_of()
    {
        Task<OutboundRoute> StrictAsync(ResolutionKind kind) =>
            OutboundRoute.ForAddressAsync(Address, Profiling(kind, null), UndiscoveredTraffic.Refuse, TimeSpan.FromSeconds(1), CancellationToken.None).AsTask();

        Assert.Equal(ConnectionEnd.DiscoveryUnavailable, Assert.IsType<OutboundRoute.Refused>(await StrictAsync(ResolutionKind.Unavailable)).End);
        Assert.Equal(new OutboundRoute.Original(Address, AbsentReason.NotProvidedByDiscovery), await StrictAsync(ResolutionKind.NotFound));
    }

    [Fact]
    public async Task A_redirected_connection_to_a_service_goes_to_its_endpoints()
    {
        var set = new EndpointSet(true, [Meshed], FrozenDictionary<string, string>.Empty);
        var lookup = Profiling(ResolutionKind.Found, new ServiceProfile("web.demo:80", false, null, false, [])) with { Resolve = Resolving(ResolutionKind.Found, set).Resolve };
        Assert.Equal([Meshed], Assert.IsType<OutboundRoute.Endpoints>(await RouteAsync(lookup)).Candidates);
    }

    [Fact]
    public async Task A_redirected_connection_to_a_service_whose_endpoints_are_not_told_is_not_dialled_in_plaintext()
    {
        var lookup = Profiling(ResolutionKind.Found, new ServiceProfile("web.demo:80", false, null, false, [])) with { Resolve = Resolving(ResolutionKind.Unavailable, null).Resolve };
        Assert.Equal(ConnectionEnd.DiscoveryUnavailable, Assert.IsType<OutboundRoute.Refused>(await RouteAsync(lookup)).End);
    }

    [Fact]
    public async Task A_redirected_connection_to_a_workload_goes_to_it_with_its_identity()
    {
        var lookup = Profiling(ResolutionKind.Found, new ServiceProfile(null, false, Meshed, false, []));
        Assert.Equal([Meshed], Assert.IsType<OutboundRoute.Endpoints>(await RouteAsync(lookup)).Candidates);
    }

    [Fact]
    public async Task A_workload_whose_identity_cannot_be_read_is_not_dialled_in_plaintext()
    {
        var lookup = Profiling(ResolutionKind.Found, new ServiceProfile(null, false, null, true, []));
        Assert.Equal(ConnectionEnd.NoEndpoint, Assert.IsType<OutboundRoute.Refused>(await RouteAsync(lookup)).End);
    }

    [Fact]
    public void The_less_loaded_of_two_is_taken_and_the_tried_are_left_out()
    {
        var load = new EndpointLoad(new Random(1));
        var (a, b, c) = (At(1), At(2), At(3));
        load.Started(a);
        load.Started(a);
        load.Started(b);
        for (var i = 0; i < 50; i++) Assert.Same(b, load.Pick([a, b], []));
        for (var i = 0; i < 50; i++) Assert.Same(a, load.Pick([a, b], [b]));
        Assert.Null(load.Pick([a, b], [b, a]));
        load.Finished(b);
        Assert.Equal(0, load.Open(b.Address));
        Assert.NotNull(load.Pick([a, b, c], []));
    }

    [Fact]
    public void Many_connections_spread_by_weight()
    {
        var load = new EndpointLoad(new Random(2));
        ImmutableArray<Endpoint> endpoints = [At(1), At(2) with { Weight = 3 }];
        for (var i = 0; i < 400; i++) load.Started(load.Pick(endpoints, [])!);
        Assert.InRange(load.Open(endpoints[0].Address), 95, 105);
        Assert.InRange(load.Open(endpoints[1].Address), 295, 305);
    }

    private static Endpoint At(int last) => RunningProxy.Unmeshed(new IPEndPoint(IPAddress.Parse($"10.0.0.{last}"), 80));

    private static ValueTask<OutboundRoute> RouteAsync(DestinationLookup lookup) =>
        OutboundRoute.ForAddressAsync(Address, lookup, UndiscoveredTraffic.Plaintext, TimeSpan.FromSeconds(1), CancellationToken.None);

    private static DestinationLookup Resolving(ResolutionKind kind, EndpointSet? set) =>
        DestinationLookup.None with { Resolve = (_, _, _) => ValueTask.FromResult(new Resolution(kind, set, false)) };

    private static DestinationLookup Profiling(ResolutionKind kind, ServiceProfile? profile) =>
        DestinationLookup.None with { Profile = (_, _, _) => ValueTask.FromResult(new ProfileResolution(kind, profile, false)) };
}
