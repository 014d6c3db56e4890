using System.Text;

namespace Mesh.Spiffe.Tests;

/// <summary>SPIFFE-ID, sections 2 and 3. The numbers are those of the conformance table.</summary>
public sealed class SpiffeIdTests
{
    [Theory]
    [InlineData("spiffe://trustdomain", "trustdomain", "")]
    [InlineData("spiffe://trustdomain/path", "trustdomain", "/path")]
    [InlineData("spiffe://trustdomain/path1/path2", "trustdomain", "/path1/path2")]
    [InlineData("spiffe://example.org/ns/shop/sa/web", "example.org", "/ns/shop/sa/web")]
    [InlineData("spiffe://a/b", "a", "/b")]
    [InlineData("spiffe://-/_", "-", "/_")]
    public void Reads_a_well_formed_id_and_prints_it_unchanged(string text, string trustDomain, string path)
    {
        var id = SpiffeId.Parse(text);
        Assert.Equal(trustDomain, id.TrustDomain.Name);
        Assert.Equal(path, id.Path);
        Assert.Equal(path.Length == 0, id.IsRoot);
        Assert.Equal(text, id.ToString());
        Assert.True(SpiffeId.TryParse(Encoding.ASCII.GetBytes(text), out var fromBytes, out var fault));
        Assert.Equal(SpiffeIdFault.None, fault);
        Assert.Equal(id, fromBytes);
    }

    [Theory]
    [InlineData("http://trustdomain/path")]
    [InlineData("Spiffe://trustdomain/path")]
    [InlineData("SPIFFE://trustdomain")]
    [InlineData("s")]
    [InlineData("spiffe")]
    [InlineData("spiffe:")]
    [InlineData("spiffe:/")]
    [InlineData("spiffe:/trustdomain/path")]
    [InlineData(" spiffe://trustdomain/path")]
    [InlineData("xspiffe://trustdomain/path")]
    [InlineData("trustdomain/path")]
    public void ID_1_rejects_another_scheme_and_another_case(string text) => AssertRejected(text, SpiffeIdFault.WrongScheme);

    [Theory]
    [InlineData("spiffe://")]
    [InlineData("spiffe:///")]
    [InlineData("spiffe:///path")]
    public void ID_2_rejects_an_empty_trust_domain(string text) => AssertRejected(text, SpiffeIdFault.EmptyTrustDomain);

    [Theory]
    [InlineData("spiffe://trustdomain?query", SpiffeIdFault.BadTrustDomainCharacter)]
    [InlineData("spiffe://trustdomain#fragment", SpiffeIdFault.BadTrustDomainCharacter)]
    [InlineData("spiffe://trustdomain/path?query", SpiffeIdFault.BadPathCharacter)]
    [InlineData("spiffe://trustdomain/path#fragment", SpiffeIdFault.BadPathCharacter)]
    [InlineData("spiffe://trustdomain/?query", SpiffeIdFault.BadPathCharacter)]
    public void ID_3_rejects_query_and_fragment(string text, SpiffeIdFault fault) => AssertRejected(text, fault);

    [Theory]
    [InlineData("spiffe://user@trustdomain/path")]
    [InlineData("spiffe://user:password@trustdomain/path")]
    [InlineData("spiffe://@trustdomain/path")]
    [InlineData("spiffe://trustdomain:8443/path")]
    [InlineData("spiffe://trustdomain:/path")]
    public void ID_4_rejects_userinfo_and_port(string text) => AssertRejected(text, SpiffeIdFault.BadTrustDomainCharacter);

    [Theory]
    [InlineData("spiffe://TrustDomain/path")]
    [InlineData("spiffe://trustdomaiN")]
    [InlineData("spiffe://trust$domain")]
    [InlineData("spiffe://tr\u00fcstdomain")]
    [InlineData("spiffe://trust\0domain/path")]
    [InlineData("spiffe://trustdomain\0/path")]
    public void ID_5_rejects_upper_case_and_foreign_characters_in_the_trust_domain(string text) => AssertRejected(text, SpiffeIdFault.BadTrustDomainCharacter);

    [Theory]
    [InlineData("spiffe://%F0%9F%A4%AF/path")]
    [InlineData("spiffe://%62%61%64/path")]
    public void ID_6_rejects_percent_encoding_in_the_trust_domain(string text) => AssertRejected(text, SpiffeIdFault.BadTrustDomainCharacter);

    [Theory]
    [InlineData("spiffe://10.0.0.1/path", "10.0.0.1")]
    [InlineData("spiffe://999.999/path", "999.999")]
    [InlineData("spiffe://1/path", "1")]
    [InlineData("spiffe://.example..org./path", ".example..org.")]
    [InlineData("spiffe://under_score/path", "under_score")]
    public void ID_7_treats_a_trust_domain_that_looks_like_an_address_or_a_host_like_any_other(string text, string name) =>
        Assert.Equal(name, SpiffeId.Parse(text).TrustDomain.Name);

    [Fact]
    public void ID_7_rejects_an_IPv6_address_by_its_characters_alone() => AssertRejected("spiffe://[::1]/path", SpiffeIdFault.BadTrustDomainCharacter);

    [Theory]
    [InlineData("spiffe://trustdomain/%F0%9F%A4%AF")]
    [InlineData("spiffe://trustdomain/%62%61%64")]
    [InlineData("spiffe://trustdomain/%2F")]
    [InlineData("spiffe://trustdomain/%2e%2e/path")]
    public void ID_8_rejects_percent_encoding_in_the_path(string text) => AssertRejected(text, SpiffeIdFault.BadPathCharacter);

    [Theory]
    [InlineData("spiffe://trustdomain//path", SpiffeIdFault.EmptySegment)]
    [InlineData("spiffe://trustdomain/path//other", SpiffeIdFault.EmptySegment)]
    [InlineData("spiffe://trustdomain//", SpiffeIdFault.EmptySegment)]
    [InlineData("spiffe://trustdomain/.", SpiffeIdFault.DotSegment)]
    [InlineData("spiffe://trustdomain/./path", SpiffeIdFault.DotSegment)]
    [InlineData("spiffe://trustdomain/path/.", SpiffeIdFault.DotSegment)]
    [InlineData("spiffe://trustdomain/path/./other", SpiffeIdFault.DotSegment)]
    [InlineData("spiffe://trustdomain/..", SpiffeIdFault.DotSegment)]
    [InlineData("spiffe://trustdomain/../path", SpiffeIdFault.DotSegment)]
    [InlineData("spiffe://trustdomain/path/..", SpiffeIdFault.DotSegment)]
    [InlineData("spiffe://trustdomain/path/../other", SpiffeIdFault.DotSegment)]
    public void ID_9_rejects_empty_and_dot_segments(string text, SpiffeIdFault fault) => AssertRejected(text, fault);

    [Theory]
    [InlineData("/.path")]
    [InlineData("/..path")]
    [InlineData("/...")]
    [InlineData("/path/.other")]
    [InlineData("/path/...")]
    public void ID_9_accepts_segments_that_only_begin_with_dots(string path) => Assert.Equal(path, SpiffeId.Parse("spiffe://trustdomain" + path).Path);

    [Theory]
    [InlineData("spiffe://trustdomain/")]
    [InlineData("spiffe://trustdomain/path/")]
    public void ID_10_rejects_a_slash_at_the_end(string text) => AssertRejected(text, SpiffeIdFault.TrailingSlash);

    [Theory]
    [InlineData("spiffe://trustdomain/path$")]
    [InlineData("spiffe://trustdomain/pa th")]
    [InlineData("spiffe://trustdomain/pa\\th")]
    [InlineData("spiffe://trustdomain/path\0")]
    [InlineData("spiffe://trustdomain/path\n")]
    [InlineData("spiffe://trustdomain/p\u00e4th")]
    [InlineData("spiffe://trustdomain/\uff41")]
    public void ID_11_rejects_foreign_characters_in_the_path(string text) => AssertRejected(text, SpiffeIdFault.BadPathCharacter);

    [Fact]
    public void ID_11_every_code_point_up_to_255_is_legal_just_where_the_standard_says_so()
    {
        var cases = 0;
        for (var code = 0; code <= 255; code++)
        {
            var c = (char)code;
            if (c == '/') continue;
            var inTrustDomain = c is >= 'a' and <= 'z' or >= '0' and <= '9' or '.' or '-' or '_';
            var inPath = inTrustDomain || c is >= 'A' and <= 'Z';
            AssertAccepted($"spiffe://trustdomain{c}/path", inTrustDomain);
            AssertAccepted($"spiffe://trustdomain/path{c}", inPath);
            cases += 2;
        }

        Assert.Equal(510, cases);

        static void AssertAccepted(string text, bool expected)
        {
            Assert.Equal(expected, SpiffeId.TryParse(text, out _, out _));
            // A certificate's bytes: as UTF-8, which is what a sloppy issuer writes, and one byte for each character.
            Assert.Equal(expected, SpiffeId.TryParse(Encoding.UTF8.GetBytes(text), out _, out _));
            Assert.Equal(expected, SpiffeId.TryParse(Encoding.Latin1.GetBytes(text), out _, out _));
        }
    }

    [Fact]
    public void ID_12_accepts_2048_bytes()
    {
        var text = "spiffe://trustdomain/" + new string('a', 2048 - 21);
        Assert.Equal(2048, text.Length);
        Assert.Equal(text, SpiffeId.Parse(text).ToString());
        Assert.True(SpiffeId.TryParse(Encoding.ASCII.GetBytes(text), out _, out _));
    }

    [Fact]
    public void ID_13_neither_reads_nor_makes_2049_bytes()
    {
        AssertRejected("spiffe://trustdomain/" + new string('a', 2049 - 21), SpiffeIdFault.TooLong);
        var trustDomain = TrustDomain.Parse("trustdomain");
        Assert.Equal(2048, SpiffeId.FromSegments(trustDomain, new string('a', 2048 - 21)).ToString().Length);
        var e = Assert.Throws<FormatException>(() => SpiffeId.FromSegments(trustDomain, new string('a', 2049 - 21)));
        Assert.Equal(SpiffeIdFault.TooLong.Sentence(), e.Message);
    }

    [Fact]
    public void ID_14_accepts_a_trust_domain_of_255_bytes_and_rejects_one_of_256()
    {
        var longest = new string('a', 255);
        Assert.Equal(longest, SpiffeId.Parse($"spiffe://{longest}/path").TrustDomain.Name);
        AssertRejected($"spiffe://{longest}a/path", SpiffeIdFault.TrustDomainTooLong);
        Assert.Equal(longest, TrustDomain.Parse(longest).Name);
        Assert.False(TrustDomain.TryParse(longest + "a", out _, out var fault));
        Assert.Equal(SpiffeIdFault.TrustDomainTooLong, fault);
    }

    [Fact]
    public void ID_15_compares_bytewise_and_the_path_with_its_case()
    {
        Assert.Equal(SpiffeId.Parse("spiffe://td/a"), SpiffeId.Parse("spiffe://td/a"));
        Assert.Equal(SpiffeId.Parse("spiffe://td/a").GetHashCode(), SpiffeId.Parse("spiffe://td/a").GetHashCode());
        Assert.NotEqual(SpiffeId.Parse("spiffe://td/a"), SpiffeId.Parse("spiffe://td/A"));
        Assert.NotEqual(SpiffeId.Parse("spiffe://td/a"), SpiffeId.Parse("spiffe://te/a"));
    }

    [Fact]
    public void ID_17_the_id_of_a_trust_domain_has_no_path()
    {
        var trustDomain = TrustDomain.Parse("example.org");
        Assert.Equal("spiffe://example.org", trustDomain.Id.ToString());
        Assert.True(trustDomain.Id.IsRoot);
        Assert.Equal(trustDomain, trustDomain.Id.TrustDomain);
        Assert.Equal(trustDomain.Id, SpiffeId.Parse("spiffe://example.org"));
        Assert.Equal(trustDomain.Id, SpiffeId.FromSegments(trustDomain));
    }

    [Theory]
    [InlineData(null)]
    [InlineData("")]
    public void Rejects_nothing(string? text)
    {
        Assert.False(SpiffeId.TryParse(text, out var id, out var fault));
        Assert.Null(id);
        Assert.Equal(SpiffeIdFault.Empty, fault);
    }

    [Theory]
    [InlineData("", SpiffeIdFault.EmptySegment)]
    [InlineData(".", SpiffeIdFault.DotSegment)]
    [InlineData("..", SpiffeIdFault.DotSegment)]
    [InlineData("/", SpiffeIdFault.BadPathCharacter)]
    [InlineData("/foo", SpiffeIdFault.BadPathCharacter)]
    [InlineData("$", SpiffeIdFault.BadPathCharacter)]
    public void Makes_no_id_from_a_bad_segment(string segment, SpiffeIdFault expected)
    {
        Assert.False(SpiffeId.TryFromSegments(TrustDomain.Parse("td"), ["a", segment], out var id, out var fault));
        Assert.Null(id);
        Assert.Equal(expected, fault);
    }

    [Fact]
    public void Joins_segments_to_a_path()
    {
        Assert.Equal("/a", SpiffeId.FromSegments(TrustDomain.Parse("td"), "a").Path);
        Assert.Equal("/a/b", SpiffeId.FromSegments(TrustDomain.Parse("td"), "a", "b").Path);
    }

    [Theory]
    [InlineData("shop", "web")]
    [InlineData("shop", "web.v2")]
    public void A_service_account_goes_into_an_id_and_comes_back_out(string ns, string serviceAccount)
    {
        var id = SpiffeId.ForServiceAccount(TrustDomain.Parse("example.org"), ns, serviceAccount);
        Assert.Equal($"spiffe://example.org/ns/{ns}/sa/{serviceAccount}", id.ToString());
        Assert.True(id.TryGetServiceAccount(out var readNs, out var readServiceAccount));
        Assert.Equal((ns, serviceAccount), (readNs, readServiceAccount));
    }

    [Theory]
    [InlineData("spiffe://td")]
    [InlineData("spiffe://td/ns/shop/sa")]
    [InlineData("spiffe://td/ns/shop/sa/web/x")]
    [InlineData("spiffe://td/ns/shop/sa/web/x/y/z")]
    [InlineData("spiffe://td/NS/shop/sa/web")]
    [InlineData("spiffe://td/ns/shop/sb/web")]
    public void Another_path_is_no_service_account(string text)
    {
        Assert.False(SpiffeId.Parse(text).TryGetServiceAccount(out var ns, out var serviceAccount));
        Assert.Null(ns);
        Assert.Null(serviceAccount);
    }

    [Fact]
    public void Every_fault_has_a_sentence_of_its_own() => Sentences.AssertDistinct<SpiffeIdFault>(f => f.Sentence());

    private static void AssertRejected(string text, SpiffeIdFault expected)
    {
        Assert.False(SpiffeId.TryParse(text, out var id, out var fault));
        Assert.Null(id);
        Assert.Equal(expected, fault);
        Assert.Equal(expected.Sentence(), Assert.Throws<FormatException>(() => SpiffeId.Parse(text)).Message);
        Assert.False(SpiffeId.TryParse(Encoding.UTF8.GetBytes(text), out _, out var faultOfBytes));
        Assert.Equal(expected, faultOfBytes);
    }
}
