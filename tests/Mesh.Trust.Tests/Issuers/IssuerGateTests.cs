using System.Collections.Immutable;
using System.Formats.Asn1;
using System.Security.Cryptography.X509Certificates;
using Mesh.Spiffe;
using Mesh.Testing;
using Mesh.Trust.Issuers;
using Mesh.Trust.Issuing;
using Mesh.Trust.Keys;

namespace Mesh.Trust.Tests.Issuers;

/// <summary>What external CAs and hurried operators hand us; each pitfall with its own fault.</summary>
public sealed class IssuerGateTests
{
    private readonly ManualTime _time = new();

    private TestAuthority Root(Func<AuthorityOptions, AuthorityOptions>? change = null) => TestAuthority.CreateRoot("example.org", change, _time);

    private IssuerExamination Examine(
        TestAuthority issuer,
        IEnumerable<Certificate>? certificates = null,
        IEnumerable<Certificate>? companions = null,
        TrustBundle? anchors = null,
        IssuancePolicy? policy = null,
        AnchorRule rule = AnchorRule.SelfSigned,
        string? keyPem = null)
    {
        var material = new IssuerMaterial([.. certificates ?? [issuer.Certificate]], [.. companions ?? []], SigningKey.FromPem(keyPem ?? issuer.KeyPem));
        return IssuerGate.Examine(material, anchors ?? issuer.Bundle, policy ?? IssuancePolicy.Default, rule, _time);
    }

    private static void Refused(IssuerFault fault, IssuerExamination examination)
    {
        Assert.Equal(fault, examination.Problem?.Fault);
        Assert.Null(examination.Issuer);
        Assert.Empty(examination.Remarks);
        Assert.NotEmpty(examination.Problem!.Remedy);
    }

    private static SvidIssuer Accepted(IssuerExamination examination, params IssuerRemark[] remarks)
    {
        Assert.True(examination.Problem is null, examination.Problem?.ToString());
        Assert.Equal(remarks.Order(), examination.Remarks.Order());
        return examination.Issuer!;
    }

    [Fact]
    public void A_good_issuer_is_accepted_without_a_remark()
    {
        var issuer = Root().CreateIntermediate(o => o with { PathLength = 0 });
        var ready = Accepted(Examine(issuer));
        Assert.Equal([issuer.Certificate], ready.Intermediates);
        Assert.Equal(issuer.Root.Certificate, ready.Anchor);
    }

    [Fact]
    public void What_we_make_ourselves_is_accepted_without_a_remark()
    {
        using var root = CertificateAuthority.CreateRoot(AuthorityProfile.Root(TrustDomain.Parse("example.org")), _time);
        using var issuer = root.CreateIssuer(AuthorityProfile.Issuer(TrustDomain.Parse("example.org")), _time);
        var material = new IssuerMaterial([issuer.Certificate], [], issuer.Key);
        Accepted(IssuerGate.Examine(material, new TrustBundle(TrustDomain.Parse("example.org"), [root.Certificate]), IssuancePolicy.Default, AnchorRule.SelfSigned, _time));
    }

    // Pitfall 1: path length.
    [Fact]
    public void A_parent_that_allows_no_authority_below_it_is_named()
    {
        Refused(IssuerFault.ParentPathLength, Examine(Root(o => o with { PathLength = 0 }).CreateIntermediate()));
        var middle = Root().CreateIntermediate(o => o with { PathLength = 0 });
        var issuer = middle.CreateIntermediate();
        Refused(IssuerFault.ParentPathLength, Examine(issuer, [issuer.Certificate, middle.Certificate]));
        var top = Root(o => o with { PathLength = 1 }).CreateIntermediate();
        var deep = top.CreateIntermediate();
        Refused(IssuerFault.ParentPathLength, Examine(deep, [deep.Certificate, top.Certificate]));
        Accepted(Examine(Root(o => o with { PathLength = 1 }).CreateIntermediate()));
    }

    // Pitfall 2: the URI name.
    [Fact]
    public void A_URI_name_dropped_by_the_CA_is_allowed_and_remarked()
    {
        Accepted(Examine(Root().CreateIntermediate(o => o with { UriNames = [] })), IssuerRemark.NoUriName);
    }

    [Fact]
    public void A_URI_name_must_be_the_trust_domains_own()
    {
        var root = Root();
        Refused(IssuerFault.ForeignTrustDomain, Examine(root.CreateIntermediate(o => o with { UriNames = ["spiffe://example.com"] })));
        Refused(IssuerFault.UriNameHasPath, Examine(root.CreateIntermediate(o => o with { UriNames = ["spiffe://example.org/ns/mesh/sa/ca"] })));
        Refused(IssuerFault.BadUriName, Examine(root.CreateIntermediate(o => o with { UriNames = ["https://example.org"] })));
        Refused(IssuerFault.SeveralUriNames, Examine(root.CreateIntermediate(o => o with { UriNames = ["spiffe://example.org", "spiffe://example.org"] })));
    }

    // Pitfall 3: name constraints.
    [Theory]
    [InlineData("example.org", true)]
    [InlineData("example.com", false)]
    [InlineData(".example.org", false)]
    [InlineData("spiffe://example.org", false)]
    public void A_URI_constraint_must_permit_the_trust_domain(string constraint, bool permitted)
    {
        var issuer = Root().CreateIntermediate(o => o with { Extensions = [NameConstraint(6, constraint)] });
        if (permitted) Accepted(Examine(issuer));
        else Refused(IssuerFault.NameConstraint, Examine(issuer));
    }

    [Fact]
    public void A_DNS_constraint_must_permit_the_names_that_Linkerd_proxies_ask_for()
    {
        Accepted(Examine(Root().CreateIntermediate(o => o with { Extensions = [NameConstraint(2, "example.org")] })));
        Refused(IssuerFault.NameConstraint, Examine(Root().CreateIntermediate(o => o with { Extensions = [NameConstraint(2, "example.com")] })));
        Refused(IssuerFault.NameConstraint, Examine(Root(o => o with { Extensions = [NameConstraint(2, "example.com")] }).CreateIntermediate()));
    }

    // Pitfall 4: order, and the root in the file or not.
    [Fact]
    public void The_chain_is_put_in_order_and_the_root_taken_off()
    {
        var middle = Root().CreateIntermediate();
        var issuer = middle.CreateIntermediate();
        var root = issuer.Root.Certificate;
        ImmutableArray<Certificate> wanted = [issuer.Certificate, middle.Certificate];
        Assert.Equal(wanted, Accepted(Examine(issuer, wanted)).Intermediates);
        Assert.Equal(wanted, Accepted(Examine(issuer, [issuer.Certificate, middle.Certificate, root]), IssuerRemark.RootInFile).Intermediates);
        Assert.Equal(wanted, Accepted(Examine(issuer, [root, middle.Certificate, issuer.Certificate]), IssuerRemark.RootInFile, IssuerRemark.OrderCorrected).Intermediates);
        Assert.Equal(wanted, Accepted(Examine(issuer, [issuer.Certificate], companions: [root, middle.Certificate])).Intermediates);
    }

    [Fact]
    public void A_missing_intermediate_is_named()
    {
        var middle = Root().CreateIntermediate();
        var issuer = middle.CreateIntermediate();
        var examination = Examine(issuer);
        Refused(IssuerFault.ChainBroken, examination);
        Assert.Contains(middle.Certificate.SubjectText, examination.Problem!.Sentence, StringComparison.Ordinal);
    }

    [Fact]
    public void Certificates_of_somebody_else_in_the_file_do_no_harm()
    {
        var issuer = Root().CreateIntermediate();
        var stranger = Root().CreateIntermediate();
        Assert.Equal([issuer.Certificate], Accepted(Examine(issuer, [issuer.Certificate, stranger.Certificate])).Intermediates);
    }

    // Pitfall 5: an intermediate as anchor.
    [Fact]
    public void An_intermediate_as_anchor_is_refused_unless_asked_for()
    {
        var middle = Root().CreateIntermediate();
        var issuer = middle.CreateIntermediate();
        var anchors = new TrustBundle(issuer.TrustDomain, [middle.Certificate]);
        Refused(IssuerFault.AnchorIsIntermediate, Examine(issuer, anchors: anchors));
        var ready = Accepted(Examine(issuer, anchors: anchors, rule: AnchorRule.IntermediateAllowed), IssuerRemark.IntermediateAnchor);
        Assert.Equal([issuer.Certificate], ready.Intermediates);
    }

    [Fact]
    public void A_root_that_nobody_trusts_yet_is_handed_back_to_be_distributed_first()
    {
        var issuer = Root().CreateIntermediate();
        var other = Root();
        var examination = Examine(issuer, [issuer.Certificate, issuer.Root.Certificate], anchors: other.Bundle);
        Refused(IssuerFault.UnknownAnchor, examination);
        Assert.Equal(issuer.Root.Certificate, examination.UnknownRoot);
        Refused(IssuerFault.UnknownAnchor, Examine(issuer.Root, anchors: other.Bundle));
    }

    // Pitfall 6: a lifetime cut by the CA.
    [Fact]
    public void An_issuer_must_live_twice_as_long_as_an_SVID()
    {
        var now = _time.GetUtcNow();
        Refused(IssuerFault.LifetimeTooShort, Examine(Root().CreateIntermediate(o => o with { NotBefore = now, NotAfter = now.AddHours(48).AddSeconds(-1) })));
        // What cert-manager makes with the duration in Linkerd's guide.
        Accepted(Examine(Root().CreateIntermediate(o => o with { NotBefore = now, NotAfter = now.AddHours(48) })));
        var shorter = Root().CreateIntermediate(o => o with { NotBefore = now, NotAfter = now.AddMinutes(2) });
        Accepted(Examine(shorter, policy: IssuancePolicy.Create(TimeSpan.FromSeconds(60))));
    }

    [Fact]
    public void An_issuer_near_its_end_is_taken_and_remarked_until_no_SVID_fits()
    {
        var now = _time.GetUtcNow();
        var issuer = Root().CreateIntermediate(o => o with { NotBefore = now, NotAfter = now.AddHours(50) });
        _time.Advance(TimeSpan.FromHours(3));
        Accepted(Examine(issuer), IssuerRemark.EndsSoon);
        _time.Advance(TimeSpan.FromHours(47) - TimeSpan.FromSeconds(60));
        Accepted(Examine(issuer), IssuerRemark.EndsSoon);
        _time.Advance(TimeSpan.FromSeconds(1));
        Refused(IssuerFault.EndsTooSoon, Examine(issuer));
    }

    // Pitfall 7: an empty Subject.
    [Fact]
    public void An_empty_Subject_is_refused()
    {
        var root = Root();
        Refused(IssuerFault.EmptySubject, Custom(root, issuerSubject: ""));
        Accepted(Custom(root, issuerSubject: "CN=issuer"));
    }

    // Pitfall 8: one Subject, several keys.
    [Fact]
    public void The_Subject_of_another_key_is_remarked_and_without_key_ids_refused()
    {
        var old = Root(o => o with { Subject = "CN=issuer" });
        var issuer = Root().CreateIntermediate(o => o with { Subject = "CN=issuer" });
        Accepted(Examine(issuer, anchors: new TrustBundle(issuer.TrustDomain, [issuer.Root.Certificate, old.Certificate])), IssuerRemark.SharedSubject);

        var bare = Root().CreateIntermediate(o => o with { Subject = "CN=issuer", WithKeyIds = false });
        Refused(IssuerFault.AmbiguousSubject, Examine(bare, anchors: new TrustBundle(bare.TrustDomain, [bare.Root.Certificate, old.Certificate])));
        Accepted(Examine(bare), IssuerRemark.NoSubjectKeyId);
    }

    [Fact]
    public void Of_several_anchors_with_one_name_the_one_whose_key_signed_is_found()
    {
        var first = Root(o => o with { Subject = "CN=root" });
        var second = Root(o => o with { Subject = "CN=root" });
        var issuer = second.CreateIntermediate();
        var anchors = new TrustBundle(issuer.TrustDomain, [first.Certificate, second.Certificate]);
        Assert.Equal(second.Certificate, Accepted(Examine(issuer, anchors: anchors)).Anchor);
    }

    // Pitfall 9: key and usages.
    [Fact]
    public void A_key_of_another_certificate_is_refused()
    {
        var issuer = Root().CreateIntermediate();
        Refused(IssuerFault.KeyMismatch, Examine(issuer, keyPem: Root().KeyPem));
    }

    [Fact]
    public void The_key_usage_must_allow_signing_certificates()
    {
        var root = Root();
        Refused(IssuerFault.CannotSignCertificates, Examine(root.CreateIntermediate(o => o with { KeyUsages = X509KeyUsageFlags.DigitalSignature })));
        Refused(IssuerFault.CannotSignCertificates, Examine(root.CreateIntermediate(o => o with { KeyUsages = X509KeyUsageFlags.CrlSign })));
        Refused(IssuerFault.CannotSignCertificates, Examine(root.CreateIntermediate(o => o with { KeyUsages = null })));
        Accepted(
            Examine(root.CreateIntermediate(o => o with { KeyUsages = X509KeyUsageFlags.KeyCertSign | X509KeyUsageFlags.CrlSign | X509KeyUsageFlags.DigitalSignature })),
            IssuerRemark.MaySignData);
    }

    [Fact]
    public void An_extended_key_usage_must_not_restrict_SVIDs()
    {
        var root = Root();
        Refused(IssuerFault.ExtendedKeyUsage, Examine(root.CreateIntermediate(o => o with { ExtendedKeyUsages = [LeafOptions.ServerAuth] })));
        Refused(IssuerFault.ExtendedKeyUsage, Examine(root.CreateIntermediate(o => o with { ExtendedKeyUsages = ["1.3.6.1.5.5.7.3.3"] })));
        Accepted(Examine(root.CreateIntermediate(o => o with { ExtendedKeyUsages = [LeafOptions.ServerAuth, LeafOptions.ClientAuth] })));
        Accepted(Examine(root.CreateIntermediate(o => o with { ExtendedKeyUsages = ["2.5.29.37.0"] })));
        var middle = root.CreateIntermediate(o => o with { ExtendedKeyUsages = [LeafOptions.ClientAuth] });
        var issuer = middle.CreateIntermediate();
        Refused(IssuerFault.ExtendedKeyUsage, Examine(issuer, [issuer.Certificate, middle.Certificate]));
    }

    [Fact]
    public void A_critical_extension_that_nobody_knows_is_refused()
    {
        var unknown = new X509Extension("1.3.6.1.4.1.99999.1", [0x05, 0x00], critical: true);
        Refused(IssuerFault.UnknownCriticalExtension, Examine(Root().CreateIntermediate(o => o with { Extensions = [unknown] })));
    }

    [Fact]
    public void A_leaf_is_not_an_issuer()
    {
        Refused(IssuerFault.NotAuthority, Examine(Root().CreateIntermediate(o => o with { IsCa = false })));
    }

    [Fact]
    public void A_parent_must_be_an_authority()
    {
        var leaf = Root().CreateIntermediate(o => o with { IsCa = false });
        var issuer = leaf.CreateIntermediate();
        Refused(IssuerFault.ParentNotAuthority, Examine(issuer, [issuer.Certificate, leaf.Certificate]));
        var mute = Root().CreateIntermediate(o => o with { KeyUsages = X509KeyUsageFlags.CrlSign });
        var below = mute.CreateIntermediate();
        Refused(IssuerFault.ParentNotAuthority, Examine(below, [below.Certificate, mute.Certificate]));
    }

    // Pitfall 11: dates.
    [Fact]
    public void An_issuer_of_the_future_is_waited_for()
    {
        var from = _time.GetUtcNow().AddMinutes(5);
        var issuer = Root().CreateIntermediate(o => o with { NotBefore = from });
        var examination = Examine(issuer);
        Refused(IssuerFault.NotYetValid, examination);
        Assert.Equal(from, examination.ValidFrom);
        _time.Advance(TimeSpan.FromMinutes(5));
        Accepted(Examine(issuer));
    }

    [Fact]
    public void Expired_certificates_anywhere_in_the_chain_are_named_by_their_place()
    {
        var soon = _time.GetUtcNow().AddDays(10);
        var issuer = Root().CreateIntermediate(o => o with { NotAfter = soon });
        var middle = Root().CreateIntermediate(o => o with { NotAfter = soon });
        var below = middle.CreateIntermediate();
        var underOldRoot = Root(o => o with { NotAfter = soon }).CreateIntermediate();
        _time.Advance(TimeSpan.FromDays(10) + TimeSpan.FromSeconds(1));
        Refused(IssuerFault.Expired, Examine(issuer));
        Refused(IssuerFault.ParentNotValid, Examine(below, [below.Certificate, middle.Certificate]));
        Refused(IssuerFault.AnchorNotValid, Examine(underOldRoot));
    }

    [Fact]
    public void A_chain_longer_than_proxies_follow_is_found_by_the_trial()
    {
        var chain = new List<TestAuthority> { Root().CreateIntermediate() };
        while (chain.Count < 8) chain.Add(chain[^1].CreateIntermediate());
        Accepted(Examine(chain[^1], chain[^1].Intermediates));
        chain.Add(chain[^1].CreateIntermediate());
        Refused(IssuerFault.TrialRefused, Examine(chain[^1], chain[^1].Intermediates));
        chain.Add(chain[^1].CreateIntermediate());
        Refused(IssuerFault.ChainBroken, Examine(chain[^1], chain[^1].Intermediates));
    }

    [Fact]
    public void Without_anchors_nothing_is_judged()
    {
        var issuer = Root().CreateIntermediate();
        Refused(IssuerFault.NoAnchors, Examine(issuer, anchors: new TrustBundle(issuer.TrustDomain, [])));
    }

    [Fact]
    public void The_default_of_Linkerd_one_certificate_as_anchor_and_issuer_is_accepted_and_remarked()
    {
        var root = Root();
        var ready = Accepted(Examine(root), IssuerRemark.IssuerIsAnchor);
        Assert.Equal([root.Certificate], ready.Intermediates);
    }

    [Theory]
    [InlineData(TestKey.P384)]
    [InlineData(TestKey.Rsa2048)]
    public void Other_keys_above_and_in_the_issuer_are_accepted(TestKey key)
    {
        Accepted(Examine(Root(o => o with { Key = key }).CreateIntermediate()));
        Accepted(Examine(Root().CreateIntermediate(o => o with { Key = key })));
    }

    [Fact]
    public void A_trust_domain_of_one_label_below_a_constraint_is_remarked()
    {
        var root = TestAuthority.CreateRoot("cluster", time: _time);
        var issuer = root.CreateIntermediate(o => o with { Extensions = [NameConstraint(2, "cluster")] });
        Accepted(Examine(issuer), IssuerRemark.ConstraintOnSingleLabel);
    }

    [Fact]
    public void Every_fault_and_remark_has_a_sentence_of_its_own_and_every_fault_a_remedy()
    {
        var faults = Enum.GetValues<IssuerFault>();
        Assert.Equal(faults.Length, faults.Select(f => f.Sentence()).Distinct().Count());
        Assert.All(faults, f => Assert.NotEmpty(f.Remedy()));
        var remarks = Enum.GetValues<IssuerRemark>();
        Assert.Equal(remarks.Length, remarks.Select(r => r.Sentence()).Distinct().Count());
    }

    /// <summary>An issuer written with our own fields, for a Subject that the framework would not write.</summary>
    private IssuerExamination Custom(TestAuthority root, string issuerSubject)
    {
        using var rootKey = SigningKey.FromPem(root.KeyPem);
        var key = SigningKey.Create(KeyAlgorithm.EcP256);
        var now = _time.GetUtcNow();
        var writer = new AsnWriter(AsnEncodingRules.DER);
        CertificateFields.WriteToBeSigned(
            writer, [1], rootKey.SignatureAlgorithm.Span, root.Certificate.RawSubject.Span, now, now.AddDays(365), new X500DistinguishedName(issuerSubject).RawData,
            key.SubjectPublicKeyInfo.Span, root, static (w, issuer) =>
            {
                w.WriteEncodedValue(CertificateFields.BasicConstraints(authority: true, 0));
                w.WriteEncodedValue(CertificateFields.KeyUsage(0x06, unusedBits: 1));
                w.WriteEncodedValue(CertificateFields.AuthorityKeyId(issuer.Certificate.SubjectKeyId.Span));
                CertificateFields.WriteSubjectKeyId(w, new byte[20]);
                CertificateFields.WriteSubjectAlternativeName(w, critical: true, issuer.TrustDomain.Id.ToString(), []);
            });
        var certificate = Certificate.Parse(CertificateFields.Sign(writer, writer.Encode(), rootKey));
        return IssuerGate.Examine(new IssuerMaterial([certificate], [], key), root.Bundle, IssuancePolicy.Default, AnchorRule.SelfSigned, _time);
    }

    private static X509Extension NameConstraint(int tag, string value)
    {
        var writer = new AsnWriter(AsnEncodingRules.DER);
        using (writer.PushSequence())
        using (writer.PushSequence(new Asn1Tag(TagClass.ContextSpecific, 0)))
        using (writer.PushSequence())
        {
            writer.WriteCharacterString(UniversalTagNumber.IA5String, value, new Asn1Tag(TagClass.ContextSpecific, tag));
        }

        return new X509Extension("2.5.29.30", writer.Encode(), critical: true);
    }
}
