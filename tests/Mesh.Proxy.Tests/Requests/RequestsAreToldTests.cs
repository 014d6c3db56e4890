using System.Net;
using Mesh.Proxy.Policy;
using Mesh.Proxy.Tests.Connections;
using Mesh.Testing;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Mesh.Proxy.Tests.Requests;

/// <summary>What both proxies count and write of requests that pass through them.</summary>
public sealed class RequestsAreToldTests
{
    private const string ClientId = "spiffe://example.org/ns/demo/sa/client";
    private const string ServerId = "spiffe://example.org/ns/demo/sa/web";

    private readonly TestAuthority _authority = TestAuthority.CreateRoot(change: o => o with { NotBefore = DateTimeOffset.UtcNow.AddDays(-1) });

    [Fact]
    public async Task Requests_are_counted_by_verified_peer_on_both_sides_and_have_a_line_each()
    {
        await using var application = await WebApplicationUnderTest.StartAsync(HttpProtocols.Http1);
        await using var receiving = await RunningProxy.ReceivingAsync(application.Address, _authority);
        await using var sending = await RunningProxy.SendingAsync(_authority, endpoints: RunningProxy.Meshed(application.Address, receiving.Inbound));
        using var client = await TestClient.ConnectAsync(sending.Outbound);
        await client.SendAsync("POST /echo HTTP/1.1\r\nHost: web.demo\r\nUser-Agent: test/1\r\nContent-Length: 3\r\n\r\nabcGET /status?code=503 HTTP/1.1\r\nHost: web.demo\r\nConnection: close\r\n\r\n");
        await client.ReadToEndAsync();

        var line = await sending.Log.NextAsync(" 3103 ", "path=/echo");
        Assert.Contains(
            $"direction=outbound connection=1 method=POST authority=web.demo path=/echo version=HTTP/1.1 status=200 peer={ServerId} endpoint={application.Address} bytes_up=3 bytes_down=3 latency_ms=",
            line, StringComparison.Ordinal);
        Assert.EndsWith(" user_agent=test/1", line, StringComparison.Ordinal);
        await sending.Log.NextAsync(" 3103 ", "/status?code=503", "status=503");
        Holds(
            await sending.MetricsAsync(),
            $$"""request_total{direction="outbound",authority="web.demo:80",tls="true",server_id="{{ServerId}}"} 2""",
            $$"""response_total{direction="outbound",authority="web.demo:80",tls="true",server_id="{{ServerId}}",status_code="200",classification="success"} 1""",
            $$"""response_total{direction="outbound",authority="web.demo:80",tls="true",server_id="{{ServerId}}",status_code="503",classification="failure"} 1""",
            $$"""response_latency_ms_count{direction="outbound",authority="web.demo:80",tls="true",server_id="{{ServerId}}",status_code="200"} 1""",
            """mesh_proxy_http_connections_total{direction="outbound",peer="src",version="HTTP/1.1"} 1""");

        await receiving.Log.NextAsync(" 3103 ", "direction=inbound", "path=/echo", $"peer={ClientId} endpoint={application.Address}");
        await receiving.Log.NextAsync(" 3103 ", "direction=inbound", "status=503");
        Holds(
            await receiving.MetricsAsync(),
            $$"""request_total{direction="inbound",target_addr="{{application.Address}}",tls="true",client_id="{{ClientId}}"} 2""",
            $$"""response_total{direction="inbound",target_addr="{{application.Address}}",tls="true",client_id="{{ClientId}}",status_code="503",classification="failure"} 1""",
            $$"""inbound_http_authz_allow_total{target_addr="{{application.Address}}",srv_kind="default",srv_name="all-authenticated",authz_kind="default",authz_name="all-authenticated",tls="true",client_id="{{ClientId}}"} 2""");
    }

    [Fact]
    public async Task A_request_that_is_denied_is_counted_with_the_decisions_and_not_against_the_application()
    {
        await using var application = await WebApplicationUnderTest.StartAsync(HttpProtocols.Http1);
        await using var receiving = await RunningProxy.ReceivingAsync(application.Address, _authority);
        using var client = await TestClient.ConnectAsync(receiving.Inbound);
        await client.SendAsync("GET /secret HTTP/1.1\r\nHost: web.demo\r\nConnection: close\r\n\r\n");
        Assert.StartsWith("HTTP/1.1 403 ", await client.ReadToEndAsync(), StringComparison.Ordinal);
        await receiving.Log.NextAsync(" 3103 ", "path=/secret", "status=403 reason=unauthorized no_peer=no_tls_from_remote");
        var page = await receiving.MetricsAsync();
        Holds(
            page,
            """inbound_http_errors_total{error="unauthorized"} 1""",
            $$"""inbound_http_authz_deny_total{target_addr="{{application.Address}}",srv_kind="default",srv_name="all-authenticated",authz_kind="default",authz_name="all-authenticated",tls="no_identity",no_tls_reason="no_tls_from_remote",reason="unauthenticated"} 1""");
        Assert.DoesNotContain("\nrequest_total{", page, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_request_without_a_server_says_why()
    {
        await using var sending = await RunningProxy.SendingAsync(_authority, endpoints: RunningProxy.Meshed(new IPEndPoint(IPAddress.Loopback, 1), new IPEndPoint(IPAddress.Loopback, 1)));
        using var client = await TestClient.ConnectAsync(sending.Outbound);
        await client.SendAsync("GET / HTTP/1.1\r\nHost: web.demo\r\nConnection: close\r\n\r\n");
        Assert.StartsWith("HTTP/1.1 502 ", await client.ReadToEndAsync(), StringComparison.Ordinal);
        await sending.Log.NextAsync(" 3103 ", "status=502 reason=connect_failed");
        Holds(
            await sending.MetricsAsync(),
            """outbound_http_errors_total{error="connect_failed"} 1""",
            $$"""response_total{direction="outbound",authority="web.demo:80",tls="true",server_id="{{ServerId}}",classification="failure",error="connect_failed"} 1""");
    }

    [Fact]
    public async Task A_client_that_breaks_http_is_counted_by_what_it_did()
    {
        await using var application = await WebApplicationUnderTest.StartAsync(HttpProtocols.Http1);
        await using var receiving = await RunningProxy.ReceivingAsync(application.Address, _authority, InboundPolicy.AllUnauthenticated);
        using var client = await TestClient.ConnectAsync(receiving.Inbound);
        await client.SendAsync("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n");
        Assert.StartsWith("HTTP/1.1 400 ", await client.ReadToEndAsync(), StringComparison.Ordinal);
        await receiving.Log.NextAsync(" 3101 ", "direction=inbound");
        Holds(await receiving.MetricsAsync(), """mesh_proxy_http_protocol_errors_total{direction="inbound",peer="src",version="HTTP/1.1",fault="several_content_lengths"} 1""");
    }

    private static void Holds(string page, params string[] lines)
    {
        foreach (var line in lines) Assert.Contains("\n" + line + "\n", page, StringComparison.Ordinal);
    }
}
