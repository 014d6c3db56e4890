using System.Net;
using System.Net.Sockets;
using System.Text.Json;
using Mesh.Cli.Demo;
using Mesh.Spiffe;
using Mesh.Testing;

namespace Mesh.IntegrationTests;

/// <summary><c>mesh stat</c> and <c>mesh tap</c> against proxies that run.</summary>
public sealed class TrafficCommandsTests
{
    [Fact]
    public async Task They_find_the_proxies_in_the_directory_of_a_mesh_and_read_them()
    {
        using var directory = new TemporaryDirectory();
        using var stop = new CancellationTokenSource(TimeSpan.FromMinutes(4));
        await using var echo = new EchoServer();
        await using var mesh = await EmbeddedMesh.StartAsync(directory.File("mesh"), TrustDomain.Parse("stat.mesh"), TimeSpan.FromHours(1), TimeProvider.System, stop.Token);
        IPEndPoint inbound = EmbeddedMesh.FreeAddress(), local = EmbeddedMesh.FreeAddress();
        const string authority = "echo.test.svc.cluster.local:80";
        await mesh.StartProxyAsync(new ProxyPlan("server-proxy", "test", "server") { Inbound = inbound }, stop.Token);
        mesh.Publish([new DiscoveryEntry(authority, [new DiscoveryAddress(echo.Address, inbound.Port, mesh.IdOf("test", "server"), mesh.ServerName("test", "server"))])]);
        await mesh.StartProxyAsync(new ProxyPlan("client-proxy", "test", "client") { OutboundServices = [(local, authority)] }, stop.Token);
        using var open = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        await open.ConnectAsync(local, stop.Token);
        await open.SendAsync("ping"u8.ToArray(), stop.Token);
        Assert.NotEqual(0, await open.ReceiveAsync(new byte[4], stop.Token));

        var stat = await ProgramRun.OfAssemblyAsync("mesh", ["stat", "--dir", mesh.Layout.Root, "--window", "500ms", "--output", "json"]);
        Assert.True(stat.ExitCode == 0, stat.Errors);
        var rows = JsonDocument.Parse(stat.Output).RootElement.GetProperty("traffic").EnumerateArray().Select(t =>
            string.Join(' ', ((string[])["workload", "direction", "peer", "target", "connections"]).Select(name => t.GetProperty(name).ToString())));
        Assert.Equal(
            [
                $"spiffe://stat.mesh/ns/test/sa/server inbound spiffe://stat.mesh/ns/test/sa/client {echo.Address} 1",
                $"spiffe://stat.mesh/ns/test/sa/client outbound spiffe://stat.mesh/ns/test/sa/server {authority} 1",
            ],
            rows);

        var tap = await ProgramRun.OfAssemblyAsync("mesh", ["tap", "--dir", mesh.Layout.Root, "--path", "/", "--duration", "500ms"]);
        Assert.Equal((0, ""), (tap.ExitCode, tap.Errors));
    }
}
