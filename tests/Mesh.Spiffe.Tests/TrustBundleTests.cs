using System.Text.Json.Nodes;
using Mesh.Testing;

namespace Mesh.Spiffe.Tests;

/// <summary>SPIFFE Trust Domain and Bundle, and X509-SVID section 6. The numbers are those of the conformance table.</summary>
public sealed class TrustBundleTests
{
    private static readonly TrustDomain Domain = TrustDomain.Parse("example.org");
    private static readonly TestAuthority Root = TestAuthority.CreateRoot();
    private static readonly TestAuthority Other = TestAuthority.CreateRoot();

    private static readonly string X5c = Convert.ToBase64String(Root.Certificate.Der.Span);
    private static readonly string Key = $$"""{"kty":"EC","use":"x509-svid","crv":"P-256","x":"AA","y":"AA","x5c":["{{X5c}}"]}""";

    [Theory]
    [InlineData(TestKey.P256)]
    [InlineData(TestKey.P384)]
    [InlineData(TestKey.P521)]
    [InlineData(TestKey.Rsa2048)]
    public void Reads_what_it_writes(TestKey key)
    {
        var root = TestAuthority.CreateRoot(change: o => o with { Key = key });
        var bundle = new TrustBundle(Domain, [root.Certificate, Other.Certificate], ulong.MaxValue, TimeSpan.FromMinutes(5));
        Assert.Equal(bundle, TrustBundle.ParseJson(Domain, bundle.ToJson()));
        Assert.Equal(bundle.X509Authorities, TrustBundle.ParsePem(Domain, bundle.ToPem()).X509Authorities);
    }

    [Fact]
    public void B_1_ignores_top_level_parameters_it_does_not_know() =>
        Assert.Single(Read($$"""{"spiffe_future":{"a":[1]},"keys":[{{Key}}],"x":null}""").X509Authorities);

    [Fact]
    public void B_2_and_B_4_sequence_and_refresh_hint_may_be_absent()
    {
        var bundle = Read("""{"keys":[]}""");
        Assert.Null(bundle.Sequence);
        Assert.Null(bundle.RefreshHint);
        var written = JsonNode.Parse(bundle.ToJson())!.AsObject();
        Assert.Equal(["keys"], written.Select(p => p.Key));
    }

    [Theory]
    [InlineData("0", 0UL)]
    [InlineData("1", 1UL)]
    [InlineData("9223372036854775808", 9223372036854775808UL)]
    [InlineData("18446744073709551615", ulong.MaxValue)]
    public void B_3_reads_sequences_of_64_bits(string number, ulong expected) =>
        Assert.Equal(expected, Read($$"""{"keys":[],"spiffe_sequence":{{number}}}""").Sequence);

    [Theory]
    [InlineData("18446744073709551616")]
    [InlineData("-1")]
    [InlineData("1.5")]
    [InlineData("1e3")]
    [InlineData("\"1\"")]
    [InlineData("null")]
    [InlineData("[1]")]
    public void B_3_refuses_sequences_that_are_no_whole_numbers(string number) =>
        AssertRefused(TrustBundleFault.BadSequence, $$"""{"keys":[],"spiffe_sequence":{{number}}}""");

    [Theory]
    [InlineData("0", 0)]
    [InlineData("300", 300)]
    [InlineData("18446744073709551615", 315360000)]
    public void B_5_reads_the_refresh_hint_in_seconds(string number, long seconds) =>
        Assert.Equal(TimeSpan.FromSeconds(seconds), Read($$"""{"keys":[],"spiffe_refresh_hint":{{number}}}""").RefreshHint);

    [Theory]
    [InlineData("-5")]
    [InlineData("0.5")]
    [InlineData("\"5m\"")]
    public void B_5_refuses_hints_that_are_no_whole_numbers(string number) =>
        AssertRefused(TrustBundleFault.BadRefreshHint, $$"""{"keys":[],"spiffe_refresh_hint":{{number}}}""");

    [Theory]
    [InlineData("{}", TrustBundleFault.NoKeys)]
    [InlineData("""{"spiffe_sequence":1}""", TrustBundleFault.NoKeys)]
    [InlineData("""{"Keys":[]}""", TrustBundleFault.NoKeys)]
    [InlineData("""{"keys":null}""", TrustBundleFault.NotKeySet)]
    [InlineData("""{"keys":{}}""", TrustBundleFault.NotKeySet)]
    [InlineData("""{"keys":["a"]}""", TrustBundleFault.NotKeySet)]
    [InlineData("[]", TrustBundleFault.NotKeySet)]
    [InlineData("null", TrustBundleFault.NotKeySet)]
    [InlineData("", TrustBundleFault.NotJson)]
    [InlineData("{", TrustBundleFault.NotJson)]
    [InlineData("""{"keys":[]} x""", TrustBundleFault.NotJson)]
    [InlineData("""{"keys":[],}""", TrustBundleFault.NotJson)]
    [InlineData("""{/* */"keys":[]}""", TrustBundleFault.NotJson)]
    public void B_6_refuses_a_document_without_keys(string json, TrustBundleFault fault) => AssertRefused(fault, json);

    [Fact]
    public void B_7_an_empty_list_of_keys_is_a_bundle_that_trusts_nobody()
    {
        var bundle = Read("""{"keys":[],"spiffe_sequence":7}""");
        Assert.Empty(bundle.X509Authorities);
        Assert.Equal(7UL, bundle.Sequence);
        using var svid = Root.CreateSvid("spiffe://example.org/web");
        Assert.Equal(SvidFault.NoAuthorities, SvidVerifier.Verify(svid.Chain, new TrustBundleSet(bundle), TimeProvider.System.GetUtcNow()).Fault);
    }

    [Theory]
    [InlineData("""{"kty":"AKP","use":"x509-svid","alg":"ML-DSA-65","pub":"AA","x5c":["!"]}""")]
    [InlineData("""{"kty":"OKP","use":"x509-svid","crv":"Ed25519","x":"AA","x5c":["!"]}""")]
    [InlineData("""{"use":"x509-svid","x5c":["!"]}""")]
    [InlineData("""{"kty":7,"use":"x509-svid","x5c":["!"]}""")]
    [InlineData("""{"kty":"EC","use":"wit-svid","kid":"a"}""")]
    [InlineData("""{"kty":"EC","use":"jwt-svid","kid":"a","crv":"P-256","x":"AA","y":"AA"}""")]
    [InlineData("""{"kty":"EC","use":"X509-SVID","x5c":["!"]}""")]
    [InlineData("""{"kty":"EC","use":7,"x5c":["!"]}""")]
    [InlineData("""{"kty":"EC","x5c":["!"]}""")]
    [InlineData("{}")]
    public void B_8_and_B_9_ignore_a_key_of_an_unknown_kind_or_use_and_keep_the_others(string key)
    {
        Assert.Equal([Root.Certificate], Read($$"""{"keys":[{{key}},{{Key}}]}""").X509Authorities);
        Assert.Empty(Read($$"""{"keys":[{{key}}]}""").X509Authorities);
    }

    [Fact]
    public void B_8_ignores_a_certificate_with_a_key_that_cannot_be_used()
    {
        var ed25519 = Convert.ToBase64String(BadCertificates.ReadCertificate("self-signed-ed25519").Der.Span);
        Assert.Equal([Root.Certificate], Read($$"""{"keys":[{"kty":"EC","use":"x509-svid","x5c":["{{ed25519}}"]},{{Key}}]}""").X509Authorities);
    }

    [Fact]
    public void B_10_X_25_X_26_and_X_27_writes_kty_use_the_key_and_one_certificate_and_nothing_else()
    {
        var rsa = TestAuthority.CreateRoot(change: o => o with { Key = TestKey.Rsa2048 });
        var json = new TrustBundle(Domain, [Root.Certificate, rsa.Certificate], 3, TimeSpan.FromSeconds(90.5)).ToJson();
        var document = JsonNode.Parse(json)!.AsObject();
        Assert.Equal(["keys", "spiffe_sequence", "spiffe_refresh_hint"], document.Select(p => p.Key));
        Assert.Equal(90, document["spiffe_refresh_hint"]!.GetValue<int>());
        var ec = document["keys"]![0]!.AsObject();
        Assert.Equal(["kty", "use", "crv", "x", "y", "x5c"], ec.Select(p => p.Key));
        Assert.Equal("x509-svid", ec["use"]!.GetValue<string>());
        var parameters = ((System.Security.Cryptography.ECDsa)Root.Key).ExportParameters(false);
        Assert.Equal(System.Buffers.Text.Base64Url.EncodeToString(parameters.Q.X), ec["x"]!.GetValue<string>());
        Assert.Equal(System.Buffers.Text.Base64Url.EncodeToString(parameters.Q.Y), ec["y"]!.GetValue<string>());
        Assert.Equal(X5c, Assert.Single(ec["x5c"]!.AsArray())!.GetValue<string>());
        Assert.Equal(["kty", "use", "n", "e", "x5c"], document["keys"]![1]!.AsObject().Select(p => p.Key));
        Assert.Equal("AQAB", document["keys"]![1]!["e"]!.GetValue<string>());
    }

    [Theory]
    [InlineData("""{"keys":[],"keys":[]}""")]
    [InlineData("""{"keys":[{"kty":"EC","kty":"RSA"}]}""")]
    [InlineData("""{"keys":[],"x":{"a":1,"\u0061":2}}""")]
    public void B_13_refuses_a_name_that_stands_twice(string json) => AssertRefused(TrustBundleFault.RepeatedName, json);

    [Fact]
    public void B_11_B_13_B_14_reads_a_bundle_map_as_a_whole()
    {
        Assert.True(TrustBundleSet.TryParseJson($$$"""{"trust_domains":{"example.org":{"keys":[{{{Key}}}],"spiffe_sequence":2,"spiffe_refresh_hint":5},"example.com":{"keys":[] } } }""", out var set, out _));
        Assert.Equal(2, set.All.Length);
        var bundle = set.Find(Domain)!;
        Assert.Equal([Root.Certificate], bundle.X509Authorities);
        Assert.Equal(2UL, bundle.Sequence);
        Assert.Null(bundle.RefreshHint);
        Assert.True(TrustBundleSet.TryParseJson(set.ToJson(), out var again, out _));
        Assert.Equal(set.All, again.All);
        Assert.DoesNotContain("refresh", new TrustBundleSet(new TrustBundle(Domain, [], 1, TimeSpan.FromSeconds(5))).ToJson(), StringComparison.Ordinal);
        Assert.True(TrustBundleSet.TryParseJson("""{"trust_domains":{}}""", out var empty, out _));
        Assert.Empty(empty.All);
    }

    [Theory]
    [InlineData("{}", TrustBundleFault.NoTrustDomains)]
    [InlineData("""{"trust_domains":[]}""", TrustBundleFault.NoTrustDomains)]
    [InlineData("""{"trust_domains":{"a":{"keys":[]},"a":{"keys":[]}}}""", TrustBundleFault.RepeatedName)]
    [InlineData("""{"trust_domains":{"spiffe://a":{"keys":[]}}}""", TrustBundleFault.BadTrustDomain)]
    [InlineData("""{"trust_domains":{"A":{"keys":[]}}}""", TrustBundleFault.BadTrustDomain)]
    [InlineData("""{"trust_domains":{"a":{"keys":[]},"b":{}}}""", TrustBundleFault.NoKeys)]
    [InlineData("[]", TrustBundleFault.NotKeySet)]
    public void B_11_to_B_13_refuse_a_bundle_map_with_any_fault(string json, TrustBundleFault expected)
    {
        Assert.False(TrustBundleSet.TryParseJson(json, out var set, out var fault));
        Assert.Null(set);
        Assert.Equal(expected, fault);
    }

    [Theory]
    [InlineData("""{"kty":"EC","use":"x509-svid"}""")]
    [InlineData("""{"kty":"EC","use":"x509-svid","x5c":[]}""")]
    [InlineData("""{"kty":"EC","use":"x509-svid","x5c":null}""")]
    [InlineData("""{"kty":"EC","use":"x509-svid","x5c":"AAAA"}""")]
    public void X_29_ignores_a_key_without_a_certificate(string key) =>
        Assert.Equal([Root.Certificate], Read($$"""{"keys":[{{key}},{{Key}}]}""").X509Authorities);

    [Fact]
    public void X_30_uses_the_first_of_several_certificates_and_does_not_look_at_the_rest()
    {
        var second = Convert.ToBase64String(Other.Certificate.Der.Span);
        Assert.Equal([Root.Certificate], Read($$"""{"keys":[{"kty":"EC","use":"x509-svid","x5c":["{{X5c}}","{{second}}"]}]}""").X509Authorities);
        Assert.Equal([Root.Certificate], Read($$"""{"keys":[{"kty":"EC","use":"x509-svid","x5c":["{{X5c}}",7,"!"]}]}""").X509Authorities);
    }

    [Theory]
    [InlineData("\"AAAA\"")]
    [InlineData("\"!\"")]
    [InlineData("\"\"")]
    [InlineData("7")]
    public void Refuses_a_bundle_whose_certificate_cannot_be_read(string value) =>
        AssertRefused(TrustBundleFault.BadCertificate, $$"""{"keys":[{{Key}},{"kty":"EC","use":"x509-svid","x5c":[{{value}}]}]}""");

    [Fact]
    public void X_27_refuses_base64url()
    {
        var url = X5c.TrimEnd('=').Replace('+', '-').Replace('/', '_');
        Assert.NotEqual(X5c, url);
        AssertRefused(TrustBundleFault.BadCertificate, $$"""{"keys":[{"kty":"EC","use":"x509-svid","x5c":["{{url}}"]}]}""");
    }

    [Fact]
    public void Counts_an_authority_that_is_listed_twice_once()
    {
        Assert.Single(Read($$"""{"keys":[{{Key}},{{Key}}]}""").X509Authorities);
        Assert.Single(TrustBundle.ParsePem(Domain, Root.CertificatePem + Root.CertificatePem).X509Authorities);
    }

    [Fact]
    public void Bounds_what_it_reads()
    {
        AssertRefused(TrustBundleFault.TooManyAuthorities, $$"""{"keys":[{{string.Join(',', Enumerable.Repeat(Key, 257))}}]}""");
        AssertRefused(TrustBundleFault.TooLarge, new string(' ', 4 * 1024 * 1024) + """{"keys":[]}""");
        AssertRefused(TrustBundleFault.NotJson, $$"""{"keys":[],"x":{{new string('[', 100)}}{{new string(']', 100)}}}""");
        Assert.False(TrustBundle.TryParsePem(Domain, string.Concat(Enumerable.Repeat(Root.CertificatePem, 257)), out _, out var fault));
        Assert.Equal(TrustBundleFault.TooManyAuthorities, fault);
    }

    [Fact]
    public void Refuses_bytes_that_are_not_UTF_8()
    {
        Assert.False(TrustBundle.TryParseJson(Domain, (byte[])[.. """{"keys":[],"x":" """u8, 0xFF, .. "\"}"u8], out _, out var fault));
        Assert.Equal(TrustBundleFault.NotJson, fault);
    }

    [Fact]
    public void Refuses_PEM_that_is_empty_cut_off_or_holds_anything_but_certificates()
    {
        AssertRefusedPem(TrustBundleFault.NoCertificate, "");
        AssertRefusedPem(TrustBundleFault.NoCertificate, "\n# nothing\n");
        AssertRefusedPem(TrustBundleFault.BadPem, Root.CertificatePem + Other.CertificatePem[..100]);
        AssertRefusedPem(TrustBundleFault.ForeignPemBlock, Root.CertificatePem + Root.KeyPem);
        AssertRefusedPem(TrustBundleFault.BadCertificate, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
        AssertRefusedPem(TrustBundleFault.UnsupportedKey, Root.CertificatePem + BadCertificates.Read("self-signed-ed25519.pem"));
        AssertRefusedPem(TrustBundleFault.TooLarge, new string('\n', (4 * 1024 * 1024) + 1));

        static void AssertRefusedPem(TrustBundleFault expected, string pem)
        {
            Assert.False(TrustBundle.TryParsePem(Domain, pem, out var bundle, out var fault));
            Assert.Null(bundle);
            Assert.Equal(expected, fault);
            Assert.Equal(expected.Sentence(), Assert.Throws<FormatException>(() => TrustBundle.ParsePem(Domain, pem)).Message);
        }
    }

    [Fact]
    public void Is_equal_by_content_with_the_authorities_in_any_order()
    {
        var bundle = new TrustBundle(Domain, [Root.Certificate, Other.Certificate], 1, TimeSpan.FromSeconds(5));
        var same = new TrustBundle(Domain, [Certificate.Parse(Other.Certificate.Der), Certificate.Parse(Root.Certificate.Der)], 1, TimeSpan.FromSeconds(5));
        Assert.Equal(bundle, same);
        Assert.Equal(bundle.GetHashCode(), same.GetHashCode());
        Assert.NotEqual(bundle, new TrustBundle(TrustDomain.Parse("example.com"), bundle.X509Authorities, 1, TimeSpan.FromSeconds(5)));
        Assert.NotEqual(bundle, new TrustBundle(Domain, bundle.X509Authorities, 2, TimeSpan.FromSeconds(5)));
        Assert.NotEqual(bundle, new TrustBundle(Domain, bundle.X509Authorities, 1, TimeSpan.FromSeconds(6)));
        Assert.NotEqual(bundle, new TrustBundle(Domain, [Root.Certificate], 1, TimeSpan.FromSeconds(5)));
        Assert.NotEqual(bundle, new TrustBundle(Domain, [Root.Certificate, TestAuthority.CreateRoot().Certificate], 1, TimeSpan.FromSeconds(5)));
        Assert.True(bundle.HasSameAuthorities(new TrustBundle(Domain, bundle.X509Authorities)));
    }

    [Fact]
    public void Cannot_be_made_with_an_authority_that_verifies_nothing()
    {
        var ed25519 = BadCertificates.ReadCertificate("self-signed-ed25519");
        Assert.Throws<ArgumentException>(() => new TrustBundle(Domain, [ed25519]));
        Assert.Throws<ArgumentException>(() => new TrustBundle(Domain, [], refreshHint: TimeSpan.FromSeconds(-1)));
    }

    [Fact]
    public void A_set_holds_one_bundle_for_each_trust_domain()
    {
        var bundle = new TrustBundle(Domain, []);
        Assert.Same(bundle, new TrustBundleSet(bundle).Find(TrustDomain.Parse("example.org")));
        Assert.Null(new TrustBundleSet(bundle).Find(TrustDomain.Parse("example.com")));
        Assert.Throws<ArgumentException>(() => new TrustBundleSet(bundle, new TrustBundle(Domain, [Root.Certificate])));
    }

    [Fact]
    public void Every_fault_has_a_sentence_of_its_own() => Sentences.AssertDistinct<TrustBundleFault>(f => f.Sentence());

    private static TrustBundle Read(string json) => TrustBundle.ParseJson(Domain, json);

    private static void AssertRefused(TrustBundleFault expected, string json)
    {
        Assert.False(TrustBundle.TryParseJson(Domain, json, out var bundle, out var fault));
        Assert.Null(bundle);
        Assert.Equal(expected, fault);
        Assert.Equal(expected.Sentence(), Assert.Throws<FormatException>(() => TrustBundle.ParseJson(Domain, json)).Message);
    }
}
