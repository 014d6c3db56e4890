using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Text.Json;
using Mesh.Spiffe;
using Mesh.Testing;

namespace Mesh.Cli.Tests;

public sealed class TrustInitTests
{
    [Fact]
    public async Task Makes_a_root_and_an_issuer_that_openssl_accepts_with_private_keys_for_the_owner_alone()
    {
        using var directory = new TemporaryDirectory();
        var made = await Mesh("trust", "init", "--trust-domain", "example.org", "--dir", directory.File("ca"));
        Assert.Equal(0, made.ExitCode);
        var trust = directory.File("ca/trust");
        foreach (var key in Directory.GetFiles(trust, "*.key", SearchOption.AllDirectories))
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(key));
        Assert.Equal(2, Directory.GetFiles(trust, "*.key", SearchOption.AllDirectories).Length);
        var verified = await ProgramRun.OfAsync("openssl", ["verify", "-x509_strict", "-CAfile", $"{trust}/ca-bundle.crt", $"{trust}/issuer/tls.crt"]);
        Assert.Equal(0, verified.ExitCode);
    }

    [Fact]
    public async Task Overwrites_nothing()
    {
        using var directory = new TemporaryDirectory();
        Assert.Equal(0, (await Mesh("trust", "init", "--trust-domain", "example.org", "--dir", directory.Path)).ExitCode);
        var key = await File.ReadAllTextAsync(directory.File("trust/root.key"));
        var again = await Mesh("trust", "init", "--trust-domain", "example.org", "--dir", directory.Path);
        Assert.Equal(1, again.ExitCode);
        Assert.Contains("nothing was written", again.Errors, StringComparison.Ordinal);
        Assert.Equal(key, await File.ReadAllTextAsync(directory.File("trust/root.key")));
    }

    [Theory]
    [InlineData("Example.org", "8760h", "ec-p256")]
    [InlineData("example.org", "0s", "ec-p256")]
    [InlineData("example.org", "999999h", "ec-p256")]
    [InlineData("example.org", "8760h", "dsa")]
    public async Task A_wrong_command_line_is_usage_and_writes_nothing(string trustDomain, string lifetime, string key)
    {
        using var directory = new TemporaryDirectory();
        var run = await Mesh("trust", "init", "--trust-domain", trustDomain, "--dir", directory.File("ca"), "--issuer-lifetime", lifetime, "--issuer-key-type", key);
        Assert.Equal(64, run.ExitCode);
        Assert.StartsWith("mesh: ", run.Errors, StringComparison.Ordinal);
        Assert.False(Directory.Exists(directory.File("ca")));
    }

    [Fact]
    public async Task Inspect_reads_what_init_made_and_says_so_in_json()
    {
        using var directory = new TemporaryDirectory();
        await Mesh("trust", "init", "--trust-domain", "example.org", "--dir", directory.Path, "--root-key-type", "ec-p384");
        var inspected = await Mesh("identity", "inspect", directory.File("trust/issuer/tls.crt"), "--dir", directory.Path, "--output", "json");
        Assert.Equal(0, inspected.ExitCode);
        using var json = JsonDocument.Parse(inspected.Output);
        Assert.Equal("spiffe://example.org", json.RootElement.GetProperty("spiffeId").GetString());
        Assert.True(json.RootElement.GetProperty("isCa").GetBoolean());
        Assert.True(json.RootElement.GetProperty("valid").GetBoolean());
        Assert.Equal(Certificate.ParsePem(await File.ReadAllTextAsync(directory.File("trust/ca-bundle.crt")))[0].Sha256, json.RootElement.GetProperty("anchor").GetString());
    }

    [Fact]
    public async Task Inspect_refuses_an_authority_that_does_not_lead_to_the_given_anchors()
    {
        using var directory = new TemporaryDirectory();
        foreach (var one in new[] { "ours", "theirs" }) await Mesh("trust", "init", "--trust-domain", "example.org", "--dir", directory.File(one));
        foreach (var file in new[] { "ours/trust/issuer/tls.crt", "ours/trust/ca-bundle.crt" })
        {
            var inspected = await Mesh("identity", "inspect", directory.File(file), "--trust-anchors", directory.File("theirs/trust/ca-bundle.crt"), "--output", "json");
            Assert.Equal(1, inspected.ExitCode);
            using var json = JsonDocument.Parse(inspected.Output);
            Assert.False(json.RootElement.GetProperty("valid").GetBoolean());
            Assert.Equal(JsonValueKind.Null, json.RootElement.GetProperty("anchor").ValueKind);
        }
    }

    [Fact]
    public async Task Inspect_verifies_a_workloads_chain_in_a_file_and_names_the_anchor()
    {
        using var directory = new TemporaryDirectory();
        var root = TestAuthority.CreateRoot();
        var leaf = root.CreateIntermediate().CreateLeaf("spiffe://example.org/ns/shop/sa/web");
        var chain = directory.Write("chain.pem", string.Concat(leaf.Chain.Select(c => c.ToPem())));
        var good = await Mesh("identity", "inspect", chain, "--trust-anchors", directory.Write("anchors.pem", root.CertificatePem), "--output", "json");
        Assert.Equal(0, good.ExitCode);
        using var json = JsonDocument.Parse(good.Output);
        Assert.Equal("spiffe://example.org/ns/shop/sa/web", json.RootElement.GetProperty("spiffeId").GetString());
        Assert.Equal(root.Certificate.Sha256, json.RootElement.GetProperty("anchor").GetString());
        Assert.Equal(leaf.Certificate.NotAfter, json.RootElement.GetProperty("validUntil").GetDateTimeOffset());
        var bad = await Mesh("identity", "inspect", chain, "--trust-anchors", directory.Write("others.json", TestAuthority.CreateRoot().Bundle.ToJson()));
        Assert.Equal(1, bad.ExitCode);
    }

    [Fact]
    public async Task Inspect_reads_the_certificate_that_a_TLS_server_shows_also_when_it_wants_one_of_ours()
    {
        using var directory = new TemporaryDirectory();
        var root = TestAuthority.CreateRoot();
        using var svid = root.CreateIntermediate().CreateSvid("spiffe://example.org/ns/shop/sa/web");
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var serving = ServeOneAsync();
        var run = await Mesh("identity", "inspect", listener.LocalEndpoint.ToString()!, "--trust-anchors", directory.Write("anchors.pem", root.CertificatePem), "--output", "json");
        Assert.True(run.ExitCode == 0, run.Errors + run.Output);
        using var json = JsonDocument.Parse(run.Output);
        Assert.Equal("spiffe://example.org/ns/shop/sa/web", json.RootElement.GetProperty("spiffeId").GetString());
        Assert.Equal(root.Certificate.Sha256, json.RootElement.GetProperty("anchor").GetString());
        await serving;

        async Task ServeOneAsync()
        {
            using var client = await listener.AcceptTcpClientAsync();
            await using var tls = new SslStream(client.GetStream());
            await Assert.ThrowsAnyAsync<Exception>(async () =>
            {
                await tls.AuthenticateAsServerAsync(SvidTls.Server(svid, root.Bundles, ClientCertificates.Required, TimeProvider.System, null));
                await tls.ReadExactlyAsync(new byte[1]);
            });
        }
    }

    [Theory]
    [InlineData("nothing-there.pem", 64)]
    [InlineData("127.0.0.1:1", 1)]
    public async Task Inspect_says_what_is_wrong_without_a_stack_trace(string target, int code)
    {
        var run = await Mesh("identity", "inspect", target);
        Assert.Equal(code, run.ExitCode);
        Assert.DoesNotContain("   at ", run.Errors, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Inspect_refuses_a_file_that_holds_no_certificate()
    {
        using var directory = new TemporaryDirectory();
        var run = await Mesh("identity", "inspect", directory.Write("x.pem", "hello"));
        Assert.Equal(1, run.ExitCode);
    }

    private static Task<ProgramRun> Mesh(params string[] arguments) => ProgramRun.OfAssemblyAsync("mesh", arguments);
}
