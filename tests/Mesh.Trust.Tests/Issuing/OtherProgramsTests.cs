using System.Text.Json;
using Mesh.Testing;
using Mesh.Trust.Keys;

namespace Mesh.Trust.Tests.Issuing;

/// <summary>What OpenSSL and zlint say about the certificates we write.</summary>
public sealed class OtherProgramsTests
{
    private const string LinkerdName = "web.shop.serviceaccount.identity.mesh.example.org";

    /// <summary>
    /// The rule books of the public web and of e-mail, which a private trust domain is not under: they demand, among much else,
    /// revocation pointers, registered domains and country names. What zlint knows of RFC 3279, 5280, 5480, 5891, 8813 and of the community is run.
    /// </summary>
    private const string WebSources = "Apple,CABF_BR,CABF_EV,CABF_SMIME_BR,ETSI_ESI,Mozilla";

    public static TheoryData<KeyAlgorithm> Algorithms => new(KeyAlgorithm.EcP256, KeyAlgorithm.EcP384, KeyAlgorithm.Rsa2048);

    [Theory]
    [MemberData(nameof(Algorithms))]
    public async Task OpenSSL_verifies_an_SVID_for_server_and_client_strictly(KeyAlgorithm algorithm)
    {
        var openssl = Programs.Require("openssl");
        using var mesh = new Installation(algorithm);
        using var folder = new TemporaryDirectory();
        var root = folder.Write("root.pem", mesh.Root.Certificate.ToPem());
        var issuer = folder.Write("issuer.pem", mesh.Issuing.Certificate.ToPem());
        var leaf = folder.Write("leaf.pem", mesh.Issue(r => r with { DnsNames = [LinkerdName] }).Chain()[0].ToPem());
        var now = mesh.Time.GetUtcNow().ToUnixTimeSeconds().ToString(System.Globalization.CultureInfo.InvariantCulture);
        foreach (var purpose in new[] { "sslserver", "sslclient" })
        {
            var (code, output) = await Programs.RunAsync(openssl, "verify", "-x509_strict", "-check_ss_sig", "-attime", now, "-purpose", purpose, "-CAfile", root, "-untrusted", issuer, leaf);
            Assert.True(code == 0, output);
        }

        var (host, said) = await Programs.RunAsync(openssl, "verify", "-attime", now, "-verify_hostname", LinkerdName, "-CAfile", root, "-untrusted", issuer, leaf);
        Assert.True(host == 0, said);
    }

    [Theory]
    [MemberData(nameof(Algorithms))]
    public async Task Zlint_finds_nothing_wrong_with_what_we_write(KeyAlgorithm algorithm)
    {
        var zlint = Programs.Require("zlint", "zlint");
        using var mesh = new Installation(algorithm);
        using var folder = new TemporaryDirectory();
        var files = new Dictionary<string, string>
        {
            ["root"] = folder.Write("root.pem", mesh.Root.Certificate.ToPem()),
            ["issuer"] = folder.Write("issuer.pem", mesh.Issuing.Certificate.ToPem()),
            ["SVID"] = folder.Write("svid.pem", mesh.Issue().Chain()[0].ToPem()),
            ["SVID with a DNS name"] = folder.Write("dns.pem", mesh.Issue(r => r with { DnsNames = [LinkerdName] }).Chain()[0].ToPem()),
        };
        foreach (var (name, file) in files)
        {
            var (_, output) = await Programs.RunAsync(zlint, "-excludeSources", WebSources, file);
            using var report = JsonDocument.Parse(output);
            var found = report.RootElement.EnumerateObject()
                .Where(l => l.Value.GetProperty("result").GetString() is "error" or "fatal" or "warn")
                .Select(l => l.Name);
            Assert.True(!found.Any(), $"{name}: {string.Join(' ', found)}");
            Assert.Contains(report.RootElement.EnumerateObject(), l => l.Value.GetProperty("result").GetString() == "pass");
        }
    }
}
