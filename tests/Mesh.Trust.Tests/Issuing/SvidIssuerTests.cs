using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Mesh.Spiffe;
using Mesh.Trust.Issuing;
using Mesh.Trust.Keys;
using Mesh.Trust.Requests;

namespace Mesh.Trust.Tests.Issuing;

public sealed class SvidIssuerTests
{
    private const string LinkerdName = "web.shop.serviceaccount.identity.mesh.example.org";

    public static TheoryData<KeyAlgorithm, KeyAlgorithm> Authorities => new()
    {
        { KeyAlgorithm.EcP256, KeyAlgorithm.EcP256 },
        { KeyAlgorithm.EcP384, KeyAlgorithm.EcP256 },
        { KeyAlgorithm.Rsa2048, KeyAlgorithm.EcP256 },
        { KeyAlgorithm.EcP256, KeyAlgorithm.EcP384 },
        { KeyAlgorithm.Rsa2048, KeyAlgorithm.Rsa2048 },
    };

    [Theory]
    [MemberData(nameof(Authorities))]
    public void What_is_issued_verifies_with_the_framework_and_with_our_own_verifier(KeyAlgorithm root, KeyAlgorithm issuer)
    {
        using var mesh = new Installation(root, issuer);
        var svid = mesh.Issue(r => r with { DnsNames = [LinkerdName] });

        var verdict = SvidVerifier.Verify(svid.Chain(), mesh.Bundles, mesh.Time.GetUtcNow());
        Assert.True(verdict.IsValid, verdict.Sentence);
        Assert.Equal(Installation.Web, verdict.Id);
        Assert.Equal(mesh.Root.Certificate, verdict.Anchor);

        using var leaf = Installation.Framework(svid.Leaf);
        using var chain = new X509Chain();
        chain.ChainPolicy.TrustMode = X509ChainTrustMode.CustomRootTrust;
        chain.ChainPolicy.CustomTrustStore.Add(Installation.Framework(mesh.Root.Certificate.Der));
        chain.ChainPolicy.ExtraStore.Add(Installation.Framework(mesh.Issuing.Certificate.Der));
        chain.ChainPolicy.RevocationMode = X509RevocationMode.NoCheck;
        chain.ChainPolicy.DisableCertificateDownloads = true;
        chain.ChainPolicy.VerificationTime = mesh.Time.GetUtcNow().UtcDateTime;
        Assert.True(chain.Build(leaf), string.Join(' ', chain.ChainStatus.Select(s => s.StatusInformation)));
        Assert.Equal(3, chain.ChainElements.Count);
    }

    [Theory]
    [MemberData(nameof(Authorities))]
    public void What_is_issued_verifies_with_BouncyCastle(KeyAlgorithm root, KeyAlgorithm issuer)
    {
        using var mesh = new Installation(root, issuer);
        var leaf = Installation.BouncyCastle(mesh.Issue().Leaf);
        var issuing = Installation.BouncyCastle(mesh.Issuing.Certificate.Der);
        var top = Installation.BouncyCastle(mesh.Root.Certificate.Der);
        leaf.Verify(issuing.GetPublicKey());
        issuing.Verify(top.GetPublicKey());
        top.Verify(top.GetPublicKey());
        Assert.Equal(-1, leaf.GetBasicConstraints());
        Assert.Equal(0, issuing.GetBasicConstraints());
        Assert.Equal(1, top.GetBasicConstraints());
        Assert.Equal(issuing.SubjectDN, leaf.IssuerDN);
    }

    [Fact]
    public void The_certificate_has_the_profile_of_an_SVID_and_nothing_else()
    {
        using var mesh = new Installation();
        var svid = mesh.Issue(r => r with { DnsNames = [LinkerdName] });
        using var leaf = Installation.Framework(svid.Leaf);

        Assert.Equal(3, leaf.Version);
        Assert.Equal("", leaf.Subject);
        Assert.Equal(mesh.WorkloadKey.ExportSubjectPublicKeyInfo(), leaf.PublicKey.ExportSubjectPublicKeyInfo());
        Assert.Equal(
            ["2.5.29.14", "2.5.29.15", "2.5.29.17", "2.5.29.19", "2.5.29.35", "2.5.29.37"],
            leaf.Extensions.Select(e => e.Oid!.Value!).Order(StringComparer.Ordinal));
        var usage = leaf.Extensions.OfType<X509KeyUsageExtension>().Single();
        Assert.True(usage.Critical);
        Assert.Equal(X509KeyUsageFlags.DigitalSignature, usage.KeyUsages);
        var constraints = leaf.Extensions.OfType<X509BasicConstraintsExtension>().Single();
        Assert.True(constraints.Critical);
        Assert.False(constraints.CertificateAuthority);
        var purposes = leaf.Extensions.OfType<X509EnhancedKeyUsageExtension>().Single();
        Assert.False(purposes.Critical);
        Assert.Equal(["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"], purposes.EnhancedKeyUsages.Cast<Oid>().Select(o => o.Value!));
        // Without a Subject the alternative name is the subject, and critical.
        Assert.True(leaf.Extensions["2.5.29.17"]!.Critical);
        Assert.Equal(
            leaf.Extensions.OfType<X509AuthorityKeyIdentifierExtension>().Single().KeyIdentifier!.Value.ToArray(),
            mesh.Issuing.Certificate.SubjectKeyId.ToArray());
        Assert.Equal(
            SHA256.HashData(leaf.PublicKey.EncodedKeyValue.RawData)[..20],
            leaf.Extensions.OfType<X509SubjectKeyIdentifierExtension>().Single().SubjectKeyIdentifierBytes.ToArray());
    }

    [Fact]
    public void There_is_exactly_one_URI_name_and_the_DNS_names_asked_for()
    {
        using var mesh = new Installation();
        var names = (System.Collections.IEnumerable)Installation.BouncyCastle(mesh.Issue(r => r with { DnsNames = [LinkerdName] }).Leaf).GetSubjectAlternativeNames();
        var pairs = names.Cast<System.Collections.IList>().Select(n => ((int)n[0]!, (string)n[1]!));
        Assert.Equal([(6, "spiffe://example.org/ns/shop/sa/web"), (2, LinkerdName)], pairs);

        var alone = Certificate.Parse(mesh.Issue().Leaf);
        Assert.Equal([Installation.Web.ToString()], alone.UriNames);
        Assert.Empty(alone.DnsNames);
    }

    [Fact]
    public void Validity_is_backdated_by_the_skew_and_lasts_as_policy_says()
    {
        using var mesh = new Installation();
        var now = mesh.Time.GetUtcNow();
        var svid = mesh.Issue();
        var leaf = Certificate.Parse(svid.Leaf);
        Assert.Equal(now - TimeSpan.FromSeconds(20), leaf.NotBefore);
        Assert.Equal(now + TimeSpan.FromHours(24), leaf.NotAfter);
        Assert.Equal((leaf.NotBefore, leaf.NotAfter), (svid.NotBefore, svid.NotAfter));
    }

    [Fact]
    public void The_times_reported_are_those_in_the_certificate_to_the_second()
    {
        using var mesh = new Installation();
        mesh.Time.Advance(TimeSpan.FromMilliseconds(1999));
        var svid = mesh.Issue();
        var leaf = Certificate.Parse(svid.Leaf);
        Assert.Equal((leaf.NotBefore, leaf.NotAfter), (svid.NotBefore, svid.NotAfter));
    }

    [Fact]
    public void No_SVID_outlives_its_issuer()
    {
        using var mesh = new Installation(issuerProfile: p => p with { Lifetime = TimeSpan.FromHours(30) });
        mesh.Time.Advance(TimeSpan.FromHours(10));
        Assert.Equal(mesh.Issuing.Certificate.NotAfter, mesh.Issue().NotAfter);
    }

    [Fact]
    public void No_SVID_outlives_its_anchor()
    {
        using var mesh = new Installation();
        var issuing = mesh.Issuing.Certificate;
        using var shortRoot = CertificateAuthority.CreateRoot(AuthorityProfile.Root(Installation.Domain) with { Lifetime = TimeSpan.FromHours(2) }, mesh.Time);
        var issuer = new SvidIssuer(Installation.Domain, [issuing], shortRoot.Certificate, mesh.Issuing.Key, IssuancePolicy.Default, mesh.Time);
        Assert.True(issuer.TryIssue(new SvidRequest(SubjectKey.Of(mesh.WorkloadKey), Installation.Web), out var svid, out _));
        Assert.Equal(shortRoot.Certificate.NotAfter, svid.NotAfter);
    }

    [Fact]
    public void No_SVID_begins_before_its_issuer()
    {
        using var mesh = new Installation(issuerProfile: p => p with { Backdate = TimeSpan.FromSeconds(5) });
        Assert.Equal(mesh.Issuing.Certificate.NotBefore, mesh.Issue().NotBefore);
    }

    [Fact]
    public void An_issuer_that_has_expired_or_is_about_to_signs_nothing()
    {
        using var mesh = new Installation(issuerProfile: p => p with { Lifetime = TimeSpan.FromHours(30) });
        mesh.Time.Advance(TimeSpan.FromHours(30) - TimeSpan.FromSeconds(60));
        mesh.Issue();
        mesh.Time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal(IssuanceFault.IssuerExpiresTooSoon, mesh.Refusal(r => r));
        mesh.Time.Advance(TimeSpan.FromSeconds(60));
        Assert.Equal(IssuanceFault.IssuerExpired, mesh.Refusal(r => r));
        mesh.Time.Step(TimeSpan.FromHours(-31));
        Assert.Equal(IssuanceFault.IssuerNotYetValid, mesh.Refusal(r => r));
    }

    [Fact]
    public void Serial_numbers_are_random_positive_and_of_128_bits()
    {
        using var mesh = new Installation();
        var serials = Enumerable.Range(0, 300).Select(_ => mesh.Issue()).ToList();
        Assert.Equal(300, serials.Select(s => s.SerialText).Distinct().Count());
        Assert.All(serials, s =>
        {
            Assert.Equal(16, s.SerialNumber.Length);
            var read = Installation.BouncyCastle(s.Leaf).SerialNumber;
            Assert.True(read.SignValue > 0);
            Assert.Equal(s.SerialText, Convert.ToHexStringLower(read.ToByteArrayUnsigned()));
        });
        // The highest bit is used as well: a positive number then has a leading zero octet.
        Assert.Contains(serials, s => s.SerialNumber.Span[0] >= 0x80);
    }

    [Fact]
    public void Names_outside_the_trust_domain_and_the_trust_domain_itself_are_refused()
    {
        using var mesh = new Installation();
        Assert.Equal(IssuanceFault.ForeignTrustDomain, mesh.Refusal(r => r with { Id = SpiffeId.Parse("spiffe://example.com/ns/shop/sa/web") }));
        Assert.Equal(IssuanceFault.RootPath, mesh.Refusal(r => r with { Id = Installation.Domain.Id }));
    }

    [Theory]
    [InlineData("")]
    [InlineData("Upper.example.org")]
    [InlineData("*.example.org")]
    [InlineData("a..example.org")]
    [InlineData(".example.org")]
    [InlineData("example.org.")]
    [InlineData("-a.example.org")]
    [InlineData("a-.example.org")]
    [InlineData("a b.example.org")]
    [InlineData("a\0.example.org")]
    [InlineData("ä.example.org")]
    [InlineData("0123456789012345678901234567890123456789012345678901234567890123.example.org")]
    public void Bad_DNS_names_are_refused(string name)
    {
        using var mesh = new Installation();
        Assert.Equal(IssuanceFault.BadDnsName, mesh.Refusal(r => r with { DnsNames = [name] }));
    }

    [Theory]
    [InlineData("a")]
    [InlineData("a_b.example.org")]
    [InlineData("my.dotted.account.shop.serviceaccount.identity.mesh.example.org")]
    [InlineData("012345678901234567890123456789012345678901234567890123456789012.example.org")]
    public void Good_DNS_names_are_taken(string name)
    {
        using var mesh = new Installation();
        Assert.Equal([name], Certificate.Parse(mesh.Issue(r => r with { DnsNames = [name] }).Leaf).DnsNames);
    }

    [Fact]
    public void The_number_and_length_of_DNS_names_are_bounded()
    {
        using var mesh = new Installation();
        Assert.Equal(IssuanceFault.TooManyDnsNames, mesh.Refusal(r => r with { DnsNames = [.. Enumerable.Range(0, 9).Select(i => $"n{i}.example.org")] }));
        Assert.Equal(IssuanceFault.BadDnsName, mesh.Refusal(r => r with { DnsNames = [string.Concat(Enumerable.Repeat("abcdefg.", 31)) + "abcdef"] }));
        mesh.Issue(r => r with { DnsNames = [string.Concat(Enumerable.Repeat("abcdefg.", 31)) + "abcde"] });
    }

    [Fact]
    public void The_lifetime_asked_for_is_held_between_the_bounds_of_policy()
    {
        using var mesh = new Installation(policy: IssuancePolicy.Create(TimeSpan.FromHours(1), TimeSpan.FromHours(2)));
        var now = mesh.Time.GetUtcNow();
        Assert.Equal(now.AddHours(1), mesh.Issue().NotAfter);
        Assert.Equal(now.AddHours(2), mesh.Issue(r => r with { Lifetime = TimeSpan.FromHours(2) }).NotAfter);
        Assert.Equal(now.AddSeconds(60), mesh.Issue(r => r with { Lifetime = TimeSpan.FromSeconds(60) }).NotAfter);
        Assert.Equal(IssuanceFault.LifetimeTooShort, mesh.Refusal(r => r with { Lifetime = TimeSpan.FromSeconds(59) }));
        Assert.Equal(IssuanceFault.LifetimeTooLong, mesh.Refusal(r => r with { Lifetime = TimeSpan.FromHours(2) + TimeSpan.FromSeconds(1) }));
    }

    [Fact]
    public void Dates_from_2050_on_are_written_as_GeneralizedTime()
    {
        using var mesh = new Installation(rootProfile: p => p with { Lifetime = TimeSpan.FromDays(20_000) });
        using var root = Installation.Framework(mesh.Root.Certificate.Der);
        Assert.Equal(mesh.Time.GetUtcNow().AddDays(20_000).UtcDateTime, root.NotAfter.ToUniversalTime());
        Assert.Equal(mesh.Time.GetUtcNow().AddDays(20_000), mesh.Root.Certificate.NotAfter);
        // Tag 24 (GeneralizedTime) with fifteen characters; RFC 5280 section 4.1.2.5.2 wants seconds and no fraction.
        Assert.True(mesh.Root.Certificate.Der.Span.IndexOf((ReadOnlySpan<byte>)[0x18, 0x0f, (byte)'2', (byte)'0', (byte)'8']) > 0);
    }

    [Theory]
    [InlineData(KeyAlgorithm.EcP384)]
    [InlineData(KeyAlgorithm.Rsa2048)]
    public void Other_kinds_of_workload_key_are_certified(KeyAlgorithm algorithm)
    {
        using var mesh = new Installation();
        using var key = SigningKey.Create(algorithm);
        var svid = mesh.Issue(r => r with { Key = SubjectKey.Of(key) });
        var verdict = SvidVerifier.Verify(svid.Chain(), mesh.Bundles, mesh.Time.GetUtcNow());
        Assert.True(verdict.IsValid, verdict.Sentence);
    }

    [Fact]
    public async Task Many_threads_issue_at_once()
    {
        using var mesh = new Installation();
        var issued = await Task.WhenAll(Enumerable.Range(0, 16).Select(_ => Task.Run(() => Enumerable.Range(0, 50).Select(_ => mesh.Issue()).ToList())));
        var all = issued.SelectMany(s => s).ToList();
        Assert.Equal(800, all.Select(s => s.SerialText).Distinct().Count());
        Assert.All(all, s => Assert.True(Certificate.Parse(s.Leaf).VerifySignature(mesh.Issuing.Certificate)));
    }

    [Fact]
    public void A_key_that_is_not_the_issuers_is_refused_when_the_issuer_is_made()
    {
        using var mesh = new Installation();
        Assert.Throws<ArgumentException>(() => new SvidIssuer(Installation.Domain, [mesh.Issuing.Certificate], mesh.Root.Certificate, mesh.Root.Key, IssuancePolicy.Default, mesh.Time));
    }

    [Fact]
    public void Every_fault_has_a_sentence_of_its_own() =>
        Assert.Equal(Enum.GetValues<IssuanceFault>().Length, Enum.GetValues<IssuanceFault>().Select(f => f.Sentence()).Distinct().Count());

    [Fact]
    public void Text_shows_serial_and_expiry_and_Sha256_is_that_of_the_bytes()
    {
        using var mesh = new Installation();
        var svid = mesh.Issue();
        Assert.Equal($"spiffe://example.org/ns/shop/sa/web serial {svid.SerialText} until 2026-01-02 00:00:00Z", svid.ToString());
        Assert.Equal(Convert.ToHexStringLower(SHA256.HashData(svid.Leaf.Span)), svid.Sha256);
    }
}
