using Grpc.Core;
using System.Buffers.Text;
using System.Text;
using System.Text.Json.Nodes;
using Mesh.Identity.Tokens;
using Mesh.Testing;
using Microsoft.Extensions.Logging.Abstractions;

namespace Mesh.Identity.Tests.Tokens;

public sealed class JwksTokenValidatorTests : IDisposable
{
    private const string IssuerName = "https://kubernetes.default.svc";
    private const string Audience = "identity.l5d.io";
    private readonly ManualTime _time = new();
    private readonly TokenIssuer _issuer;
    // Making an RSA key takes long, so one serves all tests; its clock never moves.
    private static readonly TokenIssuer RsaIssuer = TokenIssuer.Create(IssuerName, TokenIssuerKey.Rsa, new ManualTime());
    private readonly JwksTokenValidator _validator;
    private readonly TokenKeySet _keys;

    public JwksTokenValidatorTests()
    {
        _issuer = TokenIssuer.Create(IssuerName, TokenIssuerKey.P256, _time);
        _keys = Keys(_issuer, RsaIssuer);
        _validator = Validator(new TokenExpectations(IssuerName, Audience));
    }

    public void Dispose() => _issuer.Dispose();

    [Theory]
    [InlineData(TokenIssuerKey.P256)]
    [InlineData(TokenIssuerKey.Rsa)]
    public void Accepts_a_token_of_the_issuer_and_says_whose_it_is(TokenIssuerKey key)
    {
        var verdict = Judge((key == TokenIssuerKey.Rsa ? RsaIssuer : _issuer).Issue("shop", "web.front-end", Audience, TimeSpan.FromHours(1), pod: "web-7c9"));
        Assert.True(verdict.IsValid, verdict.ToString());
        Assert.Equal("shop", verdict.Account.Namespace);
        Assert.Equal("web.front-end", verdict.Account.Name);
        Assert.Equal("web-7c9", verdict.Account.PodName);
        Assert.NotNull(verdict.Account.PodUid);
        Assert.NotNull(verdict.Account.Uid);
        Assert.Equal("system:serviceaccount:shop:web.front-end", verdict.Account.Subject);
        Assert.Equal(_time.GetUtcNow() + TimeSpan.FromHours(1), verdict.ExpiresAt);
    }

    [Fact]
    public void Accepts_a_token_as_the_API_server_makes_it()
    {
        // The claims of a projected token of Kubernetes 1.32, with what we do not use left in.
        var now = _time.GetUtcNow().ToUnixTimeSeconds();
        var claims = $$"""
            {"aud":["identity.l5d.io","vault"],"exp":{{now + 3607}},"iat":{{now}},"iss":"{{IssuerName}}","jti":"ea3b62a0-5b4e-4c59-9d0f-3b8a3f0f2f4e",
             "kubernetes.io":{"namespace":"shop","node":{"name":"node-1.example","uid":"b3f3a1f6-0b7e-4a3c-8d7c-2a1c6c1a9f10"},"pod":{"name":"web-0","uid":"f0e1"},
             "serviceaccount":{"name":"web","uid":"1f2e"},"warnafter":{{now + 3600}}},"nbf":{{now}},"sub":"system:serviceaccount:shop:web"}
            """;
        var verdict = Judge(RsaIssuer.Sign(Encoding.UTF8.GetBytes(claims)));
        Assert.True(verdict.IsValid, verdict.ToString());
        Assert.Equal("node-1.example", verdict.Account.NodeName);
    }

    [Fact]
    public void Accepts_a_trailing_line_end_because_token_files_have_one()
    {
        Assert.True(Judge(Good() + "\n").IsValid);
        Assert.True(Judge(Good() + "\r\n").IsValid);
    }

    [Theory]
    [InlineData("")]
    [InlineData("\n")]
    public void Refuses_no_token(string token) => AssertFault(TokenFault.Missing, Judge(token));

    [Fact]
    public void Refuses_a_token_over_the_size_limit_without_decoding_it() =>
        AssertFault(TokenFault.TooLarge, Judge(new string('a', TokenLimits.MaxTokenBytes + 1)));

    [Fact]
    public void Judges_a_token_just_under_the_size_limit() =>
        Assert.True(Judge(_issuer.Sign(Claims(c => c["padding"] = new string('x', 11_000)))).IsValid);

    [Theory]
    [InlineData("a.b")]
    [InlineData("a.b.c.d")]
    [InlineData("..")]
    [InlineData(".b.c")]
    [InlineData("a..c")]
    [InlineData("a.b.")]
    [InlineData("hello world")]
    [InlineData("e30=.e30.AAAA")]
    [InlineData("e30 .e30.AAAA")]
    [InlineData("e30.e30.AA\u00e4A")]
    [InlineData("e30.e30.AAAA")]
    public void Refuses_what_is_no_compact_signed_token(string token) => AssertFault(TokenFault.Malformed, Judge(token));

    [Theory]
    [InlineData("""{"alg":"ES256","alg":"ES256"}""")]
    [InlineData("""{"alg":"ES256","kid":"a","kid":"b"}""")]
    [InlineData("""{"alg":"ES256","crit":["b64"],"b64":false}""")]
    [InlineData("""{"alg":1}""")]
    [InlineData("""{"alg":"ES256","kid":7}""")]
    [InlineData("""{"alg":"ES256","kid":"\ud800"}""")]
    [InlineData("""{"alg":"ES256"} {}""")]
    [InlineData("""{"alg":"ES256" """)]
    [InlineData("""["ES256"]""")]
    [InlineData("""{"typ":"JWT"}""")]
    [InlineData("""{"\ud800lg":"ES256"}""")]
    [InlineData("""{"\ud8":"ES256"}""")]
    [InlineData("""{"alg":"\ud800","alg\u0000":1}""", TokenFault.UnsupportedAlgorithm)]
    [InlineData("")]
    public void Refuses_a_header_that_is_ambiguous_or_asks_for_more(string header, TokenFault fault = TokenFault.Malformed) => AssertFault(fault, Judge(_issuer.Sign(Claims(), header)));

    [Theory]
    [InlineData("none")]
    [InlineData("HS256")]
    [InlineData("es256")]
    [InlineData("EdDSA")]
    [InlineData("RSA-OAEP")]
    public void Refuses_an_algorithm_outside_the_list(string algorithm) =>
        AssertFault(TokenFault.UnsupportedAlgorithm, Judge(_issuer.Sign(Claims(), $$"""{"alg":"{{algorithm}}","kid":"{{_issuer.KeyId}}"}""")));

    [Fact]
    public void Refuses_an_algorithm_that_is_not_the_keys_own()
    {
        AssertFault(TokenFault.UnsupportedAlgorithm, Judge(_issuer.Sign(Claims(), $$"""{"alg":"RS256","kid":"{{_issuer.KeyId}}"}""")));
        AssertFault(TokenFault.UnsupportedAlgorithm, Judge(RsaIssuer.Sign(Claims(), $$"""{"alg":"PS256","kid":"{{RsaIssuer.KeyId}}"}""")));
    }

    [Fact]
    public void Ignores_a_key_the_token_brings_along()
    {
        using var stranger = TokenIssuer.Create(IssuerName, TokenIssuerKey.P256, _time);
        var own = JsonNode.Parse(TokenIssuer.ToJwks(stranger))!["keys"]![0]!.ToJsonString();
        AssertFault(TokenFault.BadSignature, Judge(stranger.Sign(Claims(), $$"""{"alg":"ES256","kid":"{{_issuer.KeyId}}","jwk":{{own}}}""")));
    }

    [Fact]
    public void Refuses_a_key_id_that_is_not_published()
    {
        using var stranger = TokenIssuer.Create(IssuerName, TokenIssuerKey.P256, _time);
        AssertFault(TokenFault.UnknownKey, Judge(stranger.Sign(Claims())));
    }

    [Fact]
    public void Tries_all_keys_for_a_token_that_names_none()
    {
        Assert.True(Judge(_issuer.Sign(Claims(), """{"alg":"ES256"}""")).IsValid);
        using var stranger = TokenIssuer.Create(IssuerName, TokenIssuerKey.P256, _time);
        AssertFault(TokenFault.BadSignature, Judge(stranger.Sign(Claims(), """{"alg":"ES256"}""")));
    }

    [Fact]
    public void Refuses_a_changed_claim_and_a_changed_signature()
    {
        var parts = Good().Split('.');
        var claims = Base64Url.EncodeToString(Claims(c => c["sub"] = "system:serviceaccount:kube-system:admin"));
        AssertFault(TokenFault.BadSignature, Judge($"{parts[0]}.{claims}.{parts[2]}"));
        var signature = Base64Url.DecodeFromChars(parts[2]);
        signature[7] ^= 1;
        AssertFault(TokenFault.BadSignature, Judge($"{parts[0]}.{parts[1]}.{Base64Url.EncodeToString(signature)}"));
        AssertFault(TokenFault.BadSignature, Judge($"{parts[0]}.{parts[1]}.{Base64Url.EncodeToString(new byte[64])}"));
        AssertFault(TokenFault.BadSignature, Judge($"{parts[0]}.{parts[1]}.AAAA"));
    }

    [Fact]
    public void Judges_the_end_by_the_clock_and_the_allowed_skew()
    {
        var token = _issuer.Issue("shop", "web", Audience, TimeSpan.FromMinutes(10));
        _time.Advance(TimeSpan.FromMinutes(10) + TimeSpan.FromSeconds(19));
        Assert.True(Judge(token).IsValid);
        _time.Advance(TimeSpan.FromSeconds(1));
        AssertFault(TokenFault.Expired, Judge(token));
    }

    [Fact]
    public void Judges_the_start_by_the_clock_and_the_allowed_skew()
    {
        var token = _issuer.Issue("shop", "web", Audience, TimeSpan.FromMinutes(10));
        _time.Step(TimeSpan.FromSeconds(-20));
        Assert.True(Judge(token).IsValid);
        _time.Step(TimeSpan.FromSeconds(-1));
        AssertFault(TokenFault.NotYetValid, Judge(token));
    }

    [Fact]
    public void Refuses_a_token_without_an_end_such_as_those_of_old_Secrets() => AssertFault(TokenFault.Expired, Judge(_issuer.Sign(Claims(c => c.Remove("exp")))));

    [Fact]
    public void Accepts_an_end_far_beyond_the_calendar() => Assert.Equal(DateTimeOffset.MaxValue, Judge(_issuer.Sign(Claims(c => c["exp"] = 1e300))).ExpiresAt);

    [Theory]
    [InlineData("https://kubernetes.default.svc/")]
    [InlineData("https://other.example")]
    [InlineData(null)]
    public void Refuses_another_issuer(string? issuer) => AssertFault(TokenFault.WrongIssuer, Judge(_issuer.Sign(Claims(c => c["iss"] = issuer is null ? c["sub"]!.DeepClone() : issuer))));

    [Fact]
    public void Refuses_another_audience()
    {
        AssertFault(TokenFault.WrongAudience, Judge(_issuer.Issue("shop", "web", "https://kubernetes.default.svc", TimeSpan.FromHours(1))));
        AssertFault(TokenFault.WrongAudience, Judge(_issuer.Sign(Claims(c => c["aud"] = new JsonArray("a", "b")))));
        AssertFault(TokenFault.WrongAudience, Judge(_issuer.Sign(Claims(c => c["aud"] = new JsonArray()))));
        AssertFault(TokenFault.WrongAudience, Judge(_issuer.Sign(Claims(c => c.Remove("aud")))));
    }

    [Fact]
    public void Accepts_an_audience_that_is_a_single_string() => Assert.True(Judge(_issuer.Sign(Claims(c => c["aud"] = Audience))).IsValid);

    [Theory]
    [InlineData("system:node:node-1")]
    [InlineData("alice@example.org")]
    [InlineData("system:serviceaccount:shop")]
    [InlineData("system:serviceaccount::web")]
    [InlineData("system:serviceaccount:shop:")]
    [InlineData("system:serviceaccount:shop.x:web")]
    [InlineData("system:serviceaccount:shop:web/../admin")]
    [InlineData("system:serviceaccount:shop:..")]
    [InlineData("system:serviceaccount:Shop:web")]
    [InlineData("system:serviceaccount:shop:web:extra")]
    public void Refuses_a_subject_that_is_no_service_account(string subject) => AssertFault(TokenFault.NotServiceAccount, Judge(_issuer.Sign(Claims(c => c["sub"] = subject))));

    [Fact]
    public void Refuses_claims_that_contradict_the_subject()
    {
        AssertFault(TokenFault.NotServiceAccount, Judge(_issuer.Sign(Claims(c => c["kubernetes.io"]!["namespace"] = "other"))));
        AssertFault(TokenFault.NotServiceAccount, Judge(_issuer.Sign(Claims(c => c["kubernetes.io"]!["serviceaccount"]!["name"] = "other"))));
        AssertFault(TokenFault.NotServiceAccount, Judge(_issuer.Sign(Claims(c => c.Remove("kubernetes.io")))));
        AssertFault(TokenFault.NotServiceAccount, Judge(_issuer.Sign(Claims(c => ((JsonObject)c["kubernetes.io"]!).Remove("serviceaccount")))));
    }

    [Fact]
    public void Demands_a_pod_when_told_to()
    {
        var strict = Validator(new TokenExpectations(IssuerName, Audience) { RequirePod = true });
        AssertFault(TokenFault.NotBoundToPod, strict.Judge(Encoding.ASCII.GetBytes(Good()), _keys));
        Assert.True(strict.Judge(Encoding.ASCII.GetBytes(_issuer.Issue("shop", "web", Audience, TimeSpan.FromHours(1), "web-0")), _keys).IsValid);
    }

    [Theory]
    [InlineData("""{"aud":7}""")]
    [InlineData("""{"exp":"tomorrow"}""")]
    [InlineData("""{"iss":"a","iss":"b"}""")]
    [InlineData("""{"kubernetes.io":[]}""")]
    [InlineData("""{"kubernetes.io":{"pod":{"uid":"no name"}}}""")]
    [InlineData("""{"kubernetes.io":{"pod":{"name":"a"},"pod":{"name":"b"}}}""")]
    [InlineData("""{"sub":"\ud800"}""")]
    [InlineData("""{"aud":["\ud800"]}""")]
    [InlineData("""[]""")]
    [InlineData("""{"a":""")]
    public void Refuses_signed_claims_of_the_wrong_form(string claims) => AssertFault(TokenFault.Malformed, Judge(_issuer.Sign(Encoding.UTF8.GetBytes(claims))));

    [Fact]
    public void Says_that_keys_are_missing_only_for_a_token_worth_checking()
    {
        AssertFault(TokenFault.KeysUnavailable, _validator.Judge(Encoding.ASCII.GetBytes(Good()), null));
        AssertFault(TokenFault.Malformed, _validator.Judge("junk"u8, null));
    }

    [Fact]
    public void Never_repeats_the_token()
    {
        var token = Good();
        var signature = token.Split('.')[2];
        using var stranger = TokenIssuer.Create(IssuerName, TokenIssuerKey.P256, _time);
        var foreign = stranger.Issue("shop", "web", Audience, TimeSpan.FromHours(1));
        foreach (var (text, secret) in new[] { (token, signature), (foreign, foreign.Split('.')[2]), (token + "x", signature), (token[..^3], signature[..^3]) })
        {
            var verdict = Judge(text);
            Assert.DoesNotContain(secret, verdict.ToString(), StringComparison.Ordinal);
            Assert.DoesNotContain(secret, verdict.Cause + verdict.Sentence, StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Cleans_what_it_quotes_for_the_log()
    {
        var verdict = Judge(_issuer.Sign(Claims(c => c["iss"] = "a\r\nFAKE LOG LINE" + new string('x', 1000))));
        AssertFault(TokenFault.WrongIssuer, verdict);
        Assert.DoesNotContain('\n', verdict.Cause);
        Assert.True(verdict.Cause.Length <= 300);
    }

    [Fact]
    public void Survives_any_bytes()
    {
        var seed = Encoding.ASCII.GetBytes(Good());
        var random = new Random(20260101);
        Fuzz(default);
        for (var i = 0; i < 20_000; i++)
        {
            byte[] input;
            if (i % 4 == 0)
            {
                input = new byte[random.Next(0, 600)];
                random.NextBytes(input);
            }
            else
            {
                input = [.. seed];
                for (var n = random.Next(1, 4); n > 0; n--) input[random.Next(input.Length)] = (byte)random.Next(256);
                if (i % 4 == 2) input = input[..random.Next(input.Length)];
            }

            Fuzz(input);
        }
    }

    // Whatever is not byte for byte the good token is refused. (The last signature character may differ in bits that decode to nothing.)
    private void Fuzz(ReadOnlySpan<byte> input)
    {
        var verdict = _validator.Judge(input, _keys);
        if (verdict.IsValid) Assert.True(CompactToken.HasShape(input, out _, out var dot) && input[..dot].SequenceEqual(Encoding.ASCII.GetBytes(Good()).AsSpan(0, dot)));
    }

    [Fact]
    public void Survives_any_header_and_claims()
    {
        var random = new Random(7);
        var claims = Claims();
        var header = Encoding.UTF8.GetBytes($$"""{"alg":"ES256","kid":"{{_issuer.KeyId}}"}""");
        for (var i = 0; i < 2_000; i++)
        {
            var changed = (byte[])[.. claims];
            changed[random.Next(changed.Length)] = (byte)random.Next(256);
            Judge(_issuer.Sign(changed.AsSpan(0, random.Next(changed.Length + 1))));
            var changedHeader = (byte[])[.. header];
            changedHeader[random.Next(header.Length)] = (byte)random.Next(256);
            Assert.NotNull(_validator.Judge(Encoding.ASCII.GetBytes($"{Base64Url.EncodeToString(changedHeader)}.{Base64Url.EncodeToString(claims)}.AAAA"), _keys));
        }
    }

    [Fact]
    public async Task Verifies_on_many_threads_at_once()
    {
        var tokens = Enumerable.Range(0, 64).Select(i => (i % 2 == 0 ? _issuer : RsaIssuer).Issue("shop", $"web-{i}", Audience, TimeSpan.FromHours(1))).ToArray();
        await Parallel.ForAsync(0, 2000, TestContext.Current.CancellationToken, (i, _) =>
        {
            var verdict = Judge(tokens[i % 64]);
            Assert.Equal($"web-{i % 64}", verdict.Account?.Name);
            return ValueTask.CompletedTask;
        });
    }

    [Fact]
    public void Has_one_sentence_one_label_and_a_code_for_every_fault()
    {
        var faults = Enum.GetValues<TokenFault>();
        Assert.Equal(faults.Length, faults.Select(TokenFaultTable.Sentence).Distinct().Count());
        Assert.Equal(faults.Length, faults.Select(TokenFaultTable.Label).Distinct().Count());
        Assert.All(faults.Except([TokenFault.None]), f => Assert.NotEqual(StatusCode.OK, TokenFaultTable.GrpcCode(f)));
    }

    private string Good() => _goodToken ??= _issuer.Issue("shop", "web", Audience, TimeSpan.FromHours(1));

    private string? _goodToken;

    private TokenVerdict Judge(string token) => _validator.Judge(Encoding.UTF8.GetBytes(token), _keys);

    private JwksTokenValidator Validator(TokenExpectations expected) =>
        new(new TokenKeyStore(new JwksFile("/nonexistent/jwks.json"), _time, NullLogger.Instance), expected, _time);

    private byte[] Claims(Action<JsonObject>? change = null)
    {
        var now = _time.GetUtcNow().ToUnixTimeSeconds();
        var claims = new JsonObject
        {
            ["aud"] = new JsonArray(Audience),
            ["exp"] = now + 3600,
            ["nbf"] = now,
            ["iss"] = IssuerName,
            ["sub"] = "system:serviceaccount:shop:web",
            ["kubernetes.io"] = new JsonObject { ["namespace"] = "shop", ["serviceaccount"] = new JsonObject { ["name"] = "web", ["uid"] = "1f2e" } },
        };
        change?.Invoke(claims);
        return Encoding.UTF8.GetBytes(claims.ToJsonString());
    }

    internal static TokenKeySet Keys(params ReadOnlySpan<TokenIssuer> issuers)
    {
        Assert.True(TokenKeySet.TryParse(TokenIssuer.ToJwks(issuers), out var keys, out var fault), fault);
        return keys;
    }

    private static void AssertFault(TokenFault expected, TokenVerdict verdict)
    {
        Assert.Equal(expected, verdict.Fault);
        Assert.Null(verdict.Account);
    }
}
