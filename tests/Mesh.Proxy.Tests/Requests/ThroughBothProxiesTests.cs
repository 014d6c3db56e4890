using System.Globalization;
using System.Net;
using System.Security.Cryptography;
using System.Text;
using Mesh.Proxy.Discovery;
using Mesh.Proxy.Policy;
using Mesh.Proxy.Tests.Connections;
using Mesh.Spiffe;
using Mesh.Testing;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Mesh.Proxy.Tests.Requests;

/// <summary>The framework's HTTP client and server, which know nothing of each other's proxies, and both proxies between them.</summary>
public sealed class ThroughBothProxiesTests : IAsyncLifetime
{
    private const string ClientId = "spiffe://example.org/ns/demo/sa/client";

    private readonly TestAuthority _authority = TestAuthority.CreateRoot(change: o => o with { NotBefore = DateTimeOffset.UtcNow.AddDays(-1) });

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public ValueTask DisposeAsync() => ValueTask.CompletedTask;

    [Theory]
    [InlineData(1, true)]
    [InlineData(1, false)]
    [InlineData(2, true)]
    [InlineData(2, false)]
    public async Task A_request_arrives_as_it_was_sent_and_says_who_sent_it(int version, bool header)
    {
        await using var mesh = await StartAsync(version, header: header);
        using var request = mesh.Request(HttpMethod.Get, "http://web.demo/head?a=b%20c");
        request.Headers.Add("x-test", "1");
        request.Headers.Add("l5d-client-id", "forged");
        using var response = await mesh.Client.SendAsync(request);
        Assert.Equal(HttpStatusCode.OK, response.StatusCode);
        Assert.Equal(version, response.Version.Major);
        Assert.Equal($"HTTP/{(version == 1 ? "1.1" : "2")} GET web.demo/head?a=b%20c\nhost: web.demo\nl5d-client-id: {ClientId}\nx-test: 1\n", await response.Content.ReadAsStringAsync());
        Assert.False(response.Headers.Contains("l5d-orig-proto"));
    }

    [Theory]
    [InlineData(1, 0)]
    [InlineData(1, 10)]
    [InlineData(1, 3_000_000)]
    [InlineData(2, 0)]
    [InlineData(2, 10)]
    [InlineData(2, 3_000_000)]
    public async Task Bodies_arrive_unchanged_both_ways(int version, int size)
    {
        await using var mesh = await StartAsync(version);
        var data = RandomNumberGenerator.GetBytes(size);
        foreach (var chunked in new[] { false, true })
        {
            using var request = mesh.Request(HttpMethod.Post, "http://web.demo/echo");
            request.Content = new ByteArrayContent(data);
            request.Headers.TransferEncodingChunked = chunked && version == 1;
            using var response = await mesh.Client.SendAsync(request);
            Assert.Equal(SHA256.HashData(data), SHA256.HashData(await response.Content.ReadAsByteArrayAsync()));
        }
    }

    [Fact]
    public async Task Trailers_arrive()
    {
        await using var mesh = await StartAsync(2);
        using var response = await mesh.Client.GetAsync("http://web.demo/trailers");
        Assert.Equal("body", await response.Content.ReadAsStringAsync());
        Assert.Equal("42", response.TrailingHeaders.GetValues("x-sum").Single());
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task A_hundred_clients_share_one_connection_between_the_proxies(int version)
    {
        await using var mesh = await StartAsync(version);
        await Task.WhenAll(Enumerable.Range(0, 100).Select(async i =>
        {
            for (var round = 0; round < 20; round++)
            {
                var text = string.Create(CultureInfo.InvariantCulture, $"{i}-{round}");
                using var content = new StringContent(text);
                using var response = await mesh.Client.PostAsync("http://web.demo/echo", content);
                Assert.Equal(text, await response.Content.ReadAsStringAsync());
            }
        }));
        Assert.Contains("mesh_proxy_tls_handshakes_total{direction=\"outbound\",result=\"ok\"} 1\n", await mesh.Sending.MetricsAsync(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(1, "HEAD")]
    [InlineData(2, "HEAD")]
    public async Task Head_tells_a_length_and_has_no_body(int version, string method)
    {
        await using var mesh = await StartAsync(version);
        using var request = mesh.Request(new HttpMethod(method), "http://web.demo/bytes?n=1000&length=1");
        using var response = await mesh.Client.SendAsync(request);
        Assert.Equal((1000, 0), (response.Content.Headers.ContentLength, (await response.Content.ReadAsByteArrayAsync()).Length));
    }

    [Theory]
    [InlineData(1, 204)]
    [InlineData(1, 304)]
    [InlineData(1, 500)]
    [InlineData(2, 204)]
    [InlineData(2, 304)]
    public async Task A_status_arrives(int version, int status)
    {
        await using var mesh = await StartAsync(version);
        for (var i = 0; i < 3; i++)
        {
            using var response = await mesh.Client.GetAsync($"http://web.demo/status?code={status}");
            Assert.Equal(status, (int)response.StatusCode);
        }
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task An_answer_that_breaks_off_is_not_taken_for_a_whole_one(int version)
    {
        await using var mesh = await StartAsync(version);
        await Assert.ThrowsAnyAsync<HttpRequestException>(() => mesh.Client.GetStringAsync("http://web.demo/abort"));
        Assert.Equal("ok", await mesh.EchoAsync("ok"));
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task Who_may_not_call_is_told_so(int version)
    {
        await using var mesh = await StartAsync(version, policy: InboundPolicy.Deny);
        using var response = await mesh.Client.GetAsync("http://web.demo/head");
        Assert.Equal(HttpStatusCode.Forbidden, response.StatusCode);
        Assert.Equal("the client is not authorized", response.Headers.GetValues("l5d-proxy-error").Single());
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task Who_is_refused_while_still_sending_reads_why(int version)
    {
        await using var mesh = await StartAsync(version, policy: InboundPolicy.Deny);
        for (var i = 0; i < 5; i++)
        {
            using var request = mesh.Request(HttpMethod.Post, "http://web.demo/echo");
            request.Content = new ByteArrayContent(new byte[500_000]);
            using var response = await mesh.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
            Assert.Equal(HttpStatusCode.Forbidden, response.StatusCode);
        }
    }

    [Fact]
    public async Task A_client_without_identity_is_refused_request_by_request()
    {
        await using var mesh = await StartAsync(1);
        using var client = new HttpClient();
        using var response = await client.GetAsync($"http://{mesh.Receiving.Inbound}/head");
        Assert.Equal(HttpStatusCode.Forbidden, response.StatusCode);
    }

    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    public async Task Without_a_server_the_client_is_told(int version)
    {
        await using var mesh = await StartAsync(version);
        await mesh.Application.DisposeAsync();
        using var response = await mesh.Client.GetAsync("http://web.demo/head");
        Assert.Equal(HttpStatusCode.BadGateway, response.StatusCode);
    }

    [Fact]
    public async Task An_upgrade_becomes_a_tunnel_with_two_ends()
    {
        await using var mesh = await StartAsync(1);
        using var client = await TestClient.ConnectAsync(mesh.Sending.Outbound);
        await client.SendAsync("GET /upgrade HTTP/1.1\r\nHost: web.demo\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n");
        var head = "";
        while (!head.EndsWith("\r\n\r\n", StringComparison.Ordinal)) head += await client.ReadAsync(1);
        Assert.StartsWith("HTTP/1.1 101 ", head, StringComparison.Ordinal);
        Assert.Equal("tunnel", await client.EchoAsync("tunnel"));
        client.Finish();
        Assert.Equal("", await client.ReadToEndAsync());
    }

    [Fact]
    public async Task Requests_sent_ahead_are_answered_in_order()
    {
        await using var mesh = await StartAsync(1);
        using var client = await TestClient.ConnectAsync(mesh.Sending.Outbound);
        var requests = string.Concat(Enumerable.Range(0, 20).Select(i => $"POST /echo HTTP/1.1\r\nHost: web.demo\r\nContent-Length: 2\r\n\r\n{i:d2}"));
        await client.SendAsync(requests + "GET /status?code=204 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
        var all = await client.ReadToEndAsync();
        Assert.Equal(Enumerable.Range(0, 20).Select(i => i.ToString("d2", CultureInfo.InvariantCulture)), all.Split("\r\n\r\n")[1..21].Select(part => part[..2]));
        Assert.Contains("HTTP/1.1 204", all, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_client_that_writes_byte_by_byte_is_served()
    {
        await using var mesh = await StartAsync(1);
        using var client = await TestClient.ConnectAsync(mesh.Sending.Outbound);
        foreach (var character in "POST /echo HTTP/1.1\r\nHost: web.demo\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n") await client.SendAsync(character.ToString());
        Assert.EndsWith("\r\n\r\n3\r\nabc\r\n0\r\n\r\n", await client.ReadToEndAsync(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n")]
    [InlineData("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n")]
    [InlineData("GET / HTTP/1.1\r\nHost : a\r\n\r\n")]
    [InlineData("GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n")]
    [InlineData("GET / HTTP/1.1\nHost: a\n\n")]
    [InlineData("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n")]
    public async Task What_could_be_read_in_two_ways_is_refused(string request)
    {
        await using var mesh = await StartAsync(1);
        using var client = await TestClient.ConnectAsync(mesh.Sending.Outbound);
        await client.SendAsync(request);
        var answer = await client.ReadToEndAsync();
        Assert.StartsWith("HTTP/1.1 400 ", answer, StringComparison.Ordinal);
        Assert.Contains("connection: close\r\n", answer, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task No_connection_outlives_the_certificates_it_was_made_with(bool clientExpires)
    {
        var expiry = DateTimeOffset.UtcNow.AddSeconds(4);
        expiry = expiry.AddTicks(-(expiry.Ticks % TimeSpan.TicksPerSecond));
        var shortLived = _authority.CreateSvid($"spiffe://example.org/ns/demo/sa/{(clientExpires ? "client" : "web")}", o => o with { NotAfter = expiry });
        await using var mesh = await StartAsync(2, client: clientExpires ? shortLived : null, web: clientExpires ? null : shortLived);
        Assert.Equal("ok", await mesh.EchoAsync("ok"));
        HttpStatusCode status;
        do
        {
            using var response = await mesh.Client.GetAsync("http://web.demo/head");
            status = response.StatusCode;
        }
        while (status == HttpStatusCode.OK && DateTimeOffset.UtcNow < expiry.AddSeconds(20));
        Assert.Equal(clientExpires ? HttpStatusCode.ServiceUnavailable : HttpStatusCode.BadGateway, status);
        Assert.True(DateTimeOffset.UtcNow >= expiry, "refused before a certificate had expired");
    }

    private async Task<Mesh> StartAsync(
        int version, bool header = true, InboundPolicy policy = InboundPolicy.AllAuthenticated, X509Svid? client = null, X509Svid? web = null)
    {
        var application = await WebApplicationUnderTest.StartAsync(version == 1 ? HttpProtocols.Http1 : HttpProtocols.Http2);
        var receiving = await RunningProxy.ReceivingAsync(application.Address, _authority, policy, web);
        var endpoint = RunningProxy.Meshed(application.Address, receiving.Inbound, header: header) with { Protocol = ProtocolHint.Http2 };
        var sending = await RunningProxy.SendingAsync(_authority, client, endpoints: endpoint);
        return new Mesh(application, receiving, sending, version);
    }

    private sealed class Mesh : IAsyncDisposable
    {
        public Mesh(WebApplicationUnderTest application, RunningProxy receiving, RunningProxy sending, int version)
        {
            (Application, Receiving, Sending) = (application, receiving, sending);
            Client = new HttpClient(new SocketsHttpHandler { Proxy = null, UseProxy = false, ConnectCallback = ConnectAsync })
            {
                Timeout = TestClient.Limit,
                DefaultRequestVersion = version == 1 ? System.Net.HttpVersion.Version11 : System.Net.HttpVersion.Version20,
                DefaultVersionPolicy = HttpVersionPolicy.RequestVersionExact,
            };
        }

        public WebApplicationUnderTest Application { get; }

        public RunningProxy Receiving { get; }

        public RunningProxy Sending { get; }

        public HttpClient Client { get; }

        public async Task<string> EchoAsync(string text)
        {
            using var content = new StringContent(text, Encoding.ASCII);
            using var response = await Client.PostAsync("http://web.demo/echo", content);
            return await response.Content.ReadAsStringAsync();
        }

        public async ValueTask DisposeAsync()
        {
            Client.Dispose();
            await Sending.DisposeAsync();
            await Receiving.DisposeAsync();
            await Application.DisposeAsync();
        }

        // HttpClient sets version and policy on its own requests only.
        public HttpRequestMessage Request(HttpMethod method, string uri) =>
            new(method, uri) { Version = Client.DefaultRequestVersion, VersionPolicy = Client.DefaultVersionPolicy };

        private async ValueTask<Stream> ConnectAsync(SocketsHttpConnectionContext context, CancellationToken ct)
        {
            var client = await TestClient.ConnectAsync(Sending.Outbound);
            return new System.Net.Sockets.NetworkStream(client.Socket, ownsSocket: true);
        }
    }
}
