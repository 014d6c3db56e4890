using System.Security.Cryptography.X509Certificates;
using Mesh.Spiffe;
using Mesh.Testing;
using Mesh.Trust.Issuing;
using Mesh.Trust.Keys;

namespace Mesh.Trust.Tests.Issuing;

public sealed class CertificateAuthorityTests
{
    public static TheoryData<KeyAlgorithm> Algorithms => new(Enum.GetValues<KeyAlgorithm>());

    [Theory]
    [MemberData(nameof(Algorithms))]
    public void A_root_is_self_signed_an_authority_and_an_SVID_of_its_trust_domain(KeyAlgorithm algorithm)
    {
        var time = new ManualTime();
        using var root = CertificateAuthority.CreateRoot(AuthorityProfile.Root(Installation.Domain) with { Algorithm = algorithm }, time);
        var certificate = root.Certificate;
        Assert.True(certificate.VerifySignature(certificate));
        Assert.True(certificate.IsCa);
        Assert.Equal(1, certificate.PathLength);
        Assert.Equal(X509KeyUsageFlags.KeyCertSign | X509KeyUsageFlags.CrlSign, certificate.KeyUsages);
        Assert.Null(certificate.ExtendedKeyUsages);
        Assert.Equal(["spiffe://example.org"], certificate.UriNames);
        Assert.Equal(certificate.SubjectKeyId.ToArray(), certificate.AuthorityKeyId.ToArray());
        Assert.Equal(time.GetUtcNow().AddSeconds(-20), certificate.NotBefore);
        Assert.Equal(time.GetUtcNow().AddDays(3650), certificate.NotAfter);
        Assert.Equal(algorithm, root.Key.Algorithm);
        using var framework = Installation.Framework(certificate.Der);
        Assert.True(framework.Extensions.OfType<X509BasicConstraintsExtension>().Single().Critical);
        Assert.True(framework.Extensions.OfType<X509KeyUsageExtension>().Single().Critical);
    }

    [Fact]
    public void An_issuer_lives_a_year_below_its_root_and_has_no_authorities_below_it()
    {
        using var mesh = new Installation();
        var issuer = mesh.Issuing.Certificate;
        Assert.True(issuer.VerifySignature(mesh.Root.Certificate));
        Assert.Equal(0, issuer.PathLength);
        Assert.Equal(mesh.Root.Certificate.RawSubject.ToArray(), issuer.RawIssuer.ToArray());
        Assert.Equal(mesh.Root.Certificate.SubjectKeyId.ToArray(), issuer.AuthorityKeyId.ToArray());
        Assert.Equal(mesh.Time.GetUtcNow().AddDays(365), issuer.NotAfter);
    }

    [Fact]
    public void Every_key_has_a_Subject_of_its_own()
    {
        var time = new ManualTime();
        using var root = CertificateAuthority.CreateRoot(AuthorityProfile.Root(Installation.Domain), time);
        using var another = CertificateAuthority.CreateRoot(AuthorityProfile.Root(Installation.Domain), time);
        using var issuer = root.CreateIssuer(AuthorityProfile.Issuer(Installation.Domain), time);
        using var next = root.CreateIssuer(AuthorityProfile.Issuer(Installation.Domain), time);
        Assert.Equal(4, new[] { root, another, issuer, next }.Select(a => a.Certificate.SubjectText).Distinct().Count());
        Assert.Contains("Mesh root", root.Certificate.SubjectText, StringComparison.Ordinal);
        Assert.Contains("example.org", root.Certificate.SubjectText, StringComparison.Ordinal);
    }

    [Fact]
    public void A_trust_domain_too_long_for_an_organisation_name_is_left_out_of_the_Subject()
    {
        var domain = TrustDomain.Parse(string.Join('.', Enumerable.Repeat("abcdefghij", 10)));
        using var root = CertificateAuthority.CreateRoot(AuthorityProfile.Root(domain), new ManualTime());
        Assert.DoesNotContain("abcdefghij", root.Certificate.SubjectText, StringComparison.Ordinal);
        Assert.Equal([domain.Id.ToString()], root.Certificate.UriNames);
    }

    [Fact]
    public void An_issuer_never_outlives_its_root()
    {
        using var mesh = new Installation(rootProfile: p => p with { Lifetime = TimeSpan.FromDays(30) });
        Assert.Equal(mesh.Root.Certificate.NotAfter, mesh.Issuing.Certificate.NotAfter);
    }

    [Fact]
    public void A_root_that_is_not_valid_signs_no_issuer()
    {
        using var mesh = new Installation();
        mesh.Time.Advance(TimeSpan.FromDays(3651));
        Assert.Throws<InvalidOperationException>(() => mesh.Root.CreateIssuer(AuthorityProfile.Issuer(Installation.Domain), mesh.Time));
        mesh.Time.Step(TimeSpan.FromDays(-3652));
        Assert.Throws<InvalidOperationException>(() => mesh.Root.CreateIssuer(AuthorityProfile.Issuer(Installation.Domain), mesh.Time));
    }

    [Fact]
    public void An_authority_makes_no_authority_that_its_path_length_forbids()
    {
        using var mesh = new Installation();
        Assert.Throws<InvalidOperationException>(() => mesh.Issuing.CreateIssuer(AuthorityProfile.Issuer(Installation.Domain), mesh.Time));
        Assert.Throws<InvalidOperationException>(() => mesh.Root.CreateIssuer(AuthorityProfile.Issuer(Installation.Domain) with { PathLength = 1 }, mesh.Time));
        Assert.Throws<InvalidOperationException>(() => mesh.Root.CreateIssuer(AuthorityProfile.Issuer(Installation.Domain) with { PathLength = null }, mesh.Time));
        using var free = CertificateAuthority.CreateRoot(AuthorityProfile.Root(Installation.Domain) with { PathLength = null }, mesh.Time);
        using var middle = free.CreateIssuer(AuthorityProfile.Issuer(Installation.Domain) with { PathLength = 1 }, mesh.Time);
        using var issuer = middle.CreateIssuer(AuthorityProfile.Issuer(Installation.Domain), mesh.Time);
        Assert.Null(free.Certificate.PathLength);
        Assert.Equal(0, issuer.Certificate.PathLength);
    }

    [Fact]
    public void An_authority_made_elsewhere_is_continued_with_its_own_key_id_and_name()
    {
        var foreign = TestAuthority.CreateRoot("example.org");
        using var key = SigningKey.FromPem(foreign.KeyPem);
        using var root = new CertificateAuthority(foreign.Certificate, key);
        using var issuer = root.CreateIssuer(AuthorityProfile.Issuer(Installation.Domain), TimeProvider.System);
        Assert.True(issuer.Certificate.VerifySignature(foreign.Certificate));
        Assert.Equal(foreign.Certificate.SubjectKeyId.ToArray(), issuer.Certificate.AuthorityKeyId.ToArray());
    }

    [Fact]
    public void Certificate_and_key_must_belong_together()
    {
        using var mesh = new Installation();
        Assert.Throws<ArgumentException>(() => new CertificateAuthority(mesh.Root.Certificate, mesh.Issuing.Key));
    }

    [Fact]
    public void The_private_key_does_not_print()
    {
        using var mesh = new Installation();
        var secret = mesh.Root.Key.ExportPem()!.Split('\n')[1];
        Assert.DoesNotContain(secret, $"{mesh.Root} {mesh.Root.Key} {mesh.Issuer}", StringComparison.Ordinal);
        Assert.Contains(Convert.ToHexStringLower(mesh.Root.Key.KeyId.Span), mesh.Root.Key.ToString(), StringComparison.Ordinal);
    }
}
