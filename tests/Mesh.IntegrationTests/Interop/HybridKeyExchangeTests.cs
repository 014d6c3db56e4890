using System.Diagnostics;
using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using Mesh.Cli.Demo;
using Mesh.Cli.Stat;
using Mesh.Spiffe;
using Mesh.Testing;

namespace Mesh.IntegrationTests.Interop;

/// <summary>
/// The proxies with the OpenSSL of Debian trixie, the first of Debian that has the hybrid group: with each other, with a proxy on an older
/// library, and with trixie's own <c>openssl</c> as a third party.
/// </summary>
public sealed class HybridKeyExchangeTests(PublishedProxy published, TrixieProxy inTrixie) : IClassFixture<TrixieProxy>
{
    private const string Hybrid = "X25519MLKEM768";
    private const string Classic = "X25519";
    private const string Authority = "echo.test.svc.cluster.local:80";

    // The number of OpenSSL 3.5, OPENSSL_version_num(3).
    private const long WithHybrid = 0x30500000;

    [Fact]
    public async Task Two_proxies_with_the_OpenSSL_of_trixie_agree_on_X25519MLKEM768()
    {
        using var room = TrixieRoot.Enter();
        await AssertGroupAsync(Hybrid, room, serverInTrixie: true, clientInTrixie: true);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_proxy_of_trixie_and_one_with_an_older_OpenSSL_agree_on_X25519(bool clientInTrixie)
    {
        using var room = TrixieRoot.Enter();
        Assert.SkipUnless(SafeEvpPKeyHandle.OpenSslVersion < WithHybrid, "the OpenSSL of this machine has the hybrid group as well");
        await AssertGroupAsync(Classic, room, serverInTrixie: !clientInTrixie, clientInTrixie);
    }

    [Theory]
    [InlineData("X25519:X25519MLKEM768:P-256", Hybrid)]
    [InlineData("X25519:P-256", Classic)]
    [InlineData("P-256", "prime256v1")]
    public async Task The_inbound_proxy_chooses_the_hybrid_group_whenever_openssl_s_client_has_it(string offered, string chosen)
    {
        using var room = TrixieRoot.Enter();
        var ct = TestContext.Current.CancellationToken;
        await using var mesh = await StartMeshAsync(room, ct);
        var inbound = EmbeddedMesh.FreeAddress();
        var server = await mesh.StartProxyAsync(await InTrixieAsync(mesh, new ProxyPlan("server-proxy", "test", "server") { Inbound = inbound }), ct);
        var (chain, key) = WriteSvid(room, mesh, "openssl");

        var client = await ProgramRun.OfAsync(
            "chroot",
            [
                TrixieRoot.Directory, "openssl", "s_client", "-connect", inbound.ToString(), "-servername", mesh.ServerName("test", "server"), "-groups", offered,
                "-cert", chain, "-cert_chain", chain, "-key", key, "-CAfile", TrixieRoot.Inside(mesh.Layout.Bundle), "-verify_return_error",
            ]);

        Assert.Contains("Verify return code: 0 (ok)", client.Output, StringComparison.Ordinal);
        if (chosen == Hybrid) Assert.Contains($"Negotiated TLS1.3 group: {Hybrid}", client.Output, StringComparison.Ordinal);
        else Assert.Contains($"Peer Temp Key: {(chosen == Classic ? Classic : "ECDH, " + chosen)}", client.Output, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(Hybrid, Hybrid)]
    [InlineData(Classic, Classic)]
    public async Task The_outbound_proxy_offers_shares_of_both_groups_to_openssl_s_server(string supported, string chosen)
    {
        using var room = TrixieRoot.Enter();
        var ct = TestContext.Current.CancellationToken;
        await using var mesh = await StartMeshAsync(room, ct);
        IPEndPoint theirs = EmbeddedMesh.FreeAddress(), local = EmbeddedMesh.FreeAddress();
        mesh.Publish([new DiscoveryEntry(Authority, [new DiscoveryAddress(new IPEndPoint(IPAddress.Loopback, 80), theirs.Port, mesh.IdOf("test", "server"), mesh.ServerName("test", "server"))])]);
        var proxy = await mesh.StartProxyAsync(await InTrixieAsync(mesh, new ProxyPlan("client-proxy", "test", "client") { OutboundServices = [(local, Authority)] }), ct);
        var (chain, key) = WriteSvid(room, mesh, "server");
        var start = new ProcessStartInfo("chroot") { RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true };
        foreach (var argument in (string[])[
            TrixieRoot.Directory, "openssl", "s_server", "-accept", theirs.ToString(), "-naccept", "1", "-rev", "-msg", "-alpn", "transport.l5d.io/v1", "-groups", supported,
            "-cert", chain, "-cert_chain", chain, "-key", key, "-CAfile", TrixieRoot.Inside(mesh.Layout.Bundle), "-Verify", "3", "-verify_return_error"])
            start.ArgumentList.Add(argument);
        using var openssl = Process.Start(start)!;
        var output = openssl.StandardOutput.ReadToEndAsync(ct);
        var errors = openssl.StandardError.ReadToEndAsync(ct);
        try
        {
            await TrixieRoot.ListensAsync(theirs, ct);
            // It answers with each line reversed.
            using (var client = new TcpClient())
            {
                await client.ConnectAsync(local, ct);
                await client.GetStream().WriteAsync("ping\n"u8.ToArray(), ct);
                using var reader = new StreamReader(client.GetStream());
                string? line;
                while ((line = await reader.ReadLineAsync(ct)) is not null && !line.StartsWith("gnip", StringComparison.Ordinal))
                {
                    // The lines of the transport header.
                }

                Assert.NotNull(line);
            }

            await openssl.WaitForExitAsync(ct);
        }
        finally
        {
            if (!openssl.HasExited) openssl.Kill();
        }

        var said = await output + await errors;
        Assert.Contains("Peer Temp Key: " + chosen, said, StringComparison.Ordinal);
        Assert.Equal(1, said.Split('\n').Count(l => l.StartsWith("<<<", StringComparison.Ordinal) && l.EndsWith("ClientHello", StringComparison.Ordinal)));
        Assert.Equal([Label(chosen)], await GroupsAsync(proxy, ct));
    }

    private async Task AssertGroupAsync(string group, TrixieRoom room, bool serverInTrixie, bool clientInTrixie)
    {
        var ct = TestContext.Current.CancellationToken;
        await using var mesh = await StartMeshAsync(room, ct);
        using var echo = new TcpListener(IPAddress.Loopback, 0);
        echo.Start();
        var application = (IPEndPoint)echo.LocalEndpoint;
        IPEndPoint inbound = EmbeddedMesh.FreeAddress(), local = EmbeddedMesh.FreeAddress();
        var plan = new ProxyPlan("server-proxy", "test", "server") { Inbound = inbound };
        var server = await mesh.StartProxyAsync(serverInTrixie ? await InTrixieAsync(mesh, plan) : plan, ct);
        mesh.Publish([new DiscoveryEntry(Authority, [new DiscoveryAddress(application, inbound.Port, mesh.IdOf("test", "server"), mesh.ServerName("test", "server"))])]);
        plan = new ProxyPlan("client-proxy", "test", "client") { OutboundServices = [(local, Authority)] };
        var client = await mesh.StartProxyAsync(clientInTrixie ? await InTrixieAsync(mesh, plan) : plan, ct);

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

        Assert.Equal([Label(group)], await GroupsAsync(server, ct));
        Assert.Equal([Label(group)], await GroupsAsync(client, ct));
    }

    private static Task<EmbeddedMesh> StartMeshAsync(TrixieRoom room, CancellationToken ct) =>
        EmbeddedMesh.StartAsync(room.File("mesh"), TrustDomain.Parse("test.mesh"), TimeSpan.FromMinutes(10), TimeProvider.System, ct);

    private async Task<ProxyPlan> InTrixieAsync(EmbeddedMesh mesh, ProxyPlan plan) => plan with
    {
        // The runtime does not start without /proc; mounted in a namespace of its own, it goes with the process.
        Command = ["unshare", "-m", "sh", "-c", "mount -t proc proc \"$0/proc\" && exec chroot \"$0\" \"$1\"", TrixieRoot.Directory, TrixieRoot.Inside(await inTrixie.ProgramAsync(published))],
        Extra = new Dictionary<string, string>
        {
            ["MESH_PROXY_IDENTITY_TOKEN_FILE"] = TrixieRoot.Inside(mesh.TokenFile(plan.ServiceAccount, plan.Namespace)),
            ["MESH_PROXY_IDENTITY_TRUST_ANCHORS_FILE"] = TrixieRoot.Inside(mesh.Layout.Bundle),
        },
    };

    // Paths as a program inside the root knows them.
    private static (string Chain, string Key) WriteSvid(TrixieRoom room, EmbeddedMesh mesh, string serviceAccount)
    {
        using var svid = TestAuthority.Load(mesh.TrustDomain, mesh.Layout.Trust).CreateSvid(mesh.IdOf("test", serviceAccount));
        File.WriteAllText(room.File("svid.crt"), string.Concat(svid.Chain.Select(c => c.ToPem())));
        File.WriteAllText(room.File("svid.key"), PemEncoding.WriteString("PRIVATE KEY", svid.ExportPkcs8PrivateKey()));
        return (TrixieRoot.Inside(room.File("svid.crt")), TrixieRoot.Inside(room.File("svid.key")));
    }

    // The metric says IANA's names, of which this one is in small letters.
    private static string Label(string group) => group == Classic ? "x25519" : group;

    private static async Task<string[]> GroupsAsync(Member proxy, CancellationToken ct)
    {
        using var client = new HttpClient();
        var page = await client.GetStringAsync(new Uri($"http://{proxy.Admin}/metrics"), ct);
        return [.. PrometheusText.Parse(page).Where(s => s.Name == "mesh_proxy_tls_negotiated_total" && s.Value > 0).Select(s => s.Label("group")!).Distinct()];
    }
}
