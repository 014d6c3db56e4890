using System.Net;
using Grpc.AspNetCore.Server;
using Grpc.Core;
using Grpc.Net.Client;
using Mesh.Destination.Discovery;
using Mesh.Destination.Services;
using Mesh.Protocol.Outbound;
using Mesh.Spiffe;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Mesh.Destination.Tests.Discovery;

/// <summary><c>OutboundPolicies</c> as a proxy calls it. Who the caller is, which TLS finds out elsewhere, is told by a header here.</summary>
public sealed class PolicyEndpointTests : IAsyncLifetime
{
    private const string Web = "web.demo.svc.cluster.local:80";
    private const string Proxy = "spiffe://example.org/ns/demo/sa/client";

    private readonly ServiceRegister _register = new();
    private readonly DestinationMetrics _metrics = new();
    private readonly CancellationTokenSource _stopping = new();
    private WebApplication _app = null!;
    private GrpcChannel _channel = null!;

    public async ValueTask InitializeAsync()
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, 0, listen => listen.Protocols = HttpProtocols.Http2));
        builder.Services.AddGrpc();
        _app = builder.Build();
        _app.Use(next => context =>
        {
            if (SpiffeId.TryParse(context.Request.Headers["caller"], out var id, out _)) context.Features.Set(new Peer(id, DateTimeOffset.MaxValue));
            return next(context);
        });
        _app.MapGrpcService(new PolicyEndpoint(_register, new ProxyCalls(TrustDomain.Parse("example.org"), _metrics, TimeProvider.System, _stopping.Token)));
        await _app.StartAsync(TestContext.Current.CancellationToken);
        _channel = GrpcChannel.ForAddress(_app.Urls.First());
        Publish("one");
    }

    public async ValueTask DisposeAsync()
    {
        _channel.Dispose();
        await _stopping.CancelAsync();
        await _app.DisposeAsync();
        _stopping.Dispose();
    }

    [Fact]
    public async Task Get_tells_the_policy_of_now()
    {
        Assert.Equal("one", RouteOf(await Client.GetAsync(Target(Web), Headers(Proxy), cancellationToken: TestContext.Current.CancellationToken)));
        Publish("two");
        Assert.Equal("two", RouteOf(await Client.GetAsync(Target(Web), Headers(Proxy), cancellationToken: TestContext.Current.CancellationToken)));
    }

    public static TheoryData<string?, string?, StatusCode> Refusals => new()
    {
        { null, Web, StatusCode.Unauthenticated },
        { "spiffe://example.com/ns/demo/sa/client", Web, StatusCode.PermissionDenied },
        { Proxy, "no authority", StatusCode.InvalidArgument },
        { Proxy, "other.demo:80", StatusCode.NotFound },
        { Proxy, null, StatusCode.NotFound },
    };

    [Theory]
    [MemberData(nameof(Refusals))]
    public async Task Both_are_refused_with_a_code(string? caller, string? authority, StatusCode code)
    {
        var target = authority is null ? new TrafficSpec { Addr = new() { Ip = new() { Ipv4 = 0x0a000001 }, Port = 80 } } : Target(authority);
        var refused = await Assert.ThrowsAsync<RpcException>(() => Client.GetAsync(target, Headers(caller), cancellationToken: TestContext.Current.CancellationToken).ResponseAsync);
        Assert.Equal(code, refused.StatusCode);
        using var watch = Client.Watch(target, Headers(caller), cancellationToken: TestContext.Current.CancellationToken);
        Assert.Equal(code, (await Assert.ThrowsAsync<RpcException>(() => watch.ResponseStream.MoveNext(TestContext.Current.CancellationToken))).StatusCode);
    }

    [Fact]
    public async Task Watch_tells_every_change_of_routes_and_none_of_endpoints_until_the_service_is_gone()
    {
        using var watch = Client.Watch(Target(Web), Headers(Proxy), cancellationToken: TestContext.Current.CancellationToken);
        Assert.Equal("one", RouteOf(await NextAsync(watch)));
        Publish("one", endpoint: "10.0.0.1:80");
        Publish("one", endpoint: "10.0.0.2:80");
        Publish("two", endpoint: "10.0.0.2:80");
        Assert.Equal("two", RouteOf(await NextAsync(watch)));
        _register.Publish(new ServiceTable([]));
        Assert.Equal(StatusCode.NotFound, (await Assert.ThrowsAsync<RpcException>(() => watch.ResponseStream.MoveNext(TestContext.Current.CancellationToken))).StatusCode);
    }

    [Fact]
    public async Task Watch_ends_when_the_service_stops()
    {
        using var watch = Client.Watch(Target(Web), Headers(Proxy), cancellationToken: TestContext.Current.CancellationToken);
        await NextAsync(watch);
        await _stopping.CancelAsync();
        Assert.Equal(StatusCode.Unavailable, (await Assert.ThrowsAsync<RpcException>(() => watch.ResponseStream.MoveNext(TestContext.Current.CancellationToken))).StatusCode);
    }

    [Fact]
    public void All_who_follow_are_told_by_the_same_message_encoded_once()
    {
        Assert.True(Authority.TryParse(Web, out var authority));
        var feed = _register.Follow(authority)!;
        Assert.Same(feed.Current.Policy, _register.Follow(authority)!.Current.Policy);
        var before = feed.Current.Policy;
        Publish("two");
        Assert.NotSame(before, feed.Current.Policy);
        Assert.Same(feed.Current.Policy, feed.Current.Policy);
    }

    private OutboundPolicies.OutboundPoliciesClient Client => new(_channel);

    private static TrafficSpec Target(string authority) => new() { SourceWorkload = "demo", Authority = authority };

    private static Metadata Headers(string? caller) => caller is null ? [] : new Metadata { { "caller", caller } };

    private static string RouteOf(OutboundPolicy policy) => Assert.Single(policy.Protocol.Detect.Http2.Routes).Metadata.Resource.Name;

    private static async Task<OutboundPolicy> NextAsync(AsyncServerStreamingCall<OutboundPolicy> call)
    {
        Assert.True(await call.ResponseStream.MoveNext(TestContext.Current.CancellationToken));
        return call.ResponseStream.Current;
    }

    private void Publish(string route, string? endpoint = null)
    {
        var endpoints = endpoint is null ? "" : $$"""{ "address": "{{endpoint}}" }""";
        var table = ServiceFile.Parse($$"""{ "services": [ { "authority": "{{Web}}", "endpoints": [ {{endpoints}} ], "routes": [ { "name": "{{route}}" } ] } ] }""", out var faults);
        Assert.Empty(faults);
        _register.Publish(table!);
    }
}
