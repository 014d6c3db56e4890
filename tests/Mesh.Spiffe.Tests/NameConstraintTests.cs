using System.Net;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Mesh.Testing;
using static Mesh.Spiffe.Tests.CertificateSurgery;

namespace Mesh.Spiffe.Tests;

/// <summary>Name constraints (RFC 5280 section 4.2.1.10; of the conformance table) on an issuer between root and leaf.</summary>
public sealed class NameConstraintTests
{
    private const byte Permitted = 0xA0;
    private const byte Excluded = 0xA1;

    private readonly ManualTime _time = new();

    [Theory]
    [InlineData("example.org", "example.org", true)]
    [InlineData("EXAMPLE.org", "example.org", true)]
    [InlineData("example.org", "a.example.org", false)] // a host without a dot in front is that host alone
    [InlineData("example.org", "notexample.org", false)]
    [InlineData("example.org", "example.org.evil.com", false)]
    [InlineData("example.org", "example.or", false)]
    [InlineData(".example.org", "a.example.org", true)]
    [InlineData(".example.org", "a.b.example.org", true)]
    [InlineData(".example.org", "example.org", false)] // a dot in front means hosts below, not the host itself
    [InlineData(".example.org", "aexample.org", false)]
    [InlineData(".example.org", ".example.org", false)] // nor does it mean the odd trust domain that is spelt like the constraint
    [InlineData("org", "example.org", false)]
    [InlineData(".org", "example.org", true)]
    [InlineData("cluster", "cluster", true)] // a single label: legal in SPIFFE, so it must be possible to constrain
    [InlineData("under_score.example", "under_score.example", true)] // likewise
    [InlineData("10.0.0.1", "10.0.0.1", false)] // RFC 5280 refuses addresses under a constraint, and so do we
    [InlineData("spiffe://example.org", "example.org", false)] // not a host: permits nothing
    [InlineData("example.org/", "example.org", false)]
    [InlineData("", "example.org", false)]
    [InlineData(".", "example.org", false)]
    public void X_12_permitted_URI_constraints_bind_the_trust_domain(string constraint, string trustDomain, bool allowed) =>
        AssertAllowed(allowed, trustDomain, Subtrees(Permitted, Uri(constraint)));

    [Theory]
    [InlineData("example.org", "example.org", false)]
    [InlineData("example.org", "a.example.org", true)]
    [InlineData(".example.org", "a.example.org", false)]
    [InlineData(".example.org", "example.org", true)]
    [InlineData("example.com", "example.org", true)]
    [InlineData("example.com", "10.0.0.1", false)] // an address cannot be held against a host: refused
    [InlineData("spiffe://example.com", "example.org", false)] // what the constraint means is unclear: refused
    [InlineData("", "example.org", false)]
    public void X_12_excluded_URI_constraints_bind_the_trust_domain(string constraint, string trustDomain, bool allowed) =>
        AssertAllowed(allowed, trustDomain, Subtrees(Excluded, Uri(constraint)));

    [Fact]
    public void X_12_one_of_several_permitted_subtrees_is_enough_and_one_excluded_too_much()
    {
        AssertAllowed(true, "example.org", Subtrees(Permitted, Uri("example.com"), Uri("example.org")));
        AssertAllowed(false, "example.org", [.. Subtrees(Permitted, Uri("example.org")), .. Subtrees(Excluded, Uri("example.org"))]);
        AssertAllowed(false, "a.example.org", [.. Subtrees(Permitted, Uri(".example.org")), .. Subtrees(Excluded, Uri("a.example.org"))]);
        AssertAllowed(true, "b.example.org", [.. Subtrees(Permitted, Uri(".example.org")), .. Subtrees(Excluded, Uri("a.example.org"))]);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void X_12_binds_whether_critical_or_not(bool critical) =>
        AssertAllowed(false, "example.org", Subtrees(Permitted, Uri("example.com")), critical: critical);

    [Fact]
    public void X_12_constraints_of_the_root_and_of_every_issuer_bind_all_that_is_below()
    {
        var web = SpiffeId.Parse("spiffe://example.org/web");
        X509Extension[] org = [Extension(Subtrees(Permitted, Uri("example.org")))];
        X509Extension[] com = [Extension(Subtrees(Permitted, Uri("example.com")))];
        var root = TestAuthority.CreateRoot(change: o => o with { Extensions = org }, time: _time);
        Assert.Equal(SvidFault.None, Verify(root, root.CreateIntermediate().CreateLeaf(web)));
        Assert.Equal(SvidFault.NameConstraint, Verify(root, root.CreateIntermediate(o => o with { Extensions = com }).CreateLeaf(web)));
        Assert.Equal(SvidFault.NameConstraint, Verify(root, root.CreateIntermediate(o => o with { Extensions = com, UriNames = [] }).CreateIntermediate(o => o with { UriNames = [] }).CreateLeaf(web)));

        var constrainedRoot = TestAuthority.CreateRoot(change: o => o with { Extensions = com }, time: _time);
        Assert.Equal(SvidFault.NameConstraint, Verify(constrainedRoot, constrainedRoot.CreateLeaf(web)));
    }

    [Fact]
    public void X_12_binds_the_names_of_the_issuers_below_as_well()
    {
        var root = TestAuthority.CreateRoot(change: o => o with { Extensions = [Extension(Subtrees(Permitted, Uri("example.org")))] }, time: _time);
        var foreignIssuer = root.CreateIntermediate(o => o with { UriNames = ["spiffe://example.com"] });
        Assert.Equal(SvidFault.NameConstraint, Verify(root, foreignIssuer.CreateLeaf("spiffe://example.org/web")));
        // A self-issued CA is exempt (RFC 5280 section 6.1.3 b): it is a rolled key and no new name.
        var old = root.CreateIntermediate(o => o with { Subject = "CN=Rolling" });
        var rolled = old.CreateIntermediate(o => o with { Subject = "CN=Rolling", UriNames = ["spiffe://example.com"] });
        Assert.Equal(SvidFault.None, Verify(root, rolled.CreateLeaf("spiffe://example.org/web")));
    }

    [Theory]
    [InlineData("https://user@example.org:8443/x?y", true)]
    [InlineData("https://example.com@example.org/x", true)]
    [InlineData("https://example.org@example.com/x", false)]
    [InlineData("https://example.org:x/", false)]
    [InlineData("https://[::1]/", false)]
    [InlineData("https:///x", false)]
    [InlineData("https://", false)]
    [InlineData("urn:example.org", false)]
    [InlineData("example.org", false)]
    [InlineData("https://127.0.0.1/", false)]
    [InlineData("https://example.org\\@example.com/", false)]
    [InlineData("https://example.org%2eevil/", false)]
    public void X_12_finds_the_host_in_other_URIs_and_refuses_what_has_none(string uri, bool allowed)
    {
        var root = TestAuthority.CreateRoot(change: o => o with { Extensions = [Extension(Subtrees(Permitted, Uri("example.org")))] }, time: _time);
        var issuer = root.CreateIntermediate(o => o with { UriNames = [uri] });
        Assert.Equal(allowed ? SvidFault.None : SvidFault.NameConstraint, Verify(root, issuer.CreateLeaf("spiffe://example.org/web")));
    }

    [Theory]
    [InlineData("example.org", "example.org", true)]
    [InlineData("example.org", "web.example.org", true)]
    [InlineData("Example.ORG", "web.example.org", true)]
    [InlineData("example.org", "webexample.org", false)]
    [InlineData(".example.org", "web.example.org", true)]
    [InlineData(".example.org", "example.org", false)]
    [InlineData("example.org", "*.example.org", true)]
    [InlineData("web.example.org", "*.example.org", false)]
    [InlineData("", "anything", true)]
    [InlineData("example.org", "example.org.", false)]
    [InlineData("example.org", "evil.com\0.example.org", false)]
    [InlineData("exa mple.org", "exa mple.org", false)]
    public void X_20_permitted_DNS_constraints_bind_the_DNS_names(string constraint, string name, bool allowed) =>
        AssertAllowed(allowed, "example.org", Subtrees(Permitted, Dns(constraint)), o => o with { DnsNames = [name] });

    [Theory]
    [InlineData("example.org", "example.org", false)]
    [InlineData("example.org", "web.example.org", false)]
    [InlineData("example.org", "example.com", true)]
    [InlineData("web.example.org", "*.example.org", false)] // the wildcard covers the excluded name
    [InlineData(".web.example.org", "*.example.org", false)]
    [InlineData("example.org", "*.web.example.org", false)]
    [InlineData("example.com", "*.example.org", true)]
    [InlineData("", "anything", false)]
    [InlineData("example.com", "not a name", false)]
    [InlineData("example.com", "example.org.", false)]
    public void X_20_excluded_DNS_constraints_bind_the_DNS_names(string constraint, string name, bool allowed) =>
        AssertAllowed(allowed, "example.org", Subtrees(Excluded, Dns(constraint)), o => o with { DnsNames = [name] });

    [Fact]
    public void X_20_a_constraint_on_names_that_the_leaf_does_not_have_does_not_matter()
    {
        AssertAllowed(true, "example.org", Subtrees(Permitted, Dns("example.com"), Address("10.0.0.0", "255.0.0.0"), Email("example.com")));
        AssertAllowed(true, "example.org", Subtrees(Excluded, Dns("example.com"), Email("example.com")));
    }

    [Theory]
    [InlineData(Permitted, "10.1.2.3", true)]
    [InlineData(Permitted, "11.1.2.3", false)]
    [InlineData(Permitted, "::1", false)]
    [InlineData(Excluded, "10.1.2.3", false)]
    [InlineData(Excluded, "11.1.2.3", true)]
    public void X_20_address_constraints_bind_the_addresses(byte kind, string address, bool allowed) =>
        AssertAllowedWith(allowed, Subtrees(kind, Address("10.0.0.0", "255.0.0.0")), Wrap(0x87, IPAddress.Parse(address).GetAddressBytes()));

    [Fact]
    public void X_20_an_address_constraint_of_another_length_permits_nothing_and_excludes_everything()
    {
        var subtree = Sequence(Wrap(0x87, [10, 0, 0, 0]));
        AssertAllowedWith(false, Wrap(Permitted, subtree), Wrap(0x87, [10, 0, 0, 0]));
        AssertAllowedWith(false, Wrap(Excluded, subtree), Wrap(0x87, [11, 0, 0, 0]));
    }

    [Fact]
    public void X_20_forms_that_are_not_understood_are_refused_when_a_name_has_them()
    {
        AssertAllowedWith(false, Subtrees(Permitted, Email("example.org")), Wrap(0x81, "web@example.org"u8.ToArray()));
        AssertAllowedWith(false, Subtrees(Excluded, Email("example.com")), Wrap(0x81, "web@example.org"u8.ToArray()));
        AssertAllowedWith(false, Subtrees(Permitted, Wrap(0x88, [0x2A, 0x03])), Wrap(0x88, [0x2A, 0x03]));
        var other = Wrap(0xA0, [0x06, 0x02, 0x2A, 0x03, 0xA0, 0x02, 0x05, 0x00]);
        AssertAllowedWith(false, Subtrees(Permitted, other), other);
    }

    [Fact]
    public void X_20_a_subtree_with_a_minimum_or_maximum_permits_nothing_and_excludes_everything()
    {
        var subtree = Sequence(Uri("example.org"), [0x80, 0x01, 0x01]);
        AssertAllowed(false, "example.org", Wrap(Permitted, subtree));
        AssertAllowed(false, "example.com", Wrap(Excluded, subtree));
    }

    [Fact]
    public void X_20_directory_constraints_bind_the_subject()
    {
        var orgUnit = Directory("O=Example");
        AssertAllowed(true, "example.org", Subtrees(Permitted, orgUnit), o => o with { Subject = "CN=web, O=Example" });
        AssertAllowed(false, "example.org", Subtrees(Permitted, orgUnit), o => o with { Subject = "CN=web, O=Example Two" });
        AssertAllowed(false, "example.org", Subtrees(Permitted, orgUnit), o => o with { Subject = "CN=web" });
        AssertAllowed(true, "example.org", Subtrees(Permitted, orgUnit), o => o with { Subject = "" });
        // What bytes cannot decide: an excluded directory name refuses every subject.
        AssertAllowed(false, "example.org", Subtrees(Excluded, orgUnit), o => o with { Subject = "CN=web, O=EXAMPLE" });
        AssertAllowed(false, "example.org", Subtrees(Excluded, orgUnit), o => o with { Subject = "CN=web, O=Other" });
        AssertAllowed(true, "example.org", Subtrees(Excluded, orgUnit), o => o with { Subject = "" });
    }

    [Fact]
    public void X_20_an_email_constraint_binds_an_address_in_the_subject()
    {
        AssertAllowed(false, "example.org", Subtrees(Permitted, Email("example.com")), o => o with { Subject = "CN=web, E=web@example.org" });
        AssertAllowed(true, "example.org", Subtrees(Permitted, Email("example.com")), o => o with { Subject = "CN=web" });
        AssertAllowed(true, "example.org", Subtrees(Permitted, Uri("example.org")), o => o with { Subject = "CN=web, E=web@example.org" });
    }

    private void AssertAllowed(bool allowed, string trustDomain, byte[] constraints, Func<LeafOptions, LeafOptions>? change = null, bool critical = true)
    {
        var root = TestAuthority.CreateRoot(trustDomain, time: _time);
        var issuer = root.CreateIntermediate(o => o with { UriNames = [], Extensions = [Extension(constraints, critical)] });
        Assert.Equal(allowed ? SvidFault.None : SvidFault.NameConstraint, Verify(root, issuer.CreateLeaf($"spiffe://{trustDomain}/web", change)));
    }

    private void AssertAllowedWith(bool allowed, byte[] constraints, byte[] extraName)
    {
        var root = TestAuthority.CreateRoot(time: _time);
        var issuer = root.CreateIntermediate(o => o with { UriNames = [], Extensions = [Extension(constraints)] });
        var leaf = Open(issuer.CreateLeaf("spiffe://example.org/web").Certificate)
            .With("2.5.29.17", Sequence(Uri("spiffe://example.org/web"), extraName), critical: true)
            .Close(issuer.Key);
        var verdict = SvidVerifier.Verify([leaf, issuer.Certificate.Der], root.Bundles, _time.GetUtcNow());
        Assert.Equal(allowed ? SvidFault.None : SvidFault.NameConstraint, verdict.Fault);
    }

    private SvidFault Verify(TestAuthority root, IssuedCertificate leaf) => SvidVerifier.Verify(leaf.ChainDer, root.Bundles, _time.GetUtcNow()).Fault;

    private static X509Extension Extension(byte[] lists, bool critical = true) => new("2.5.29.30", Sequence(lists), critical);

    private static byte[] Subtrees(byte kind, params byte[][] names) => Wrap(kind, [.. names.SelectMany(n => Sequence(n))]);

    private static byte[] Uri(string value) => Wrap(0x86, Encoding.ASCII.GetBytes(value));

    private static byte[] Dns(string value) => Wrap(0x82, Encoding.ASCII.GetBytes(value));

    private static byte[] Email(string value) => Wrap(0x81, Encoding.ASCII.GetBytes(value));

    private static byte[] Address(string address, string mask) => Wrap(0x87, [.. IPAddress.Parse(address).GetAddressBytes(), .. IPAddress.Parse(mask).GetAddressBytes()]);

    private static byte[] Directory(string name) => Wrap(0xA4, new X500DistinguishedName(name).RawData);
}
