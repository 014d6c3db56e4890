using System.Net;
using Google.Protobuf;
using Mesh.Protocol.HttpRoutes;
using Mesh.Protocol.HttpTypes;
using Mesh.Proxy.Discovery;
using Mesh.Proxy.Settings;
using Mesh.Proxy.Tests.Connections;
using Microsoft.AspNetCore.Http;
using static Mesh.Proxy.Tests.Routing.Policies;
using FailureAccrual = Mesh.Protocol.Outbound.FailureAccrual;
using Filter = Mesh.Protocol.Outbound.HttpRoute.Types.Filter;

namespace Mesh.Proxy.Tests.Requests;

/// <summary>The routes of a service applied to requests, over real sockets.</summary>
public sealed class RoutesTests : IAsyncDisposable
{
    private readonly ServicesUnderTest _mesh = new();

    public ValueTask DisposeAsync() => _mesh.DisposeAsync();

    [Fact]
    public async Task Requests_are_split_by_weight()
    {
        await _mesh.ServeAsync("web.demo:80");
        await _mesh.ServeAsync("next.demo:80");
        await _mesh.ServeAsync("never.demo:80");
        var rule = Rule();
        rule.Backends = Weighted(("web.demo:80", 90), ("next.demo:80", 10), ("never.demo:80", 0));
        await using var sending = await _mesh.SendAsync(Message(Route("split", rule)));
        using var client = ClientOf.Proxy(sending);
        for (var i = 0; i < 400; i++) await client.GetStringAsync("/");
        Assert.InRange(_mesh.Served["next.demo:80"], 1, 199);
        Assert.Equal(400, _mesh.Served["web.demo:80"] + _mesh.Served["next.demo:80"]);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task A_header_decides_about_the_route_and_the_log_names_it(int version)
    {
        await _mesh.ServeAsync("web.demo:80", version);
        await _mesh.ServeAsync("next.demo:80", version);
        var next = Rule(new HttpRouteMatch { Headers = { new HeaderMatch { Name = "x-next", Exact = ByteString.CopyFromUtf8("1") } } });
        next.Backends = To("next.demo:80");
        await using var sending = await _mesh.SendAsync(Message(Route("next", next), Route("web", Rule())));
        using var client = ClientOf.Proxy(sending, version);
        Assert.Equal("web.demo:80", await client.GetStringAsync("/"));
        client.DefaultRequestHeaders.Add("x-next", "1");
        Assert.Equal("next.demo:80", await client.GetStringAsync("/"));
        await sending.Log.NextAsync(" 3103 ", "route=HTTPRoute/demo/next");
    }

    [Fact]
    public async Task What_no_route_takes_is_told_so()
    {
        await _mesh.ServeAsync("web.demo:80");
        await using var sending = await _mesh.SendAsync(Message(Route("web", Rule(Prefix("/only")))));
        using (var client = ClientOf.Proxy(sending)) Assert.Equal(HttpStatusCode.NotFound, (await client.GetAsync("/other")).StatusCode);
        using var http2 = ClientOf.Proxy(sending, 2);
        using var content = new ByteArrayContent([]);
        content.Headers.ContentType = new("application/grpc");
        using var response = await http2.PostAsync("/other", content);
        Assert.Equal((HttpStatusCode.OK, "12"), (response.StatusCode, response.Headers.GetValues("grpc-status").Single()));
    }

    [Fact]
    public async Task A_route_that_is_not_understood_refuses()
    {
        await _mesh.ServeAsync("web.demo:80");
        await using var sending = await _mesh.SendAsync(Message(Route("web", Rule(null, new Filter()))));
        using var client = ClientOf.Proxy(sending);
        Assert.Equal(HttpStatusCode.InternalServerError, (await client.GetAsync("/")).StatusCode);
        Assert.Empty(_mesh.Served);
    }

    [Fact]
    public async Task A_backend_without_endpoints_is_passed_over_and_alone_is_no_backend()
    {
        await _mesh.ServeAsync("web.demo:80");
        _mesh.Endpoints[HostPort.Parse("empty.demo:80")] = EndpointSet.Absent;
        var both = Rule(Prefix("/both"));
        both.Backends = Weighted(("empty.demo:80", 1000), ("web.demo:80", 1));
        var alone = Rule(Prefix("/alone"));
        alone.Backends = To("empty.demo:80");
        await using var sending = await _mesh.SendAsync(Message(Route("both", both), Route("alone", alone)));
        using var client = ClientOf.Proxy(sending);
        for (var i = 0; i < 10; i++) Assert.Equal("web.demo:80", await client.GetStringAsync("/both"));
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await client.GetAsync("/alone")).StatusCode);
    }

    [Fact]
    public async Task Fields_are_changed_both_ways()
    {
        await _mesh.ServeAsync("web.demo:80", handle: async context =>
        {
            context.Response.Headers["x-server"] = "secret";
            await context.Response.WriteAsync($"{context.Request.Headers["x-set"]},{context.Request.Headers["x-gone"]}");
        });
        var rule = Rule(
            null,
            new Filter { RequestHeaderModifier = new RequestHeaderModifier { Set = Headers(("x-set", "yes")), Remove = { "x-gone" } } },
            new Filter { ResponseHeaderModifier = new ResponseHeaderModifier { Add = Headers(("x-added", "1")), Remove = { "x-server" } } });
        await using var sending = await _mesh.SendAsync(Message(Route("web", rule)));
        using var client = ClientOf.Proxy(sending);
        client.DefaultRequestHeaders.Add("x-set", "no");
        client.DefaultRequestHeaders.Add("x-gone", "no");
        using var response = await client.GetAsync("/");
        Assert.Equal("yes,", await response.Content.ReadAsStringAsync());
        Assert.Equal(("1", false), (response.Headers.GetValues("x-added").Single(), response.Headers.Contains("x-server")));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task A_redirect_and_an_injected_failure_answer_themselves(int version)
    {
        await _mesh.ServeAsync("web.demo:80", version);
        await using var sending = await _mesh.SendAsync(Message(
            Route("moved", Rule(Prefix("/old"), new Filter { Redirect = new RequestRedirect { Host = "new.demo", Status = 301, Path = new PathModifier { Prefix = "/new" } } })),
            Route("broken", Rule(Prefix("/broken"), new Filter { FailureInjector = new HttpFailureInjector { Status = 418, Message = "on purpose", Ratio = new Ratio { Numerator = 1, Denominator = 1 } } })),
            Route("web", Rule())));
        using var client = ClientOf.Proxy(sending, version);
        for (var i = 0; i < 3; i++)
        {
            using var moved = await client.GetAsync("/old/page?a=b");
            Assert.Equal((HttpStatusCode.MovedPermanently, "http://new.demo/new/page?a=b"), (moved.StatusCode, moved.Headers.Location?.ToString()));
            using var content = new StringContent("a body nobody reads");
            using var broken = await client.PostAsync("/broken", content);
            Assert.Equal((418, "on purpose"), ((int)broken.StatusCode, broken.Headers.GetValues("l5d-proxy-error").Single()));
            Assert.Equal("web.demo:80", await client.GetStringAsync("/"));
        }

        Assert.Equal(3, _mesh.Served["web.demo:80"]);
    }

    [Fact]
    public async Task Other_routes_take_over_on_a_connection_that_is_open()
    {
        await _mesh.ServeAsync("web.demo:80");
        await _mesh.ServeAsync("next.demo:80");
        await using var sending = await _mesh.SendAsync(Message(Route("web", Rule())));
        using var client = ClientOf.Proxy(sending);
        Assert.Equal("web.demo:80", await client.GetStringAsync("/"));
        var rule = Rule();
        rule.Backends = To("next.demo:80");
        sending.Plane.UsePolicy(ServicesUnderTest.Web, ServicesUnderTest.Read(Message(Route("next", rule))));
        // Whatever was posted before has been done when this is answered.
        await sending.MetricsAsync();
        Assert.Equal("next.demo:80", await client.GetStringAsync("/"));
    }

    [Fact]
    public async Task An_endpoint_that_keeps_failing_is_taken_out_of_use()
    {
        await _mesh.ServeAsync("web.demo:80", handle: Failing);
        var hour = TimeSpan.FromHours(1).TotalMilliseconds;
        await using var sending = await _mesh.SendAsync(Message(Consecutive(3, hour), Route("web", Rule())));
        using var client = ClientOf.Proxy(sending);
        for (var i = 0; i < 3; i++) Assert.Equal(HttpStatusCode.InternalServerError, (await client.GetAsync("/")).StatusCode);
        using var refused = await client.GetAsync("/");
        Assert.Equal((HttpStatusCode.ServiceUnavailable, "every server of the service is failing"), (refused.StatusCode, refused.Headers.GetValues("l5d-proxy-error").Single()));
        Assert.Equal(3, _mesh.Served["web.demo:80"]);
    }

    [Fact]
    public async Task Another_endpoint_takes_the_requests_of_one_that_keeps_failing()
    {
        await _mesh.ServeAsync("web.demo:80", handle: Failing);
        var bad = _mesh.Endpoints[ServicesUnderTest.Web].Endpoints[0];
        await _mesh.ServeAsync("good.demo:80");
        _mesh.Endpoints[ServicesUnderTest.Web] = ServicesUnderTest.Set(bad, _mesh.Endpoints[HostPort.Parse("good.demo:80")].Endpoints[0]);
        await using var sending = await _mesh.SendAsync(Message(Consecutive(3, TimeSpan.FromHours(1).TotalMilliseconds), Route("web", Rule())));
        using var client = ClientOf.Proxy(sending);
        var failed = 0;
        for (var i = 0; i < 200; i++) failed += (await client.GetAsync("/")).IsSuccessStatusCode ? 0 : 1;
        Assert.InRange(failed, 0, 3);
    }

    [Fact]
    public async Task A_probe_brings_an_endpoint_back()
    {
        var isWell = false;
        await _mesh.ServeAsync("web.demo:80", handle: context => Volatile.Read(ref isWell) ? context.Response.WriteAsync("well") : Failing(context));
        await using var sending = await _mesh.SendAsync(Message(Consecutive(3, 1), Route("web", Rule())));
        using var client = ClientOf.Proxy(sending);
        for (var i = 0; i < 3; i++) Assert.Equal(HttpStatusCode.InternalServerError, (await client.GetAsync("/")).StatusCode);
        Volatile.Write(ref isWell, true);
        using var limit = new CancellationTokenSource(TestClient.Limit);
        while (!(await client.GetAsync("/", limit.Token)).IsSuccessStatusCode) { }
        for (var i = 0; i < 20; i++) Assert.Equal("well", await client.GetStringAsync("/"));
    }

    private static Task Failing(HttpContext context)
    {
        context.Response.StatusCode = 500;
        return Task.CompletedTask;
    }

    private static FailureAccrual Consecutive(uint max, double milliseconds) =>
        new() { ConsecutiveFailures = new() { MaxFailures = max, Backoff = new() { MinBackoff = Ms(milliseconds), MaxBackoff = Ms(milliseconds) } } };
}
