using System.Net;
using System.Net.Sockets;
using Mesh.Proxy.Tests.Connections;
using Mesh.Proxy.Tests.Control;
using Mesh.Testing;

namespace Mesh.Proxy.Tests;

/// <summary>The process seen from outside: exit codes, readiness, signals.</summary>
public sealed class ProxyProcessTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Fact]
    public async Task Bad_settings_are_all_named_and_end_with_64()
    {
        var run = await ProgramRun.OfAssemblyAsync("Mesh.Proxy", [], environment: new Dictionary<string, string>
        {
            ["MESH_PROXY_LOG_LEVEL"] = "loud",
            ["MESH_PROXY_IDENTITY_SPIFFE_ID"] = "nobody",
        });
        Assert.Equal(64, run.ExitCode);
        foreach (var key in (string[])["LOG_LEVEL", "IDENTITY_SPIFFE_ID", "IDENTITY_TOKEN_FILE", "IDENTITY_TRUST_ANCHORS_FILE", "IDENTITY_SVC_ADDR"])
            Assert.Contains($"MESH_PROXY_{key}: ", run.Errors, StringComparison.Ordinal);
        Assert.DoesNotContain("loud", run.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_taken_address_is_named_and_ends_with_69()
    {
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();
        await using var run = ProxyProcessRun.Start(Settings(("INBOUND_SERVICES", $"{taken.LocalEndpoint}=127.0.0.1:1")));
        Assert.Equal(69, await run.ExitCodeAsync());
        await run.Log.NextAsync("error", "3013", $"MESH_PROXY_INBOUND_SERVICES: cannot listen on {taken.LocalEndpoint}: the address is in use.");
    }

    [Fact]
    public async Task A_taken_admin_address_is_named_and_ends_with_69()
    {
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();
        await using var run = ProxyProcessRun.Start(Settings(("ADMIN_LISTEN_ADDR", taken.LocalEndpoint.ToString()!)));
        Assert.Equal(69, await run.ExitCodeAsync());
        await run.Log.NextAsync("error", "3013", $"MESH_PROXY_ADMIN_LISTEN_ADDR: cannot listen on {taken.LocalEndpoint}: the address is in use.");
    }

    [Fact]
    public async Task Without_identity_service_it_is_alive_not_ready_and_stops_when_asked()
    {
        await using var run = ProxyProcessRun.Start(Settings(("INBOUND_SERVICES", "127.0.0.1:0=127.0.0.1:1")));
        var admin = await run.ListeningAsync("admin");
        using var http = new HttpClient();
        Assert.Equal(HttpStatusCode.OK, (await http.GetAsync($"http://{admin}/live")).StatusCode);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await http.GetAsync($"http://{admin}/ready")).StatusCode);
        Assert.Contains("mesh_proxy_identity_valid 0\n", await http.GetStringAsync($"http://{admin}/metrics"), StringComparison.Ordinal);
        await run.SignalAsync("TERM");
        Assert.Equal(0, await run.ExitCodeAsync());
        await run.Log.NextAsync("drained", "connections_cut=0");
    }

    [Fact]
    public async Task Certified_it_serves_and_drains()
    {
        await using var application = new EchoApplication();
        await using var control = new FakeControlPlane();
        await control.StartAsync();
        await using var run = ProxyProcessRun.Start(Settings(
            ("IDENTITY_SVC_ADDR", control.Address.ToString()),
            ("IDENTITY_TRUST_ANCHORS_FILE", _directory.Write("anchors.pem", control.Authority.Bundle.ToPem())),
            ("INBOUND_SERVICES", $"127.0.0.1:0={application.Address}"),
            ("INBOUND_DEFAULT_POLICY", "all-unauthenticated"),
            ("SHUTDOWN_GRACE_PERIOD", "1h"),
            ("ACCESS_LOG", "on")));
        var admin = await run.ListeningAsync("admin");
        var inbound = await run.ListeningAsync("inbound");
        using var http = new HttpClient();
        using var client = await TestClient.ConnectAsync(inbound);
        Assert.Equal("hi", await client.EchoAsync("hi"));
        Assert.Equal("ready\n", await http.GetStringAsync($"http://{admin}/ready"));
        var metrics = await http.GetStringAsync($"http://{admin}/metrics");
        Assert.Contains("mesh_proxy_identity_valid 1\n", metrics, StringComparison.Ordinal);
        Assert.Contains("control_identity_cert_refreshes_total{result=\"ok\"} 1\n", metrics, StringComparison.Ordinal);
        Assert.Contains("tcp_open_connections{direction=\"inbound\",peer=\"src\"", metrics, StringComparison.Ordinal);

        await run.SignalAsync("TERM");
        await run.Log.NextAsync("asked to stop");
        Assert.Equal("yo", await client.EchoAsync("yo"));
        var answer = await http.GetAsync($"http://{admin}/ready");
        Assert.Equal("draining\n", await answer.Content.ReadAsStringAsync());
        await run.SignalAsync("TERM");
        Assert.Equal("reset", await client.ReadToEndAsync());
        Assert.Equal(0, await run.ExitCodeAsync());
        await run.Log.NextAsync("drained", "connections_cut=1");
        await run.Log.NextAsync("reason=drained");
    }

    [Fact]
    public async Task Asked_over_the_admin_endpoint_it_stops()
    {
        await using var run = ProxyProcessRun.Start(Settings(("INBOUND_SERVICES", "127.0.0.1:0=127.0.0.1:1")));
        var admin = await run.ListeningAsync("admin");
        using var http = new HttpClient();
        Assert.Equal(HttpStatusCode.OK, (await http.PostAsync($"http://{admin}/shutdown", null)).StatusCode);
        Assert.Equal(0, await run.ExitCodeAsync());
    }

    private Dictionary<string, string> Settings(params (string Key, string Value)[] more)
    {
        var settings = new Dictionary<string, string>
        {
            ["ADMIN_LISTEN_ADDR"] = "127.0.0.1:0",
            ["IDENTITY_SPIFFE_ID"] = "spiffe://example.org/ns/demo/sa/web",
            ["IDENTITY_TOKEN_FILE"] = _directory.Write("token", "token"),
            ["IDENTITY_TRUST_ANCHORS_FILE"] = _directory.File("none.pem"),
            ["IDENTITY_SVC_ADDR"] = "127.0.0.1:1",
        };
        foreach (var (key, value) in more) settings[key] = value;
        return settings;
    }
}
