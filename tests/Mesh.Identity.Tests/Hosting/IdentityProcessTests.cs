using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using System.Text.Json;
using Grpc.Net.Client;
using Mesh.Spiffe;

namespace Mesh.Identity.Tests.Hosting;

/// <summary>The process from outside: exit codes, signals, what it prints.</summary>
public sealed class IdentityProcessTests
{
    [Fact]
    public async Task A_bad_configuration_lists_every_fault_and_exits_with_64()
    {
        await using var run = IdentityProcessRun.Start(new Dictionary<string, string> { ["MESH_IDENTITY_LIFETIME"] = "10s", ["MESH_IDENTITY_TRUST_DOMAIN"] = "UPPER" });
        Assert.Equal(64, await run.ExitCodeAsync());
        var lines = (await run.Error).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Equal(
            ["MESH_IDENTITY_ISSUER_DIR", "MESH_IDENTITY_LIFETIME", "MESH_IDENTITY_TOKEN_VALIDATION", "MESH_IDENTITY_TRUST_ANCHORS_FILE", "MESH_IDENTITY_TRUST_DOMAIN"],
            lines.Select(l => l[..l.IndexOf(':')]).Order(StringComparer.Ordinal));
        Assert.Empty(await run.Output);
    }

    [Theory]
    [InlineData("MESH_IDENTITY_LISTEN_ADDR")]
    [InlineData("MESH_IDENTITY_ADMIN_LISTEN_ADDR")]
    public async Task A_port_that_is_taken_is_one_sentence_with_its_setting_and_69(string setting)
    {
        await using var identity = await RunningIdentity.StartAsync();
        using var taken = new TcpListener(IPAddress.Loopback, 0);
        taken.Start();
        await using var run = IdentityProcessRun.Start(identity.Environment(e => e[setting] = taken.LocalEndpoint.ToString()!));
        Assert.Equal(69, await run.ExitCodeAsync());
        using var line = JsonDocument.Parse(Assert.Single((await run.Output).Split('\n', StringSplitOptions.RemoveEmptyEntries), l => l.Contains("NotStarted", StringComparison.Ordinal)));
        Assert.Equal($"The service could not start: {setting}: cannot listen on {taken.LocalEndpoint}: the address is in use.", line.RootElement.GetProperty("message").GetString()!.Replace("\"", "", StringComparison.Ordinal));
        Assert.DoesNotContain("Exception", await run.Output, StringComparison.Ordinal);
        Assert.Equal("", await run.Error);
    }

    [Fact]
    public async Task It_issues_and_drains_on_sigterm()
    {
        await using var identity = await RunningIdentity.StartAsync();
        await using var run = IdentityProcessRun.Start(identity.Environment());
        await run.UntilListeningAsync();
        using var http = new HttpClient();
        await Eventually.True(() => http.GetAsync($"http://{run.AdminAddress}/ready").Result.IsSuccessStatusCode, "ready");

        using var svid = identity.Issuer.CreateSvid(RunningIdentity.IdOf("shop", "web"));
        using var channel = Channel(identity, run, svid);
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        Assert.NotEmpty((await new Protocol.Identity.Identity.IdentityClient(channel).CertifyAsync(identity.Request(key))).LeafCertificate);
        using var stream = new Protocol.Trust.Trust.TrustClient(channel).StreamBundles();
        Assert.True(await stream.ResponseStream.MoveNext(CancellationToken.None));

        await run.SignalAsync("TERM");
        Assert.Equal(0, await run.ExitCodeAsync());
        var lines = (await run.Output).Split('\n', StringSplitOptions.RemoveEmptyEntries);
        Assert.Contains("0 connections were cut", lines[^1], StringComparison.Ordinal);
        // Every line is one JSON object with the same first fields.
        Assert.All(lines, line =>
        {
            using var json = JsonDocument.Parse(line);
            Assert.True(json.RootElement.TryGetProperty("timestamp", out _) && json.RootElement.TryGetProperty("level", out _) && json.RootElement.TryGetProperty("message", out _), line);
        });
        using var issued = JsonDocument.Parse(Assert.Single(lines, l => l.Contains("\"CertificateIssued\"", StringComparison.Ordinal)));
        Assert.Equal("spiffe://cluster.local/ns/shop/sa/web", issued.RootElement.GetProperty("SpiffeId").GetString());
        Assert.Equal("system:serviceaccount:shop:web", issued.RootElement.GetProperty("Subject").GetString());
        Assert.Equal("", await run.Error);
    }

    private static GrpcChannel Channel(RunningIdentity identity, IdentityProcessRun run, X509Svid svid)
    {
        var handler = new SocketsHttpHandler
        {
            SslOptions = SvidTls.Client(() => svid, identity.Root.Bundles, RunningIdentity.IdOf("mesh", "mesh-identity"), "identity", TimeProvider.System),
            UseProxy = false,
        };
        return GrpcChannel.ForAddress($"https://{run.GrpcAddress}", new GrpcChannelOptions { HttpHandler = handler, DisposeHttpClient = true });
    }
}
