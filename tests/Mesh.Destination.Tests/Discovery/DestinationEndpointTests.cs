using System.Collections.Immutable;
using System.Net;
using Grpc.AspNetCore.Server;
using Grpc.Core;
using Grpc.Net.Client;
using Mesh.Destination.Discovery;
using Mesh.Destination.Services;
using Mesh.Protocol.Destination;
using Mesh.Spiffe;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Endpoint = Mesh.Destination.Services.Endpoint;

namespace Mesh.Destination.Tests.Discovery;

/// <summary><c>Destination/Get</c> and <c>GetProfile</c> as a proxy calls them. Who the caller is, which TLS finds out elsewhere, is told by a header here.</summary>
public sealed class DestinationEndpointTests : IAsyncLifetime
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
        _app.MapGrpcService(new DestinationEndpoint(
            _register, new ProxyCalls(TrustDomain.Parse("example.org"), _metrics, TimeProvider.System, _stopping.Token), NullLogger<DestinationEndpoint>.Instance));
        await _app.StartAsync(TestContext.Current.CancellationToken);
        _channel = GrpcChannel.ForAddress(_app.Urls.First());
    }

    public async ValueTask DisposeAsync()
    {
        _channel.Dispose();
        await _stopping.CancelAsync();
        await _app.DisposeAsync();
        _stopping.Dispose();
    }

    [Theory]
    [InlineData(null, Web, StatusCode.Unauthenticated)]
    [InlineData("spiffe://example.com/ns/demo/sa/client", Web, StatusCode.PermissionDenied)]
    [InlineData(Proxy, "no authority", StatusCode.InvalidArgument)]
    [InlineData(Proxy, "", StatusCode.InvalidArgument)]
    [InlineData(Proxy, "10.0.0.7:8080", StatusCode.InvalidArgument)]
    [InlineData(Proxy, "other.demo.svc.cluster.local:80", StatusCode.NotFound)]
    public async Task Get_is_refused_with_a_code_and_opens_no_stream(string? caller, string path, StatusCode code)
    {
        _register.Publish(Table(8080));
        using var call = Client.Get(new GetDestination { Path = path }, Headers(caller), cancellationToken: TestContext.Current.CancellationToken);
        var refused = await Assert.ThrowsAsync<RpcException>(() => call.ResponseStream.MoveNext(TestContext.Current.CancellationToken));
        Assert.Equal(code, refused.StatusCode);
        Assert.Equal(0, Metric("mesh_destination_streams_opened_total"));
        if (path != "10.0.0.7:8080") Assert.Equal(1, Metric("mesh_destination_calls_refused_total"));
    }

    [Theory]
    [InlineData(null, StatusCode.Unauthenticated)]
    [InlineData("spiffe://example.com/ns/demo/sa/client", StatusCode.PermissionDenied)]
    public async Task GetProfile_asks_for_an_identity_as_well(string? caller, StatusCode code)
    {
        using var call = Client.GetProfile(new GetDestination { Path = Web }, Headers(caller), cancellationToken: TestContext.Current.CancellationToken);
        Assert.Equal(code, (await Assert.ThrowsAsync<RpcException>(() => call.ResponseStream.MoveNext(TestContext.Current.CancellationToken))).StatusCode);
    }

    [Fact]
    public async Task Get_tells_the_endpoints_with_their_identity_and_every_change()
    {
        _register.Publish(Table(8080));
        using var call = Client.Get(new GetDestination { Path = Web }, Headers(Proxy), cancellationToken: TestContext.Current.CancellationToken);
        var first = Assert.Single((await NextAsync(call)).Add.Addrs);
        Assert.Equal("spiffe://example.org/ns/demo/sa/web", first.TlsIdentity.UriLikeIdentity.Uri);
        Assert.Equal(8080u, first.Addr.Port);

        _register.Publish(Table(8081));
        Assert.Equal(8081u, Assert.Single((await NextAsync(call)).Add.Addrs).Addr.Port);
        Assert.Equal(8080u, Assert.Single((await NextAsync(call)).Remove.Addrs).Port);

        await _stopping.CancelAsync();
        Assert.Equal(StatusCode.Unavailable, (await Assert.ThrowsAsync<RpcException>(() => NextAsync(call))).StatusCode);
        Assert.Equal(0, Metric("mesh_destination_streams"));
    }

    [Fact]
    public async Task GetProfile_of_an_address_tells_the_endpoint_that_lives_there_and_of_any_other_nothing()
    {
        _register.Publish(Table(8080));
        using var known = Client.GetProfile(new GetDestination { Path = "127.0.0.1:8080" }, Headers(Proxy), cancellationToken: TestContext.Current.CancellationToken);
        Assert.Equal("spiffe://example.org/ns/demo/sa/web", (await NextAsync(known)).Endpoint.TlsIdentity.UriLikeIdentity.Uri);
        using var unknown = Client.GetProfile(new GetDestination { Path = "127.0.0.1:9" }, Headers(Proxy), cancellationToken: TestContext.Current.CancellationToken);
        Assert.Null((await NextAsync(unknown)).Endpoint);
        using var name = Client.GetProfile(new GetDestination { Path = Web }, Headers(Proxy), cancellationToken: TestContext.Current.CancellationToken);
        Assert.Equal("web.demo.svc.cluster.local", (await NextAsync(name)).FullyQualifiedName);

        // Whoever moves there later is told on the stream that is open.
        _register.Publish(Table(9));
        Assert.Equal(9u, (await NextAsync(unknown)).Endpoint.Addr.Port);
    }

    [Fact]
    public async Task Before_any_services_are_read_nothing_is_claimed_and_then_all_is_answered()
    {
        using var get = Client.Get(new GetDestination { Path = Web }, Headers(Proxy), cancellationToken: TestContext.Current.CancellationToken);
        Assert.Equal(StatusCode.Unavailable, (await Assert.ThrowsAsync<RpcException>(() => NextAsync(get))).StatusCode);
        // "Not in the mesh" would make a proxy speak plaintext to it.
        using var profile = Client.GetProfile(new GetDestination { Path = "127.0.0.1:8080" }, Headers(Proxy), cancellationToken: TestContext.Current.CancellationToken);
        Assert.Equal(StatusCode.Unavailable, (await Assert.ThrowsAsync<RpcException>(() => NextAsync(profile))).StatusCode);
        Assert.Equal(2, Metric("mesh_destination_calls_refused_total"));
        Assert.Equal(0, Metric("mesh_destination_streams_opened_total"));

        _register.Publish(Table(8080));
        using var again = Client.Get(new GetDestination { Path = Web }, Headers(Proxy), cancellationToken: TestContext.Current.CancellationToken);
        Assert.Single((await NextAsync(again)).Add.Addrs);
    }

    private Protocol.Destination.Destination.DestinationClient Client => new(_channel);

    private static Metadata Headers(string? caller) => caller is null ? [] : new Metadata { { "caller", caller } };

    private static async Task<T> NextAsync<T>(AsyncServerStreamingCall<T> call)
    {
        Assert.True(await call.ResponseStream.MoveNext(TestContext.Current.CancellationToken));
        return call.ResponseStream.Current;
    }

    private double Metric(string name)
    {
        var text = new PrometheusText();
        _metrics.WriteTo(text);
        var line = text.ToString().Split('\n').Single(l => l.StartsWith(name + " ", StringComparison.Ordinal));
        return double.Parse(line[(name.Length + 1)..], System.Globalization.CultureInfo.InvariantCulture);
    }

    private static ServiceTable Table(int port)
    {
        Assert.True(Authority.TryParse(Web, out var authority));
        var endpoint = new Endpoint
        {
            Address = new IPEndPoint(IPAddress.Loopback, port),
            Identity = SpiffeId.Parse("spiffe://example.org/ns/demo/sa/web"),
            ServerName = "web.demo.serviceaccount.identity.mesh.example.org",
            InboundPort = 4143,
            Weight = 10_000,
            Opaque = false,
            Labels = ImmutableSortedDictionary<string, string>.Empty,
        };
        return new ServiceTable([new Service(authority, false, [endpoint]) { Policy = new() }]);
    }
}
