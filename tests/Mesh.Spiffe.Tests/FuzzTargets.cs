using System.Text;
using Mesh.Testing;

namespace Mesh.Spiffe.Tests;

/// <summary>Fuzz targets for what a peer or a file can feed us. Each must return, whatever it is given.</summary>
internal static class FuzzTargets
{
    public static readonly TestAuthority Root = TestAuthority.CreateRoot();
    public static readonly IssuedCertificate Leaf = Root.CreateIntermediate().CreateLeaf("spiffe://example.org/web", o => o with { DnsNames = ["web"], Subject = "CN=web" });
    private static readonly TrustBundleSet Bundles = Root.Bundles;

    public static void Id(ReadOnlySpan<byte> data)
    {
        var fromBytes = SpiffeId.TryParse(data, out var id, out var fault);
        Assert.Equal(fromBytes, fault == SpiffeIdFault.None);
        if (!fromBytes) return;
        Assert.Equal(data, Encoding.ASCII.GetBytes(id!.ToString()));
        Assert.Equal(id, SpiffeId.Parse(id.ToString()));
    }

    public static void OneCertificate(ReadOnlySpan<byte> data)
    {
        if (!Certificate.TryParse(data.ToArray(), out var certificate, out var fault))
        {
            Assert.NotEqual(CertificateFault.None, fault);
            return;
        }

        _ = certificate.ToString() + certificate.SubjectText + certificate.IssuerText;
        _ = certificate.VerifySignature(Root.Certificate);
        _ = certificate.VerifySignature(certificate);
    }

    /// <summary>A whole chain: each certificate behind two bytes of length.</summary>
    public static void Chain(ReadOnlySpan<byte> data)
    {
        var chain = new List<ReadOnlyMemory<byte>>();
        while (data.Length >= 2)
        {
            var length = Math.Min((data[0] << 8) | data[1], data.Length - 2);
            chain.Add(data.Slice(2, length).ToArray());
            data = data[(2 + length)..];
        }

        var verdict = SvidVerifier.Verify(chain.ToArray(), Bundles, Leaf.Certificate.NotBefore.AddMinutes(1));
        // No change to a chain may make another identity out of it.
        if (verdict.IsValid) Assert.Equal("spiffe://example.org/web", verdict.Id!.ToString());
        _ = verdict.ToString();
    }

    public static void BundleJson(ReadOnlySpan<byte> data)
    {
        if (TrustBundle.TryParseJson(Root.TrustDomain, data.ToArray(), out var bundle, out _)) Assert.Equal(bundle, TrustBundle.ParseJson(Root.TrustDomain, bundle.ToJson()));
    }

    public static void BundlePem(ReadOnlySpan<byte> data)
    {
        if (TrustBundle.TryParsePem(Root.TrustDomain, Encoding.Latin1.GetString(data), out var bundle, out _)) Assert.Equal(bundle, TrustBundle.ParsePem(Root.TrustDomain, bundle.ToPem()));
    }
}
