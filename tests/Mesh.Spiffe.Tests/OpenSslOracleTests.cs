using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Mesh.Testing;
using static Mesh.Spiffe.Tests.CertificateSurgery;

namespace Mesh.Spiffe.Tests;

/// <summary>
/// Path validation held against <c>openssl verify</c>, on cases where both should say the same. OpenSSL knows nothing of SPIFFE, so only
/// rules of RFC 5280 appear here.
/// </summary>
public sealed class OpenSslOracleTests
{
    private static readonly ManualTime Time = new();
    private static readonly DateTimeOffset Now = Time.GetUtcNow();

    public static TheoryData<string> Cases() => [.. Scenarios.Keys];

    private static readonly Dictionary<string, (bool Valid, Func<(TestAuthority Root, IssuedCertificate Leaf)> Make)> Scenarios = new()
    {
        ["leaf below root"] = (true, () => Below(o => o, null, o => o)),
        ["leaf below issuer"] = (true, () => Below(o => o, o => o, o => o)),
        ["P-384 root"] = (true, () => Below(o => o with { Key = TestKey.P384 }, o => o, o => o)),
        ["RSA root"] = (true, () => Below(o => o with { Key = TestKey.Rsa2048 }, o => o, o => o)),
        ["broken signature"] = (false, () => Below(o => o, o => o, o => o with { BreakSignature = true })),
        ["expired leaf"] = (false, () => Below(o => o, o => o, o => o with { NotAfter = Now.AddSeconds(-1) })),
        ["leaf not valid yet"] = (false, () => Below(o => o, o => o, o => o with { NotBefore = Now.AddSeconds(60) })),
        ["expired issuer"] = (false, () => Below(o => o, o => o with { NotAfter = Now.AddSeconds(-1) }, o => o)),
        ["expired root"] = (false, () => Below(o => o with { NotAfter = Now.AddSeconds(-1) }, o => o, o => o)),
        ["issuer is no CA"] = (false, () => Below(o => o, o => o with { IsCa = false }, o => o)),
        ["issuer may not sign"] = (false, () => Below(o => o, o => o with { KeyUsages = X509KeyUsageFlags.DigitalSignature }, o => o)),
        ["path length kept"] = (true, () => Below(o => o with { PathLength = 1 }, o => o with { PathLength = 0 }, o => o)),
        ["path length exceeded"] = (false, () => Below(o => o with { PathLength = 0 }, o => o, o => o)),
        ["unknown critical extension"] = (false, () => Below(o => o, o => o, o => o with { Extensions = [new("1.2.3.4", [5, 0], critical: true)] })),
        ["URI permitted exactly"] = (true, () => Constrained(0xA0, 0x86, "example.org")),
        ["URI of another host permitted"] = (false, () => Constrained(0xA0, 0x86, "example.com")),
        ["URI permitted below only"] = (false, () => Constrained(0xA0, 0x86, ".example.org")),
        ["URI permitted below"] = (true, () => Constrained(0xA0, 0x86, ".org")),
        ["URI parent without dot"] = (false, () => Constrained(0xA0, 0x86, "org")),
        ["URI excluded"] = (false, () => Constrained(0xA1, 0x86, "example.org")),
        ["another URI excluded"] = (true, () => Constrained(0xA1, 0x86, "example.com")),
        ["whole URI permitted"] = (false, () => Constrained(0xA0, 0x86, "spiffe://example.org")),
        ["DNS permitted"] = (true, () => Constrained(0xA0, 0x82, "example.org")),
        ["DNS not permitted"] = (false, () => Constrained(0xA0, 0x82, "example.com")),
        ["DNS excluded"] = (false, () => Constrained(0xA1, 0x82, "example.org")),
    };

    [Theory]
    [MemberData(nameof(Cases))]
    public void Agrees_with_openssl_verify(string name)
    {
        var (valid, make) = Scenarios[name];
        var (root, leaf) = make();
        var ours = SvidVerifier.Verify(leaf.ChainDer, root.Bundles, Now);
        Assert.True(valid == ours.IsValid, ours.ToString());

        using var folder = new TemporaryDirectory();
        var arguments = new List<string>
        {
            "verify", "-attime", Now.ToUnixTimeSeconds().ToString(CultureInfo.InvariantCulture), "-CAfile", folder.Write("root.pem", root.CertificatePem),
        };
        if (leaf.Chain.Length > 1) arguments.AddRange(["-untrusted", folder.Write("chain.pem", string.Concat(leaf.Chain.Skip(1).Select(c => c.ToPem())))]);
        arguments.Add(folder.Write("leaf.pem", leaf.Certificate.ToPem()));
        var (exitCode, output) = RunOpenSsl(arguments);
        Assert.True(valid == (exitCode == 0), output);
    }

    private static (TestAuthority, IssuedCertificate) Below(
        Func<AuthorityOptions, AuthorityOptions> changeRoot,
        Func<AuthorityOptions, AuthorityOptions>? changeIssuer,
        Func<LeafOptions, LeafOptions> changeLeaf)
    {
        var root = TestAuthority.CreateRoot(change: changeRoot, time: Time);
        var issuer = changeIssuer is null ? root : root.CreateIntermediate(changeIssuer);
        return (root, issuer.CreateLeaf("spiffe://example.org/web", changeLeaf));
    }

    private static (TestAuthority, IssuedCertificate) Constrained(byte kind, byte form, string value)
    {
        var extension = new X509Extension("2.5.29.30", Sequence(Wrap(kind, Sequence(Wrap(form, Encoding.ASCII.GetBytes(value))))), critical: true);
        return Below(o => o, o => o with { UriNames = [], Extensions = [extension] }, o => o with { DnsNames = ["web.example.org"] });
    }

    private static (int ExitCode, string Output) RunOpenSsl(IEnumerable<string> arguments)
    {
        var start = new ProcessStartInfo("openssl", arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        Process process;
        try
        {
            process = Process.Start(start)!;
        }
        catch (System.ComponentModel.Win32Exception)
        {
            Assert.Skip("The openssl program is not installed.");
            throw;
        }

        using (process)
        {
            var error = process.StandardError.ReadToEndAsync();
            var output = process.StandardOutput.ReadToEnd();
            process.WaitForExit();
            return (process.ExitCode, output + error.Result);
        }
    }
}
