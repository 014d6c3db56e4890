namespace Mesh.Spiffe.Tests;

/// <summary>The committed bad certificates, made by OpenSSL: each is refused for the defect in its name.</summary>
public sealed class BadCertificateTests
{
    private static readonly Dictionary<string, (SvidFault Fault, string[] Chain)> Expected = new()
    {
        ["leaf-without-defect"] = (SvidFault.None, []),
        ["leaf-with-ca-true"] = (SvidFault.LeafIsCa, []),
        ["leaf-with-cert-sign"] = (SvidFault.LeafSignsCertificates, []),
        ["leaf-with-crl-sign"] = (SvidFault.LeafSignsRevocationLists, []),
        ["leaf-without-digital-signature"] = (SvidFault.NoDigitalSignature, []),
        ["leaf-without-key-usage"] = (SvidFault.MissingKeyUsage, []),
        ["leaf-with-uncritical-key-usage"] = (SvidFault.KeyUsageNotCritical, []),
        ["leaf-for-servers-only"] = (SvidFault.WrongExtendedKeyUsage, []),
        ["leaf-with-two-uri-names"] = (SvidFault.SeveralUriNames, []),
        ["leaf-with-uri-name-that-is-none"] = (SvidFault.SeveralUriNames, []),
        ["leaf-with-dns-name-only"] = (SvidFault.NoUriName, []),
        ["leaf-with-upper-case-trust-domain"] = (SvidFault.BadSpiffeId, []),
        ["leaf-with-trailing-slash"] = (SvidFault.BadSpiffeId, []),
        ["leaf-with-the-trust-domains-own-id"] = (SvidFault.RootPath, []),
        ["leaf-with-unknown-critical-extension"] = (SvidFault.UnknownCriticalExtension, []),
        ["leaf-of-issuer-with-path-in-its-id"] = (SvidFault.IssuerIdNotRoot, ["issuer-with-path-in-its-id"]),
        ["leaf-of-issuer-with-whole-uri-as-constraint"] = (SvidFault.NameConstraint, ["issuer-with-whole-uri-as-constraint"]),
        ["leaf-of-issuer-without-cert-sign"] = (SvidFault.IssuerMayNotSign, ["issuer-without-cert-sign"]),
        ["leaf-of-a-leaf"] = (SvidFault.IssuerNotCa, ["leaf-as-issuer"]),
    };

    public static TheoryData<string> Leaves() => [.. BadCertificates.Names().Where(n => n.StartsWith("leaf-", StringComparison.Ordinal) && n != "leaf-as-issuer")];

    [Theory]
    [MemberData(nameof(Leaves))]
    public void Is_refused_for_the_defect_in_its_name(string name)
    {
        var (fault, chain) = Expected[name];
        var root = BadCertificates.ReadCertificate("root");
        var bundles = new TrustBundleSet(new TrustBundle(TrustDomain.Parse("example.org"), [root]));
        var leaf = BadCertificates.ReadCertificate(name);
        var verdict = SvidVerifier.Verify([leaf, .. chain.Select(BadCertificates.ReadCertificate)], bundles, leaf.NotBefore.AddDays(1));
        Assert.Equal(fault, verdict.Fault);
    }

    [Fact]
    public void A_version_1_certificate_is_not_read()
    {
        Assert.False(Certificate.TryParsePem(BadCertificates.Read("self-signed-version-1.pem"), out _, out var fault));
        Assert.Equal(CertificateFault.NotVersion3, fault);
    }

    [Fact]
    public void A_SHA_1_signature_does_not_count()
    {
        var certificate = BadCertificates.ReadCertificate("self-signed-sha1");
        Assert.False(certificate.VerifySignature(certificate));
    }
}
