using System.Collections.Immutable;
using System.Security.Cryptography.X509Certificates;
using Mesh.Spiffe.X509;
using Mesh.Testing;

namespace Mesh.Spiffe.Tests;

/// <summary>X509-SVID and path validation. The numbers are those of the conformance table.</summary>
public sealed class SvidVerifierTests
{
    private const X509KeyUsageFlags CertSign = X509KeyUsageFlags.KeyCertSign;
    private const X509KeyUsageFlags Signature = X509KeyUsageFlags.DigitalSignature;

    private static readonly SpiffeId Web = SpiffeId.Parse("spiffe://example.org/ns/shop/sa/web");

    private readonly ManualTime _time = new();
    private readonly TestAuthority _root;

    public SvidVerifierTests() => _root = TestAuthority.CreateRoot(time: _time);

    private DateTimeOffset Now => _time.GetUtcNow();

    [Fact]
    public void Accepts_a_leaf_below_an_intermediate_and_says_who_it_is()
    {
        var leaf = _root.CreateIntermediate().CreateLeaf(Web);
        var verdict = SvidVerifier.Verify(leaf.ChainDer, _root.Bundles, Now);
        Assert.Equal(SvidFault.None, verdict.Fault);
        Assert.True(verdict.IsValid);
        Assert.Equal(Web, verdict.Id);
        Assert.Equal(leaf.Certificate, verdict.Leaf);
        Assert.Equal(_root.Certificate, verdict.Anchor);
        Assert.Equal(leaf.Certificate.NotAfter, verdict.ValidUntil);
        Assert.Equal("spiffe://example.org/ns/shop/sa/web: The SVID is valid.", verdict.ToString());
    }

    [Fact]
    public void Both_ways_in_give_the_same_verdict()
    {
        var leaf = _root.CreateIntermediate().CreateLeaf(Web);
        Assert.Equal(SvidVerifier.Verify(leaf.ChainDer, _root.Bundles, Now), SvidVerifier.Verify(leaf.Chain, _root.Bundles, Now));
        var foreign = TestAuthority.CreateRoot(time: _time).CreateLeaf(Web);
        Assert.Equal(SvidVerifier.Verify(foreign.ChainDer, _root.Bundles, Now), SvidVerifier.Verify(foreign.Chain, _root.Bundles, Now));
    }

    [Fact]
    public void A_refused_peer_has_a_claim_and_no_identity()
    {
        var leaf = TestAuthority.CreateRoot(time: _time).CreateLeaf(Web);
        var verdict = SvidVerifier.Verify(leaf.Chain, _root.Bundles, Now);
        Assert.Equal(SvidFault.UntrustedChain, verdict.Fault);
        Assert.Null(verdict.Id);
        Assert.Equal(Web, verdict.ClaimedId);
        Assert.Null(verdict.Anchor);
    }

    [Fact]
    public void An_authority_is_judged_by_the_anchor_it_leads_to()
    {
        var issuer = _root.CreateIntermediate().CreateIntermediate();
        Assert.Equal(SvidFault.None, SvidVerifier.VerifyAuthority(issuer.Intermediates, _root.Bundle, Now, out var anchor, out var until));
        Assert.Equal(_root.Certificate, anchor);
        Assert.Equal(issuer.Intermediates.Append(_root.Certificate).Min(c => c.NotAfter), until);
        Assert.Equal(SvidFault.None, SvidVerifier.VerifyAuthority([_root.Certificate], _root.Bundle, Now, out anchor, out _));
        Assert.Equal(_root.Certificate, anchor);

        Assert.Equal(SvidFault.UntrustedChain, SvidVerifier.VerifyAuthority([issuer.Certificate], _root.Bundle, Now, out anchor, out until));
        Assert.Null(anchor);
        Assert.Equal(default, until);
        var stranger = TestAuthority.CreateRoot(time: _time);
        Assert.NotEqual(SvidFault.None, SvidVerifier.VerifyAuthority([stranger.Certificate], _root.Bundle, Now, out _, out _));
        Assert.NotEqual(SvidFault.None, SvidVerifier.VerifyAuthority([stranger.CreateIntermediate().Certificate], _root.Bundle, Now, out _, out _));
    }

    [Fact]
    public void An_authority_that_could_not_issue_is_refused()
    {
        Assert.Equal(SvidFault.IssuerNotCa, Judge(_root.CreateLeaf(Web).Chain, _root.Bundle));
        Assert.Equal(SvidFault.IssuerExpired, SvidVerifier.VerifyAuthority([_root.Certificate], _root.Bundle, _root.Certificate.NotAfter.AddSeconds(1), out _, out _));
        Assert.Equal(SvidFault.IssuerMayNotSign, Judge(_root.CreateIntermediate(o => o with { KeyUsages = Signature }).Intermediates, _root.Bundle));
        Assert.Equal(SvidFault.NoAuthorities, Judge([_root.Certificate], new TrustBundle(_root.TrustDomain, [])));
        Assert.Equal(SvidFault.NoCertificate, Judge([], _root.Bundle));
        Assert.Equal(SvidFault.ChainTooLong, Judge([.. Enumerable.Repeat(_root.Certificate, SvidVerifier.MaxIntermediates + 2)], _root.Bundle));
        // The root allows no authority below it, so what this one issues would be refused.
        var lonely = TestAuthority.CreateRoot(change: o => o with { PathLength = 0 }, time: _time);
        Assert.Equal(SvidFault.PathLength, Judge(lonely.CreateIntermediate().Intermediates, lonely.Bundle));

        SvidFault Judge(ImmutableArray<Certificate> chain, TrustBundle bundle) => SvidVerifier.VerifyAuthority(chain, bundle, Now, out _, out _);
    }

    [Fact]
    public void Refuses_no_certificate()
    {
        Assert.Equal(SvidFault.NoCertificate, SvidVerifier.Verify(ImmutableArray<Certificate>.Empty, _root.Bundles, Now).Fault);
        Assert.Equal(SvidFault.NoCertificate, SvidVerifier.Verify(default(ImmutableArray<Certificate>), _root.Bundles, Now).Fault);
        Assert.Equal(SvidFault.NoCertificate, SvidVerifier.Verify(ReadOnlySpan<ReadOnlyMemory<byte>>.Empty, _root.Bundles, Now).Fault);
    }

    [Fact]
    public void Refuses_what_cannot_be_read_and_says_why()
    {
        var leaf = _root.CreateLeaf(Web);
        var verdict = SvidVerifier.Verify([leaf.Certificate.Der[..^1]], _root.Bundles, Now);
        Assert.Equal(SvidFault.Malformed, verdict.Fault);
        Assert.Equal("A certificate of the chain cannot be read. The bytes are not a DER certificate.", verdict.Sentence);
        verdict = SvidVerifier.Verify([leaf.Certificate.Der, new byte[] { 0x30, 0x00 }], _root.Bundles, Now);
        Assert.Equal(SvidFault.Malformed, verdict.Fault);
        Assert.Equal(Web, verdict.ClaimedId);
    }

    [Fact]
    public void ID_16_and_ID_17_an_authority_carries_the_id_of_its_trust_domain()
    {
        Assert.Equal(["spiffe://example.org"], _root.Certificate.UriNames);
        AssertVerdict(SvidFault.None, _root.CreateLeaf(Web), _root.Bundles);
    }

    [Fact]
    public void ID_18_id_and_public_key_are_inside_the_signed_part()
    {
        var leaf = _root.CreateLeaf(Web);
        var renamed = leaf.Certificate.Der.ToArray();
        var at = renamed.AsSpan().IndexOf("sa/web"u8);
        "sa/adm"u8.CopyTo(renamed.AsSpan(at));
        var verdict = SvidVerifier.Verify([renamed], _root.Bundles, Now);
        Assert.Equal(SvidFault.BadSignature, verdict.Fault);
        Assert.Equal("spiffe://example.org/ns/shop/sa/adm", verdict.ClaimedId!.ToString());

        var ownKey = leaf.Certificate.Der.ToArray();
        var key = leaf.Certificate.SubjectPublicKeyInfo.Span;
        _root.CreateLeaf(Web).Certificate.SubjectPublicKeyInfo.Span.CopyTo(ownKey.AsSpan(ownKey.AsSpan().IndexOf(key)));
        Assert.Equal(SvidFault.BadSignature, SvidVerifier.Verify([ownKey], _root.Bundles, Now).Fault);
    }

    [Fact]
    public void ID_19_another_kind_of_document_is_no_X509_SVID()
    {
        var token = "eyJhbGciOiJFUzI1NiJ9.eyJzdWIiOiJzcGlmZmU6Ly9leGFtcGxlLm9yZy93ZWIifQ.AA"u8.ToArray();
        Assert.Equal(SvidFault.Malformed, SvidVerifier.Verify([token], _root.Bundles, Now).Fault);
    }

    [Fact]
    public void X_1_accepts_one_URI_name_beside_other_names() => AssertLeaf(SvidFault.None, o => o with { DnsNames = ["web.example.org", "web"] });

    [Fact]
    public void X_1_refuses_a_leaf_without_a_URI_name()
    {
        AssertLeaf(SvidFault.NoUriName, o => o with { UriNames = [], DnsNames = ["web.example.org"] });
        AssertLeaf(SvidFault.NoUriName, o => o with { UriNames = [], Subject = "CN=spiffe://example.org/ns/shop/sa/web" });
    }

    [Theory]
    [InlineData("spiffe://example.org/ns/shop/sa/db")]
    [InlineData("spiffe://example.org/ns/shop/sa/web")]
    [InlineData("https://example.org/")]
    [InlineData("%zz not a uri")]
    [InlineData("")]
    [InlineData("\u00ff")]
    public void X_2_refuses_a_second_URI_name_even_one_that_is_no_URI(string second)
    {
        AssertLeaf(SvidFault.SeveralUriNames, o => o with { UriNames = [Web.ToString(), second] });
        AssertLeaf(SvidFault.SeveralUriNames, o => o with { UriNames = [second, Web.ToString()] });
    }

    [Fact]
    public void X_3_refuses_a_leaf_with_the_trust_domains_own_id() => AssertLeaf(SvidFault.RootPath, o => o with { UriNames = ["spiffe://example.org"] });

    [Fact]
    public void X_4_the_names_are_critical_when_there_is_no_subject()
    {
        AssertLeaf(SvidFault.None, o => o with { Subject = "", NamesAreCritical = true });
        AssertLeaf(SvidFault.None, o => o with { Subject = "CN=web", NamesAreCritical = false });
        AssertLeaf(SvidFault.NameNotCritical, o => o with { Subject = "", NamesAreCritical = false });
    }

    [Fact]
    public void X_5_accepts_an_issuer_without_an_id()
    {
        var root = TestAuthority.CreateRoot(change: o => o with { UriNames = [] }, time: _time);
        var issuer = root.CreateIntermediate(o => o with { UriNames = [] });
        AssertVerdict(SvidFault.None, issuer.CreateLeaf(Web), root.Bundles);
    }

    [Theory]
    [InlineData("spiffe://example.org/ca")]
    [InlineData("spiffe://example.org/")]
    [InlineData("spiffe://Example.org")]
    [InlineData("SPIFFE://example.org")]
    public void X_6_refuses_an_issuer_whose_id_has_a_path_or_is_none(string id)
    {
        AssertVerdict(SvidFault.IssuerIdNotRoot, _root.CreateIntermediate(o => o with { UriNames = [id] }).CreateLeaf(Web), _root.Bundles);
        var root = TestAuthority.CreateRoot(change: o => o with { UriNames = [id] }, time: _time);
        AssertVerdict(SvidFault.IssuerIdNotRoot, root.CreateLeaf(Web), root.Bundles);
    }

    [Fact]
    public void X_6_refuses_an_issuer_with_two_ids_and_lets_it_have_other_URIs()
    {
        AssertVerdict(SvidFault.IssuerIdNotRoot, _root.CreateIntermediate(o => o with { UriNames = ["spiffe://example.org", "spiffe://example.com"] }).CreateLeaf(Web), _root.Bundles);
        AssertVerdict(SvidFault.None, _root.CreateIntermediate(o => o with { UriNames = ["https://ca.example.org/cps", "urn:example:ca"] }).CreateLeaf(Web), _root.Bundles);
    }

    [Fact]
    public void X_7_accepts_an_issuer_of_another_trust_domain_that_the_bundle_vouches_for() =>
        AssertVerdict(SvidFault.None, _root.CreateIntermediate(o => o with { UriNames = ["spiffe://example.com"] }).CreateLeaf(Web), _root.Bundles);

    [Fact]
    public void X_8_accepts_issuers_that_sign_issuers() =>
        AssertVerdict(SvidFault.None, _root.CreateIntermediate().CreateIntermediate().CreateIntermediate().CreateLeaf(Web), _root.Bundles);

    [Fact]
    public void X_9_refuses_the_signing_certificates_themselves()
    {
        Assert.Equal(SvidFault.RootPath, SvidVerifier.Verify([_root.Certificate], _root.Bundles, Now).Fault);
        Assert.Equal(SvidFault.RootPath, SvidVerifier.Verify([_root.CreateIntermediate().Certificate], _root.Bundles, Now).Fault);
    }

    [Fact]
    public void X_10_refuses_an_issuer_that_is_not_a_CA()
    {
        AssertVerdict(SvidFault.IssuerNotCa, _root.CreateIntermediate(o => o with { IsCa = false }).CreateLeaf(Web), _root.Bundles);
        var root = TestAuthority.CreateRoot(change: o => o with { IsCa = false }, time: _time);
        AssertVerdict(SvidFault.IssuerNotCa, root.CreateLeaf(Web), root.Bundles);
    }

    [Fact]
    public void X_10_holds_issuers_to_their_path_length()
    {
        var root = TestAuthority.CreateRoot(change: o => o with { PathLength = 1 }, time: _time);
        AssertVerdict(SvidFault.None, root.CreateLeaf(Web), root.Bundles);
        AssertVerdict(SvidFault.None, root.CreateIntermediate().CreateLeaf(Web), root.Bundles);
        AssertVerdict(SvidFault.PathLength, root.CreateIntermediate().CreateIntermediate().CreateLeaf(Web), root.Bundles);

        var last = _root.CreateIntermediate(o => o with { PathLength = 0 });
        AssertVerdict(SvidFault.None, last.CreateLeaf(Web), _root.Bundles);
        AssertVerdict(SvidFault.PathLength, last.CreateIntermediate().CreateLeaf(Web), _root.Bundles);
    }

    [Fact]
    public void X_10_does_not_count_an_issuer_that_issued_itself()
    {
        // A CA that signs its next key with the old one: same name, new key.
        const string Name = "CN=Rolling issuer";
        var root = TestAuthority.CreateRoot(change: o => o with { PathLength = 1 }, time: _time);
        var old = root.CreateIntermediate(o => o with { Subject = Name, PathLength = 0 });
        var rolled = old.CreateIntermediate(o => o with { Subject = Name, PathLength = 0 });
        AssertVerdict(SvidFault.None, rolled.CreateLeaf(Web), root.Bundles);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(null)]
    public void X_11_and_X_21_refuse_a_leaf_that_is_a_CA_and_accept_one_that_says_nothing(bool? isCa) =>
        AssertLeaf(isCa == true ? SvidFault.LeafIsCa : SvidFault.None, o => o with { IsCa = isCa });

    [Fact]
    public void X_13_refuses_key_usage_that_is_missing_or_not_critical()
    {
        AssertLeaf(SvidFault.MissingKeyUsage, o => o with { KeyUsages = null });
        AssertLeaf(SvidFault.KeyUsageNotCritical, o => o with { KeyUsagesAreCritical = false });
        AssertVerdict(SvidFault.MissingKeyUsage, _root.CreateIntermediate(o => o with { KeyUsages = null }).CreateLeaf(Web), _root.Bundles);
    }

    [Fact]
    public void X_13_accepts_a_root_made_by_hand_that_has_no_key_usage()
    {
        var root = TestAuthority.CreateRoot(change: o => o with { KeyUsages = null }, time: _time);
        AssertVerdict(SvidFault.None, root.CreateLeaf(Web), root.Bundles);
    }

    [Theory]
    [InlineData(CertSign, SvidFault.None)]
    [InlineData(CertSign | X509KeyUsageFlags.CrlSign | Signature, SvidFault.None)]
    [InlineData(X509KeyUsageFlags.CrlSign, SvidFault.IssuerMayNotSign)]
    [InlineData(Signature, SvidFault.IssuerMayNotSign)]
    public void X_14_refuses_an_issuer_that_may_not_sign(X509KeyUsageFlags usages, SvidFault expected)
    {
        AssertVerdict(expected, _root.CreateIntermediate(o => o with { KeyUsages = usages }).CreateLeaf(Web), _root.Bundles);
        var root = TestAuthority.CreateRoot(change: o => o with { KeyUsages = usages }, time: _time);
        AssertVerdict(expected, root.CreateLeaf(Web), root.Bundles);
    }

    [Theory]
    [InlineData(Signature | X509KeyUsageFlags.KeyEncipherment | X509KeyUsageFlags.KeyAgreement, SvidFault.None)]
    [InlineData(Signature | X509KeyUsageFlags.DecipherOnly | X509KeyUsageFlags.KeyAgreement, SvidFault.None)]
    [InlineData(X509KeyUsageFlags.KeyEncipherment | X509KeyUsageFlags.KeyAgreement, SvidFault.NoDigitalSignature)]
    [InlineData(X509KeyUsageFlags.NonRepudiation, SvidFault.NoDigitalSignature)]
    public void X_15_refuses_a_leaf_without_digitalSignature(X509KeyUsageFlags usages, SvidFault expected) => AssertLeaf(expected, o => o with { KeyUsages = usages });

    [Fact]
    public void X_16_and_X_22_refuse_a_leaf_that_may_sign_certificates_or_revocation_lists()
    {
        AssertLeaf(SvidFault.LeafSignsCertificates, o => o with { KeyUsages = Signature | CertSign });
        AssertLeaf(SvidFault.LeafSignsRevocationLists, o => o with { KeyUsages = Signature | X509KeyUsageFlags.CrlSign });
    }

    [Fact]
    public void X_17_accepts_a_leaf_without_extended_key_usage() => AssertLeaf(SvidFault.None, o => o with { ExtendedKeyUsages = [] });

    [Theory]
    [InlineData(SvidFault.None, LeafOptions.ServerAuth, LeafOptions.ClientAuth)]
    [InlineData(SvidFault.None, LeafOptions.ClientAuth, "1.3.6.1.5.5.7.3.4", LeafOptions.ServerAuth)]
    [InlineData(SvidFault.WrongExtendedKeyUsage, LeafOptions.ServerAuth)]
    [InlineData(SvidFault.WrongExtendedKeyUsage, LeafOptions.ClientAuth)]
    [InlineData(SvidFault.WrongExtendedKeyUsage, "2.5.29.37.0")]
    [InlineData(SvidFault.WrongExtendedKeyUsage, "1.3.6.1.5.5.7.3.4")]
    public void X_18_refuses_an_extended_key_usage_without_both_ends(SvidFault expected, params string[] purposes) =>
        AssertLeaf(expected, o => o with { ExtendedKeyUsages = purposes });

    [Theory]
    [InlineData(SvidFault.None, LeafOptions.ServerAuth, LeafOptions.ClientAuth)]
    [InlineData(SvidFault.None, "2.5.29.37.0")]
    [InlineData(SvidFault.WrongExtendedKeyUsage, LeafOptions.ServerAuth)]
    [InlineData(SvidFault.WrongExtendedKeyUsage, "1.3.6.1.5.5.7.3.4")]
    public void X_19_takes_an_issuers_extended_key_usage_as_a_limit(SvidFault expected, params string[] purposes) =>
        AssertVerdict(expected, _root.CreateIntermediate(o => o with { ExtendedKeyUsages = purposes }).CreateLeaf(Web), _root.Bundles);

    [Fact]
    public void X_20_every_certificate_of_the_path_is_valid_from_its_first_to_its_last_second()
    {
        var leafEnd = Now.AddHours(1);
        var issuerEnd = Now.AddHours(2);
        var rootEnd = Now.AddHours(3);
        var root = TestAuthority.CreateRoot(change: o => o with { NotBefore = Now.AddHours(-3), NotAfter = rootEnd }, time: _time);
        var issuer = root.CreateIntermediate(o => o with { NotBefore = Now.AddHours(-2), NotAfter = issuerEnd });
        var shortLeaf = issuer.CreateLeaf(Web, o => o with { NotBefore = Now.AddHours(-1), NotAfter = leafEnd });
        var longLeaf = issuer.CreateLeaf(Web, o => o with { NotBefore = Now.AddHours(-9), NotAfter = Now.AddHours(9) });
        var leafOfRoot = root.CreateLeaf(Web, o => o with { NotBefore = Now.AddHours(-9), NotAfter = Now.AddHours(9) });
        var second = TimeSpan.FromSeconds(1);

        At(shortLeaf, leafEnd, SvidFault.None);
        At(shortLeaf, leafEnd + second, SvidFault.Expired);
        At(shortLeaf, Now.AddHours(-1), SvidFault.None);
        At(shortLeaf, Now.AddHours(-1) - second, SvidFault.NotYetValid);
        At(longLeaf, issuerEnd, SvidFault.None);
        At(longLeaf, issuerEnd + second, SvidFault.IssuerExpired);
        At(longLeaf, Now.AddHours(-2), SvidFault.None);
        At(longLeaf, Now.AddHours(-2) - second, SvidFault.IssuerNotYetValid);
        At(leafOfRoot, rootEnd, SvidFault.None);
        At(leafOfRoot, rootEnd + second, SvidFault.IssuerExpired);
        At(leafOfRoot, Now.AddHours(-3) - second, SvidFault.IssuerNotYetValid);
        Assert.Equal(issuerEnd, SvidVerifier.Verify(longLeaf.Chain, root.Bundles, Now).ValidUntil);
        Assert.Equal(rootEnd, SvidVerifier.Verify(leafOfRoot.Chain, root.Bundles, Now).ValidUntil);

        void At(IssuedCertificate leaf, DateTimeOffset when, SvidFault expected) => Assert.Equal(expected, SvidVerifier.Verify(leaf.ChainDer, root.Bundles, when).Fault);
    }

    [Fact]
    public void X_20_a_path_found_once_is_still_held_to_the_clock()
    {
        var issuer = _root.CreateIntermediate(o => o with { NotAfter = Now.AddHours(2) });
        var leaf = issuer.CreateLeaf(Web, o => o with { NotAfter = Now.AddHours(9) });
        var bundles = _root.Bundles;
        Assert.Equal(SvidFault.None, SvidVerifier.Verify(leaf.ChainDer, bundles, Now).Fault);
        Assert.Equal(SvidFault.IssuerExpired, SvidVerifier.Verify(leaf.ChainDer, bundles, Now.AddHours(3)).Fault);
    }

    [Fact]
    public void X_20_a_path_found_once_does_not_vouch_for_another_leaf()
    {
        var issuer = _root.CreateIntermediate();
        var bundles = _root.Bundles;
        AssertVerdict(SvidFault.None, issuer.CreateLeaf(Web), bundles);
        AssertVerdict(SvidFault.BadSignature, issuer.CreateLeaf(Web, o => o with { BreakSignature = true }), bundles);
        AssertVerdict(SvidFault.None, issuer.CreateLeaf(Web), bundles);
    }

    [Fact]
    public void X_20_refuses_a_wrong_signature_anywhere()
    {
        AssertLeaf(SvidFault.BadSignature, o => o with { BreakSignature = true });
        var issuer = _root.CreateIntermediate();
        var leaf = issuer.CreateLeaf(Web);
        var der = issuer.Certificate.Der.ToArray();
        der[^1] ^= 1;
        Assert.Equal(SvidFault.BadSignature, SvidVerifier.Verify([leaf.Certificate.Der, der], _root.Bundles, Now).Fault);
    }

    [Fact]
    public void X_20_refuses_an_issuer_that_only_has_the_name_of_one()
    {
        const string Name = "CN=Issuer";
        var issuer = _root.CreateIntermediate(o => o with { Subject = Name });
        var impostor = TestAuthority.CreateRoot(change: o => o with { Subject = Name, WithKeyIds = false }, time: _time);
        var forged = impostor.CreateLeaf(Web, o => o with { WithKeyIds = false });
        Assert.Equal(SvidFault.BadSignature, SvidVerifier.Verify([forged.Certificate.Der, issuer.Certificate.Der], _root.Bundles, Now).Fault);
        Assert.Equal(SvidFault.UntrustedChain, SvidVerifier.Verify([forged.Certificate.Der, impostor.Certificate.Der], _root.Bundles, Now).Fault);
    }

    [Fact]
    public void X_20_does_not_try_an_issuer_of_the_right_name_and_another_key_identifier()
    {
        const string Name = "CN=Root";
        var root = TestAuthority.CreateRoot(change: o => o with { Subject = Name }, time: _time);
        var sameName = TestAuthority.CreateRoot(change: o => o with { Subject = Name }, time: _time);
        AssertVerdict(SvidFault.UntrustedChain, root.CreateLeaf(Web), sameName.Bundles);
        AssertVerdict(SvidFault.BadSignature, root.CreateLeaf(Web, o => o with { WithKeyIds = false }), sameName.Bundles);
    }

    [Fact]
    public void X_20_refuses_a_leaf_as_issuer()
    {
        // The holder of a valid SVID signs itself another one.
        var stolen = _root.CreateLeaf(Web, o => o with { Subject = "CN=web" });
        var admin = Certificate.Parse(CertificateSurgery.Open(_root.CreateLeaf("spiffe://example.org/admin").Certificate) is var s
            ? (s with { Issuer = stolen.Certificate.RawSubject.ToArray(), Extensions = [.. s.Extensions!.SkipLast(1)] }).Close(stolen.Key)
            : []);
        Assert.True(admin.VerifySignature(stolen.Certificate));
        Assert.Equal(SvidFault.IssuerNotCa, SvidVerifier.Verify([admin, stolen.Certificate], _root.Bundles, Now).Fault);
    }

    [Fact]
    public void X_20_refuses_a_chain_with_a_link_missing()
    {
        var issuer = _root.CreateIntermediate().CreateIntermediate();
        var leaf = issuer.CreateLeaf(Web);
        Assert.Equal(SvidFault.UntrustedChain, SvidVerifier.Verify([leaf.Certificate], _root.Bundles, Now).Fault);
        Assert.Equal(SvidFault.UntrustedChain, SvidVerifier.Verify([leaf.Chain[0], leaf.Chain[1]], _root.Bundles, Now).Fault);
        Assert.Equal(SvidFault.UntrustedChain, SvidVerifier.Verify([leaf.Chain[0], leaf.Chain[2]], _root.Bundles, Now).Fault);
    }

    [Fact]
    public void X_20_accepts_intermediates_in_any_order_twice_and_with_strangers_and_the_root_among_them()
    {
        var issuer = _root.CreateIntermediate().CreateIntermediate();
        var leaf = issuer.CreateLeaf(Web);
        var stranger = TestAuthority.CreateRoot(time: _time);
        ImmutableArray<Certificate> chain = [leaf.Certificate, _root.Certificate, stranger.Certificate, leaf.Chain[2], leaf.Chain[1], leaf.Chain[2], stranger.CreateIntermediate().Certificate];
        var verdict = SvidVerifier.Verify(chain, _root.Bundles, Now);
        Assert.Equal(SvidFault.None, verdict.Fault);
        Assert.Equal(_root.Certificate, verdict.Anchor);
    }

    [Fact]
    public void X_20_the_leaf_is_the_first_certificate_and_no_other()
    {
        var leaf = _root.CreateIntermediate().CreateLeaf(Web);
        Assert.Equal(SvidFault.RootPath, SvidVerifier.Verify([.. leaf.Chain.Reverse()], _root.Bundles, Now).Fault);
    }

    [Fact]
    public void X_20_finds_the_valid_path_beside_an_expired_one()
    {
        // The same issuer key was certified twice; the peer still sends both.
        var old = _root.CreateIntermediate(o => o with { Subject = "CN=Issuer", NotAfter = Now.AddMinutes(-1) });
        var renewed = Certificate.Parse((CertificateSurgery.Open(old.Certificate) with { Validity = CertificateSurgery.Open(_root.Certificate).Validity }).Close(_root.Key));
        var leaf = old.CreateLeaf(Web).Certificate;
        Assert.Equal(SvidFault.IssuerExpired, SvidVerifier.Verify([leaf, old.Certificate], _root.Bundles, Now).Fault);
        Assert.Equal(SvidFault.None, SvidVerifier.Verify([leaf, old.Certificate, renewed], _root.Bundles, Now).Fault);
    }

    [Fact]
    public void X_20_finds_the_new_root_across_a_cross_signed_one()
    {
        // Rotation: the new root is not in this bundle yet, but the old one has signed it.
        var next = TestAuthority.CreateRoot(change: o => o with { Subject = "CN=Next root" }, time: _time);
        var crossSigned = Certificate.Parse((CertificateSurgery.Open(next.Certificate) with { Issuer = _root.Certificate.RawSubject.ToArray() })
            .With("2.5.29.35", CertificateSurgery.Sequence(CertificateSurgery.Wrap(0x80, _root.Certificate.SubjectKeyId.ToArray()))).Close(_root.Key));
        var leaf = next.CreateIntermediate().CreateLeaf(Web);
        Assert.Equal(SvidFault.UntrustedChain, SvidVerifier.Verify(leaf.Chain, _root.Bundles, Now).Fault);
        Assert.Equal(SvidFault.None, SvidVerifier.Verify([.. leaf.Chain, crossSigned], _root.Bundles, Now).Fault);
        Assert.Equal(next.Certificate, SvidVerifier.Verify([.. leaf.Chain, crossSigned], new TrustBundleSet(new TrustBundle(_root.TrustDomain, [next.Certificate, _root.Certificate])), Now).Anchor);
    }

    [Fact]
    public void X_20_an_issuer_without_a_name_issues_nothing()
    {
        var nameless = Certificate.Parse((CertificateSurgery.Open(_root.Certificate) with { Subject = [0x30, 0x00], Issuer = [0x30, 0x00] }).Close(_root.Key));
        var leaf = Certificate.Parse((CertificateSurgery.Open(_root.CreateLeaf(Web).Certificate) with { Issuer = [0x30, 0x00] }).Close(_root.Key));
        Assert.True(leaf.VerifySignature(nameless));
        Assert.Equal(SvidFault.UntrustedChain, SvidVerifier.Verify([leaf], new TrustBundleSet(new TrustBundle(_root.TrustDomain, [nameless])), Now).Fault);
    }

    [Fact]
    public void X_20_refuses_unknown_critical_extensions_on_every_certificate()
    {
        X509Extension[] unknown = [new("1.2.3.4", [5, 0], critical: true)];
        AssertLeaf(SvidFault.UnknownCriticalExtension, o => o with { Extensions = unknown });
        AssertLeaf(SvidFault.None, o => o with { Extensions = [new("1.2.3.4", [5, 0], critical: false)] });
        AssertVerdict(SvidFault.UnknownCriticalExtension, _root.CreateIntermediate(o => o with { Extensions = unknown }).CreateLeaf(Web), _root.Bundles);
        var root = TestAuthority.CreateRoot(change: o => o with { Extensions = unknown }, time: _time);
        AssertVerdict(SvidFault.UnknownCriticalExtension, root.CreateLeaf(Web), root.Bundles);
    }

    [Fact]
    public void X_20_looks_at_no_more_than_8_intermediates()
    {
        var authority = _root;
        for (var i = 0; i < 8; i++) authority = authority.CreateIntermediate();
        AssertVerdict(SvidFault.None, authority.CreateLeaf(Web), _root.Bundles);
        AssertVerdict(SvidFault.ChainTooLong, authority.CreateIntermediate().CreateLeaf(Web), _root.Bundles);
    }

    [Fact]
    public void X_20_gives_up_on_certificates_that_all_fit_each_other()
    {
        // Eight issuers of one name and one key each signed by all: more paths than anyone should walk.
        const string Name = "CN=Same";
        var same = TestAuthority.CreateRoot(change: o => o with { Subject = Name, WithKeyIds = false }, time: _time);
        var issuers = Enumerable.Range(0, 8).Select(i => Certificate.Parse(
            (CertificateSurgery.Open(same.Certificate) with { Serial = [0x02, 0x01, (byte)(i + 1)] }).Close(same.Key)));
        var leaf = same.CreateLeaf(Web, o => o with { WithKeyIds = false });
        var verdict = SvidVerifier.Verify([leaf.Certificate, .. issuers], _root.Bundles, Now);
        Assert.Equal(SvidFault.TooMuchWork, verdict.Fault);
    }

    [Theory]
    [InlineData("https://example.org/ns/shop/sa/web", "A SPIFFE ID must start with spiffe:// in lower case.")]
    [InlineData("SPIFFE://example.org/ns/shop/sa/web", "A SPIFFE ID must start with spiffe:// in lower case.")]
    [InlineData("spiffe://Example.org/web", "A trust domain name may hold only lower-case letters, digits, dots, dashes and underscores.")]
    [InlineData("spiffe://example.org/web/", "A SPIFFE ID must not end with a slash.")]
    [InlineData("", "A SPIFFE ID or trust domain must not be empty.")]
    public void X_23_refuses_a_URI_name_that_is_no_SPIFFE_ID_and_says_why(string uri, string why)
    {
        var leaf = _root.CreateLeaf(Web, o => o with { UriNames = [uri] });
        var verdict = SvidVerifier.Verify(leaf.Chain, _root.Bundles, Now);
        Assert.Equal(SvidFault.BadSpiffeId, verdict.Fault);
        Assert.Equal("The certificate's URI name is not a SPIFFE ID. " + why, verdict.Sentence);
        Assert.Null(verdict.ClaimedId);
    }

    [Fact]
    public void X_24_only_the_authorities_of_the_leafs_own_trust_domain_count()
    {
        var other = TestAuthority.CreateRoot("example.com", time: _time);
        var bundles = new TrustBundleSet(_root.Bundle, other.Bundle);
        AssertVerdict(SvidFault.None, _root.CreateLeaf(Web), bundles);
        AssertVerdict(SvidFault.None, other.CreateLeaf("spiffe://example.com/web"), bundles);
        // Both roots are trusted, each for its own domain.
        AssertVerdict(SvidFault.UntrustedChain, other.CreateLeaf(Web), bundles);
        AssertVerdict(SvidFault.UntrustedChain, _root.CreateLeaf("spiffe://example.com/web"), bundles);
    }

    [Fact]
    public void X_24_refuses_a_trust_domain_without_a_bundle()
    {
        AssertVerdict(SvidFault.UnknownTrustDomain, _root.CreateLeaf("spiffe://example.net/web"), _root.Bundles);
        AssertVerdict(SvidFault.UnknownTrustDomain, _root.CreateLeaf(Web), TrustBundleSet.Empty);
    }

    [Fact]
    public void X_24_does_not_believe_a_source_that_answers_with_another_domains_bundle() =>
        AssertVerdict(SvidFault.UnknownTrustDomain, _root.CreateLeaf("spiffe://example.net/web"), new OneForAll(_root.Bundle));

    [Fact]
    public void X_28_accepts_an_authority_that_is_not_self_signed()
    {
        var issuer = _root.CreateIntermediate();
        var bundles = new TrustBundleSet(new TrustBundle(_root.TrustDomain, [issuer.Certificate]));
        var verdict = SvidVerifier.Verify(issuer.CreateLeaf(Web).ChainDer, bundles, Now);
        Assert.Equal(SvidFault.None, verdict.Fault);
        Assert.Equal(issuer.Certificate, verdict.Anchor);
        // And nothing that the root above it signs beside.
        AssertVerdict(SvidFault.UntrustedChain, _root.CreateLeaf(Web), bundles);
    }

    [Fact]
    public void X_31_a_bundle_without_authorities_trusts_nobody() =>
        AssertVerdict(SvidFault.NoAuthorities, _root.CreateLeaf(Web), new TrustBundleSet(new TrustBundle(_root.TrustDomain, [])));

    [Fact]
    public void Finds_the_authority_among_many_of_the_same_name()
    {
        const string Name = "CN=Root";
        var roots = Enumerable.Range(0, 4).Select(_ => TestAuthority.CreateRoot(change: o => o with { Subject = Name }, time: _time)).ToArray();
        var bundles = new TrustBundleSet(new TrustBundle(_root.TrustDomain, roots.Select(r => r.Certificate)));
        foreach (var root in roots) Assert.Equal(root.Certificate, SvidVerifier.Verify(root.CreateLeaf(Web).Chain, bundles, Now).Anchor);
    }

    [Theory]
    [InlineData(TestKey.P384)]
    [InlineData(TestKey.P521)]
    [InlineData(TestKey.Rsa2048)]
    public void Accepts_each_kind_of_key_at_each_place(TestKey key)
    {
        var root = TestAuthority.CreateRoot(change: o => o with { Key = key }, time: _time);
        AssertVerdict(SvidFault.None, root.CreateIntermediate(o => o with { Key = key }).CreateLeaf(Web, o => o with { Key = key }), root.Bundles);
    }

    [Fact]
    public void Remembers_only_so_many_issuers_and_goes_on_without()
    {
        var bundle = _root.Bundle;
        var bundles = new TrustBundleSet(bundle);
        var issuers = Enumerable.Range(0, 40).Select(_ => _root.CreateIntermediate()).ToArray();
        foreach (var issuer in issuers) AssertVerdict(SvidFault.None, issuer.CreateLeaf(Web), bundles);
        Assert.Equal(32, issuers.Count(i => bundle.VerifiedIssuers.Find(i.Certificate.Der.Span) is not null));
    }

    [Fact]
    public void Remembers_an_issuer_only_once_its_whole_path_was_good()
    {
        var bundle = _root.Bundle;
        var bundles = new TrustBundleSet(bundle);
        var issuer = _root.CreateIntermediate();
        var other = TestAuthority.CreateRoot(time: _time).CreateIntermediate();
        AssertVerdict(SvidFault.BadSignature, issuer.CreateLeaf(Web, o => o with { BreakSignature = true }), bundles);
        AssertVerdict(SvidFault.UntrustedChain, other.CreateLeaf(Web), bundles);
        Assert.Null(bundle.VerifiedIssuers.Find(issuer.Certificate.Der.Span));
        Assert.Null(bundle.VerifiedIssuers.Find(other.Certificate.Der.Span));
        AssertVerdict(SvidFault.None, issuer.CreateLeaf(Web), bundles);
        Assert.Equal(issuer.Certificate, bundle.VerifiedIssuers.Find(issuer.Certificate.Der.Span));
    }

    [Fact]
    public void Many_handshakes_at_once_agree()
    {
        var bundles = _root.Bundles;
        var issuer = _root.CreateIntermediate().CreateIntermediate();
        var leaf = issuer.CreateLeaf(Web);
        Parallel.For(0, 200, _ => Assert.Equal(SvidFault.None, SvidVerifier.Verify(leaf.ChainDer, bundles, Now).Fault));
    }

    [Fact]
    public void Every_fault_has_a_sentence_of_its_own() => Sentences.AssertDistinct<SvidFault>(f => f.Sentence());

    [Fact]
    public void The_faults_keep_their_numbers() =>
        Assert.Equal(Enumerable.Range(0, 33), Enum.GetValues<SvidFault>().Select(f => (int)f));

    private void AssertLeaf(SvidFault expected, Func<LeafOptions, LeafOptions> change) => AssertVerdict(expected, _root.CreateLeaf(Web, change), _root.Bundles);

    private void AssertVerdict(SvidFault expected, IssuedCertificate leaf, ITrustBundleSource bundles)
    {
        var verdict = SvidVerifier.Verify(leaf.ChainDer, bundles, Now);
        Assert.Equal(expected, verdict.Fault);
        Assert.Equal(expected == SvidFault.None, verdict.Id is not null);
        Assert.StartsWith(expected.Sentence(), verdict.Sentence, StringComparison.Ordinal);
    }

    private sealed class OneForAll(TrustBundle bundle) : ITrustBundleSource
    {
        public TrustBundle? Find(TrustDomain trustDomain) => bundle;
    }
}
