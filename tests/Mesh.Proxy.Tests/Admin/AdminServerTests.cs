using System.Net;
using System.Net.Sockets;
using System.Text;
using Mesh.Proxy.Admin;
using Mesh.Proxy.Logging;

namespace Mesh.Proxy.Tests.Admin;

public sealed class AdminServerTests : IAsyncLifetime
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(20);
    private readonly CancellationTokenSource _stop = new();
    private readonly AdminServer _server;
    private Readiness _readiness = new(true, "ready");
    private int _shutdowns;
    private Task _running = Task.CompletedTask;

    public AdminServerTests()
    {
        var pages = new AdminPages(() => _readiness, _ => ValueTask.FromResult("a_metric 1\n"), () => _shutdowns++);
        _server = AdminServer.Bind(new IPEndPoint(IPAddress.Loopback, 0), pages, TimeProvider.System, LineLog.None);
    }

    public ValueTask InitializeAsync()
    {
        _running = _server.RunAsync(_stop.Token);
        return ValueTask.CompletedTask;
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _running.WaitAsync(Patience);
        _server.Dispose();
        _stop.Dispose();
    }

    [Fact]
    public async Task Serves_metrics_to_a_real_client()
    {
        using var http = new HttpClient();
        var answer = await http.GetAsync($"http://{_server.Address}/metrics?x=1");
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.Equal("text/plain; version=0.0.4; charset=utf-8", answer.Content.Headers.ContentType!.ToString());
        Assert.Equal("a_metric 1\n", await answer.Content.ReadAsStringAsync());
    }

    [Fact]
    public async Task Readiness_is_asked_at_every_probe()
    {
        Assert.StartsWith("HTTP/1.1 200 OK", await AskAsync("GET /ready HTTP/1.1\r\nHost: a\r\n\r\n"));
        _readiness = new Readiness(false, "the certificate expired at 12:00");
        var answer = await AskAsync("GET /ready HTTP/1.1\r\nHost: a\r\n\r\n");
        Assert.StartsWith("HTTP/1.1 503 Service Unavailable", answer);
        Assert.EndsWith("the certificate expired at 12:00\n", answer);
        Assert.StartsWith("HTTP/1.1 200 OK", await AskAsync("GET /live HTTP/1.0\r\n\r\n"));
    }

    [Fact]
    public async Task Shutdown_is_a_post_from_this_machine_and_not_from_a_web_page()
    {
        Assert.StartsWith("HTTP/1.1 405", await AskAsync("GET /shutdown HTTP/1.1\r\n\r\n"));
        Assert.StartsWith("HTTP/1.1 403", await AskAsync("POST /shutdown HTTP/1.1\r\nOrigin: http://evil.example\r\n\r\n"));
        Assert.Equal(0, _shutdowns);
        Assert.StartsWith("HTTP/1.1 200", await AskAsync("POST /shutdown HTTP/1.1\r\nContent-Length: 0\r\n\r\n"));
        Assert.Equal(1, _shutdowns);
    }

    [Fact]
    public async Task Who_asks_for_the_end_is_answered_even_when_it_comes_at_once()
    {
        using var stop = new CancellationTokenSource();
        var pages = new AdminPages(() => _readiness, _ => ValueTask.FromResult(""), stop.Cancel);
        using var server = AdminServer.Bind(new IPEndPoint(IPAddress.Loopback, 0), pages, TimeProvider.System, LineLog.None);
        var running = server.RunAsync(stop.Token);
        using var http = new HttpClient();
        using var answer = await http.PostAsync(new Uri($"http://{server.Address}/shutdown"), null);
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        await running.WaitAsync(Patience);
    }

    [Fact]
    public async Task Shutdown_from_another_address_is_refused()
    {
        var pages = new AdminPages(() => _readiness, _ => ValueTask.FromResult(""), () => _shutdowns++);
        Assert.True(AdminRequest.TryParse("POST /shutdown HTTP/1.1"u8, out var request));
        Assert.Equal(403, (await pages.AnswerAsync(request, IPAddress.Parse("10.0.0.1"), CancellationToken.None)).Status);
        Assert.Equal(0, _shutdowns);
    }

    [Theory]
    [InlineData("GET /other HTTP/1.1\r\n\r\n", 404)]
    [InlineData("POST /ready HTTP/1.1\r\n\r\n", 405)]
    [InlineData("GET  /ready HTTP/1.1\r\n\r\n", 400)]
    [InlineData("GET http://a/ready HTTP/1.1\r\n\r\n", 400)]
    [InlineData("GET /ready HTTP/2.0\r\n\r\n", 400)]
    [InlineData("GET /ready HTTP/1.1\r\nno colon\r\n\r\n", 400)]
    [InlineData("GET /ready HTTP/1.1\nHost: a\r\n\r\n", 400)]
    [InlineData("\0\u0001\u0002\r\n\r\n", 400)]
    public async Task Answers_odd_requests_with_a_status(string request, int status) =>
        Assert.StartsWith($"HTTP/1.1 {status} ", await AskAsync(request));

    [Fact]
    public async Task A_head_without_end_is_refused() =>
        Assert.StartsWith("HTTP/1.1 431 ", await AskAsync("GET /ready HTTP/1.1\r\nX: " + new string('a', 9000)));

    [Fact]
    public async Task Head_has_no_body() =>
        Assert.EndsWith("\r\n\r\n", await AskAsync("HEAD /metrics HTTP/1.1\r\n\r\n"));

    [Fact]
    public async Task A_crowd_of_silent_clients_keeps_no_probe_out()
    {
        var silent = new List<Socket>();
        for (var i = 0; i < AdminServer.MaxConnections * 2; i++) silent.Add(await ConnectAsync());
        Assert.StartsWith("HTTP/1.1 200 OK", await AskAsync("GET /ready HTTP/1.1\r\n\r\n"));
        silent.ForEach(s => s.Dispose());
    }

    private async Task<string> AskAsync(string request)
    {
        using var deadline = new CancellationTokenSource(Patience);
        using var socket = await ConnectAsync();
        await socket.SendAsync(Encoding.Latin1.GetBytes(request), deadline.Token);
        using var answer = new MemoryStream();
        var buffer = new byte[4096];
        while (await socket.ReceiveAsync(buffer, deadline.Token) is var read and > 0) answer.Write(buffer, 0, read);
        return Encoding.UTF8.GetString(answer.ToArray());
    }

    private async Task<Socket> ConnectAsync()
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(_server.Address);
        return socket;
    }
}
