using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Mesh.Spiffe.Renewal;

namespace Mesh.Spiffe.Tests.Renewal;

public sealed class CertificateSigningRequestTests
{
    [Theory]
    [InlineData("spiffe://example.org/ns/web/sa/front", null)]
    [InlineData("spiffe://example.org/ns/web/sa/front.v2", "front.v2.web.serviceaccount.identity.mesh.example.org")]
    // What System.Uri would rewrite.
    [InlineData("spiffe://1.2.3/ns/web/sa/front", null)]
    [InlineData("spiffe://under_score/a", null)]
    public void Carries_the_identity_unchanged_and_proves_possession(string id, string? dnsName)
    {
        using ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        byte[] der = CertificateSigningRequest.Create(key, SpiffeId.Parse(id), dnsName);

        // Loading checks the signature.
        CertificateRequest request = CertificateRequest.LoadSigningRequest(der, HashAlgorithmName.SHA256, CertificateRequestLoadOptions.UnsafeLoadCertificateExtensions);
        Assert.Equal(key.ExportSubjectPublicKeyInfo(), request.PublicKey.ExportSubjectPublicKeyInfo());
        byte[] names = Assert.Single(request.CertificateExtensions, e => e.Oid?.Value == "2.5.29.17").RawData;
        Assert.Equal(id, System.Text.Encoding.ASCII.GetString(names.AsSpan(4, id.Length)));
        Assert.Equal(0x86, names[2]);
        Assert.Equal(dnsName is null ? [] : [dnsName], new X509SubjectAlternativeNameExtension(names).EnumerateDnsNames());
    }
}
