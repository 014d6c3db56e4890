using System.Net;
using System.Net.Sockets;
using Mesh.Cli.Demo;
using Mesh.Cli.Stat;
using Mesh.Spiffe;
using Mesh.Testing;

namespace Mesh.IntegrationTests;

/// <summary>The identity service away for longer than a certificate lives, with real processes and the shortest real lifetime.</summary>
public sealed class IdentityOutageTests
{
    [Fact]
    public async Task Traffic_goes_on_until_expiry_then_fails_closed_with_the_reason_and_recovers_within_seconds()
    {
        using var directory = new TemporaryDirectory();
        using var echo = new TcpListener(IPAddress.Loopback, 0);
        echo.Start();
        using var stop = new CancellationTokenSource(TimeSpan.FromMinutes(4));
        var serving = EchoAsync(echo, stop.Token);
        await using var mesh = await EmbeddedMesh.StartAsync(directory.File("mesh"), TrustDomain.Parse("outage.mesh"), TimeSpan.FromSeconds(60), TimeProvider.System, stop.Token);
        IPEndPoint inbound = EmbeddedMesh.FreeAddress(), local = EmbeddedMesh.FreeAddress();
        const string authority = "echo.test.svc.cluster.local:80";
        var server = await mesh.StartProxyAsync(new ProxyPlan("server-proxy", "test", "server") { Inbound = inbound }, stop.Token);
        mesh.Publish([new DiscoveryEntry(authority, [new DiscoveryAddress((IPEndPoint)echo.LocalEndpoint, inbound.Port, mesh.IdOf("test", "server"), mesh.ServerName("test", "server"))])]);
        var client = await mesh.StartProxyAsync(new ProxyPlan("client-proxy", "test", "client") { OutboundServices = [(local, authority)] }, stop.Token);
        Assert.True(await PassesAsync(local, stop.Token));

        var identity = mesh.Members.Single(m => m.Name == "identity");
        using (var process = System.Diagnostics.Process.GetProcessById(identity.Process!.Id)) process.Kill();
        await identity.Process.Exited;
        var expiry = new[] { await ExpiryAsync(client, stop.Token), await ExpiryAsync(server, stop.Token) }.Min();
        Assert.True(expiry > DateTimeOffset.UtcNow);
        var passedWhileAway = 0;
        using var tick = new PeriodicTimer(TimeSpan.FromSeconds(1));
        while (DateTimeOffset.UtcNow < expiry - TimeSpan.FromSeconds(3))
        {
            Assert.True(await PassesAsync(local, stop.Token), "a connection failed although the certificates were valid");
            passedWhileAway++;
            await tick.WaitForNextTickAsync(stop.Token);
        }

        Assert.True(passedWhileAway > 0);
        while (await PassesAsync(local, stop.Token)) await tick.WaitForNextTickAsync(stop.Token);
        Assert.True(DateTimeOffset.UtcNow >= expiry, "refused before a certificate had expired");
        // Whichever side expired first, the other follows within moments: both got their certificates at the start.
        while (await ReadyAsync(client, stop.Token) || await ReadyAsync(server, stop.Token)) await tick.WaitForNextTickAsync(stop.Token);
        Assert.Matches("control_identity_cert_refreshes_total\\{result=\"error\",reason=\"(unavailable|timed_out)\"\\} [1-9]", await MetricsAsync(client, stop.Token));
        Assert.False(await PassesAsync(local, stop.Token));
        // Every label is on the page from the start; what counts is that it counted.
        Assert.Matches("mesh_proxy_connection_ends_total\\{direction=\"outbound\",reason=\"no_certificate\"\\} [1-9]", await MetricsAsync(client, stop.Token));
        var log = await File.ReadAllTextAsync(Path.Combine(mesh.Layout.Logs, "client-proxy.log"), stop.Token);
        Assert.Contains(" 3505 ", log, StringComparison.Ordinal);
        Assert.Contains("reason=no_certificate", log, StringComparison.Ordinal);

        await mesh.RestartAsync(identity, stop.Token);
        while (!await PassesAsync(local, stop.Token)) await tick.WaitForNextTickAsync(stop.Token);
        Assert.True(await ReadyAsync(client, stop.Token));
        Assert.True(await ReadyAsync(server, stop.Token));
        await stop.CancelAsync();
        await serving;
    }

    private static async Task<bool> PassesAsync(IPEndPoint address, CancellationToken ct)
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(ct);
        deadline.CancelAfter(TimeSpan.FromSeconds(5));
        try
        {
            await socket.ConnectAsync(address, deadline.Token);
            await socket.SendAsync("ping"u8.ToArray(), deadline.Token);
            var answer = new byte[4];
            return await socket.ReceiveAsync(answer, deadline.Token) == 4 && answer.AsSpan().SequenceEqual("ping"u8);
        }
        catch (SocketException)
        {
            return false;
        }
        catch (OperationCanceledException) when (!ct.IsCancellationRequested)
        {
            return false;
        }
    }

    private static async Task EchoAsync(TcpListener listener, CancellationToken ct)
    {
        try
        {
            while (true)
            {
                using var client = await listener.AcceptSocketAsync(ct);
                var buffer = new byte[64];
                int n;
                while ((n = await client.ReceiveAsync(buffer, ct)) > 0) await client.SendAsync(buffer.AsMemory(0, n), ct);
            }
        }
        catch (Exception over) when (over is OperationCanceledException or SocketException)
        {
            // The test is over.
        }
    }

    private static async Task<string> MetricsAsync(Member member, CancellationToken ct)
    {
        using var http = new HttpClient();
        return await http.GetStringAsync(new Uri($"http://{member.Admin}/metrics"), ct);
    }

    private static async Task<DateTimeOffset> ExpiryAsync(Member member, CancellationToken ct) =>
        DateTimeOffset.FromUnixTimeSeconds((long)PrometheusText.Parse(await MetricsAsync(member, ct)).First(s => s.Name == "control_identity_cert_expiration_timestamp_seconds").Value);

    private static async Task<bool> ReadyAsync(Member member, CancellationToken ct)
    {
        using var http = new HttpClient();
        using var answer = await http.GetAsync(new Uri($"http://{member.Admin}/ready"), ct);
        return answer.IsSuccessStatusCode;
    }
}
