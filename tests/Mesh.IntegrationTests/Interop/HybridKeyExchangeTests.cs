using System.Net;
using System.Net.Sockets;
using System.Runtime.InteropServices;
using Mesh.Cli.Demo;
using Mesh.Spiffe;
using Mesh.Testing;

namespace Mesh.IntegrationTests.Interop;

/// <summary>The proxies with the OpenSSL of Debian trixie, the first of Debian that has the hybrid group.</summary>
public sealed class HybridKeyExchangeTests
{
    private const string Hybrid = "X25519MLKEM768";
    private const string Authority = "echo.test.svc.cluster.local:80";

    [Fact]
    public async Task Two_proxies_with_the_OpenSSL_of_trixie_agree_on_X25519MLKEM768()
    {
        Assert.SkipUnless(Environment.IsPrivilegedProcess, "entering another root needs root");
        Assert.SkipUnless(TrixieRoot.IsThere, $"no Debian trixie root in {TrixieRoot.Directory}; tests/interop/trixie/make-root.sh makes one where debootstrap is installed");
        var ct = TestContext.Current.CancellationToken;
        var room = Path.Combine(TrixieRoot.Directory, "tmp", "mesh-test-" + Path.GetRandomFileName());
        Directory.CreateDirectory(room);
        try
        {
            var program = await PublishAsync(room);
            await using var mesh = await EmbeddedMesh.StartAsync(Path.Combine(room, "mesh"), TrustDomain.Parse("test.mesh"), TimeSpan.FromMinutes(10), TimeProvider.System, ct);
            using var echo = new TcpListener(IPAddress.Loopback, 0);
            echo.Start();
            var application = (IPEndPoint)echo.LocalEndpoint;
            IPEndPoint inbound = EmbeddedMesh.FreeAddress(), local = EmbeddedMesh.FreeAddress();
            var server = await mesh.StartProxyAsync(InTrixie(mesh, program, new ProxyPlan("server-proxy", "test", "server") { Inbound = inbound }), ct);
            mesh.Publish([new DiscoveryEntry(Authority, [new DiscoveryAddress(application, inbound.Port, mesh.IdOf("test", "server"), mesh.ServerName("test", "server"))])]);
            var client = await mesh.StartProxyAsync(InTrixie(mesh, program, new ProxyPlan("client-proxy", "test", "client") { OutboundServices = [(local, Authority)] }), ct);

            using var there = new TcpClient();
            await there.ConnectAsync(local, ct);
            await there.GetStream().WriteAsync("ping"u8.ToArray(), ct);
            using (var accepted = await echo.AcceptTcpClientAsync(ct))
            {
                var asked = new byte[4];
                await accepted.GetStream().ReadExactlyAsync(asked, ct);
                Assert.Equal("ping"u8.ToArray(), asked);
                await accepted.GetStream().WriteAsync("pong"u8.ToArray(), ct);
                var answered = new byte[4];
                await there.GetStream().ReadExactlyAsync(answered, ct);
                Assert.Equal("pong"u8.ToArray(), answered);
            }

            Assert.Equal([Hybrid], await GroupsAsync(server, ct));
            Assert.Equal([Hybrid], await GroupsAsync(client, ct));
        }
        finally
        {
            Directory.Delete(room, recursive: true);
        }
    }

    // With everything it needs of .NET, since the root has none. Outside the checkout's own outputs, which other tests run from.
    private static async Task<string> PublishAsync(string room)
    {
        var program = Path.Combine(room, "proxy");
        var built = Path.Combine(room, "build");
        var publish = await ProgramRun.OfAsync(
            "dotnet",
            [
                "publish", Path.Combine(Repository.Root, "proxy", "Mesh.Proxy", "Mesh.Proxy.csproj"), "-c", "Release", "-r", RuntimeInformation.RuntimeIdentifier,
                "--self-contained", "--artifacts-path", built, "-o", program, "--nologo", "-v", "quiet", "-nodeReuse:false",
            ],
            seconds: 600);
        Assert.True(publish.ExitCode == 0, publish.Output + publish.Errors);
        Directory.Delete(built, recursive: true);
        return Path.Combine(program, "Mesh.Proxy");
    }

    private static ProxyPlan InTrixie(EmbeddedMesh mesh, string program, ProxyPlan plan) => plan with
    {
        // The runtime does not start without /proc; mounted in a namespace of its own, it goes with the process.
        Command = ["unshare", "-m", "sh", "-c", "mount -t proc proc \"$0/proc\" && exec chroot \"$0\" \"$1\"", TrixieRoot.Directory, TrixieRoot.Inside(program)],
        Extra = new Dictionary<string, string>
        {
            ["MESH_PROXY_IDENTITY_TOKEN_FILE"] = TrixieRoot.Inside(mesh.TokenFile(plan.ServiceAccount, plan.Namespace)),
            ["MESH_PROXY_IDENTITY_TRUST_ANCHORS_FILE"] = TrixieRoot.Inside(mesh.Layout.Bundle),
        },
    };

    private static async Task<string[]> GroupsAsync(Member proxy, CancellationToken ct)
    {
        using var client = new HttpClient();
        var page = await client.GetStringAsync(new Uri($"http://{proxy.Admin}/metrics"), ct);
        return [.. PrometheusText.Parse(page).Where(s => s.Name == "mesh_proxy_tls_negotiated_total" && s.Value > 0).Select(s => s.Label("group")!).Distinct()];
    }
}
