using System.Net;
using System.Text;
using Google.Protobuf;
using Mesh.Protocol.HttpRoutes;
using Mesh.Protocol.Outbound;
using Mesh.Proxy.Tests.Connections;
using Microsoft.AspNetCore.Http;
using static Mesh.Proxy.Tests.Routing.Policies;
using Retry = Mesh.Protocol.Outbound.HttpRoute.Types.Retry;

namespace Mesh.Proxy.Tests.Requests;

/// <summary>What ends requests early and what sends them again, over real sockets.</summary>
public sealed class TimeoutsAndRetriesTests : IAsyncDisposable
{
    private readonly ServicesUnderTest _mesh = new();
    private readonly TaskCompletionSource _end = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public async ValueTask DisposeAsync()
    {
        _end.TrySetResult();
        await _mesh.DisposeAsync();
    }

    public static TheoryData<string, int> EveryTimeout => new()
    {
        { "request", 1 }, { "request", 2 }, { "response", 1 }, { "response", 2 }, { "idle", 1 }, { "idle", 2 },
    };

    [Theory]
    [MemberData(nameof(EveryTimeout))]
    public async Task A_request_that_takes_too_long_is_ended(string which, int version)
    {
        await _mesh.ServeAsync("web.demo:80", version, context => context.Request.Path == "/hang" ? _end.Task : context.Response.WriteAsync("ok"));
        await using var sending = await _mesh.SendAsync(Message(Route("web", Rule(Prefix("/hang"))), Route("ok", Rule())).With(rule => rule.Timeouts = Of(which, 100)));
        using var client = ClientOf.Proxy(sending, version);
        using var response = await client.GetAsync("/hang");
        Assert.Equal(HttpStatusCode.GatewayTimeout, response.StatusCode);
        await sending.Log.NextAsync(" 3103 ", "path=/hang", $"reason={which}_timeout");
        Assert.Equal("ok", await client.GetStringAsync("/"));
    }

    [Fact]
    public async Task A_grpc_client_is_told_in_its_own_way()
    {
        await _mesh.ServeAsync("web.demo:80", 2, _ => _end.Task);
        await using var sending = await _mesh.SendAsync(Message(Route("web", Rule())).With(rule => rule.Timeouts = Of("request", 100)));
        using var client = ClientOf.Proxy(sending, 2);
        using var content = new ByteArrayContent([]);
        content.Headers.ContentType = new("application/grpc");
        using var response = await client.PostAsync("/demo.Echo/Say", content);
        Assert.Equal((HttpStatusCode.OK, "4"), (response.StatusCode, response.Headers.GetValues("grpc-status").Single()));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task An_answer_that_has_begun_is_broken_off(int version)
    {
        await _mesh.ServeAsync("web.demo:80", version, async context =>
        {
            await context.Response.WriteAsync("part");
            await context.Response.Body.FlushAsync();
            await _end.Task;
        });
        await using var sending = await _mesh.SendAsync(Message(Route("web", Rule())).With(rule => rule.Timeouts = Of("idle", 2_000)));
        using var client = ClientOf.Proxy(sending, version);
        using var response = await client.GetAsync("/", HttpCompletionOption.ResponseHeadersRead);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        await Assert.ThrowsAnyAsync<Exception>(() => response.Content.ReadAsStringAsync());
    }

    [Theory]
    [InlineData(1, 10)]
    [InlineData(2, 10)]
    [InlineData(1, 60_000)]
    [InlineData(2, 60_000)]
    public async Task A_request_that_failed_is_sent_again_with_its_body(int version, int size)
    {
        var tries = 0;
        await _mesh.ServeAsync("web.demo:80", version, async context =>
        {
            using var body = new StreamReader(context.Request.Body);
            var text = await body.ReadToEndAsync();
            context.Response.StatusCode = Interlocked.Increment(ref tries) % 3 == 0 ? 200 : 503;
            await context.Response.WriteAsync(text);
        });
        await using var sending = await _mesh.SendAsync(Message(Route("web", Rule())).With(rule => rule.Retry = OnFailure(2)));
        using var client = ClientOf.Proxy(sending, version);
        for (var i = 0; i < 5; i++)
        {
            var sent = new string('x', size);
            using var content = new StringContent(sent, Encoding.ASCII);
            using var response = await client.PostAsync("/", content);
            Assert.Equal((HttpStatusCode.OK, sent), (response.StatusCode, await response.Content.ReadAsStringAsync()));
        }

        Assert.Equal(15, tries);
        await sending.Log.NextAsync(" 3103 ", "status=200", "retries=2");
    }

    [Fact]
    public async Task The_last_answer_is_passed_on_whatever_it_is()
    {
        await _mesh.ServeAsync("web.demo:80", handle: Failing);
        await using var sending = await _mesh.SendAsync(Message(Route("web", Rule())).With(rule => rule.Retry = OnFailure(2)));
        using var client = ClientOf.Proxy(sending);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await client.GetAsync("/")).StatusCode);
        Assert.Equal(3, _mesh.Served["web.demo:80"]);
    }

    [Fact]
    public async Task A_body_longer_than_the_limit_is_sent_once()
    {
        await _mesh.ServeAsync("web.demo:80", handle: async context =>
        {
            await context.Request.Body.CopyToAsync(Stream.Null);
            await Failing(context);
        });
        await using var sending = await _mesh.SendAsync(Message(Route("web", Rule())).With(rule =>
        {
            rule.Retry = OnFailure(2);
            rule.Retry.MaxRequestBytes = 100;
        }));
        using var client = ClientOf.Proxy(sending);
        using var content = new StringContent(new string('x', 101));
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await client.PostAsync("/", content)).StatusCode);
        Assert.Equal(1, _mesh.Served["web.demo:80"]);
    }

    [Fact]
    public async Task The_budget_keeps_retries_from_multiplying_the_load()
    {
        await _mesh.ServeAsync("web.demo:80", handle: Failing);
        await using var sending = await _mesh.SendAsync(Message(Route("web", Rule())).With(rule => rule.Retry = OnFailure(16)));
        using var client = ClientOf.Proxy(sending);
        for (var i = 0; i < 50; i++) await client.GetAsync("/");
        // Without it there would be 850.
        Assert.InRange(_mesh.Served["web.demo:80"], 100, 500);
    }

    [Fact]
    public async Task A_try_that_takes_too_long_goes_to_another_endpoint()
    {
        await _mesh.ServeAsync("web.demo:80", handle: _ => _end.Task);
        await _mesh.ServeAsync("good.demo:80");
        _mesh.Endpoints[ServicesUnderTest.Web] = ServicesUnderTest.Set([.. _mesh.Endpoints.Values.SelectMany(set => set.Endpoints)]);
        await using var sending = await _mesh.SendAsync(Message(Route("web", Rule())).With(rule =>
        {
            rule.Retry = OnFailure(1);
            rule.Retry.Timeout = Ms(1_000);
            rule.Retry.Backoff = new ExponentialBackoff { MinBackoff = Ms(1), MaxBackoff = Ms(2) };
        }));
        using var client = ClientOf.Proxy(sending);
        for (var i = 0; i < 10; i++) Assert.Equal("good.demo:80", await client.GetStringAsync("/"));
    }

    [Fact]
    public async Task A_call_of_grpc_is_sent_again_by_its_own_status()
    {
        var calls = 0;
        await _mesh.ServeAsync("web.demo:80", 2, context =>
        {
            context.Response.ContentType = "application/grpc";
            context.Response.Headers["grpc-status"] = Interlocked.Increment(ref calls) == 1 ? "14" : "5";
            return Task.CompletedTask;
        });
        var rule = new GrpcRoute.Types.Rule
        {
            Backends = GrpcRoute.Types.Distribution.Parser.ParseFrom(To("web.demo:80").ToByteString()),
            Retry = new GrpcRoute.Types.Retry { MaxRetries = 3, Conditions = new() { Unavailable = true } },
        };
        await using var sending = await _mesh.SendAsync(new OutboundPolicy { Protocol = new ProxyProtocol { Grpc = new() { Routes = { new GrpcRoute { Rules = { rule } } } } } });
        using var client = ClientOf.Proxy(sending, 2);
        using var content = new ByteArrayContent([]);
        content.Headers.ContentType = new("application/grpc");
        using var response = await client.PostAsync("/demo.Echo/Say", content);
        // Not found is an answer, unavailable was none.
        Assert.Equal(("5", 2), (response.Headers.GetValues("grpc-status").Single(), calls));
    }

    private static Timeouts Of(string which, double milliseconds) => which switch
    {
        "request" => new Timeouts { Request = Ms(milliseconds) },
        "response" => new Timeouts { Response = Ms(milliseconds) },
        _ => new Timeouts { Idle = Ms(milliseconds) },
    };

    private static Retry OnFailure(uint max) =>
        new() { MaxRetries = max, Conditions = new() { StatusRanges = { new Retry.Types.Conditions.Types.StatusRange { Start = 500, End = 599 } } } };

    private static Task Failing(HttpContext context)
    {
        context.Response.StatusCode = 503;
        return Task.CompletedTask;
    }
}

file static class FirstRule
{
    /// <summary>Changes the first rule there is.</summary>
    public static OutboundPolicy With(this OutboundPolicy policy, Action<HttpRoute.Types.Rule> change)
    {
        // A message may share its routes between the versions.
        var (http1, http2) = (policy.Protocol.Detect.Http1.Routes[0].Rules[0], policy.Protocol.Detect.Http2.Routes[0].Rules[0]);
        change(http1);
        if (!ReferenceEquals(http1, http2)) change(http2);
        return policy;
    }
}
