using System.Text;
using Mesh.Identity.Tokens;
using Mesh.Testing;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;

namespace Mesh.Identity.Tests.Tokens;

/// <summary>Our reading of tokens against that of Microsoft.IdentityModel.JsonWebTokens: what we accept, it accepts; where only form, signature, issuer, audience and time matter, both agree.</summary>
public sealed class SecondOpinionTests : IDisposable
{
    private const string IssuerName = "https://issuer.example", Audience = "identity.l5d.io";
    private readonly ManualTime _time = new();
    private readonly TokenIssuer _issuer;

    public SecondOpinionTests() => _issuer = TokenIssuer.Create(IssuerName, TokenIssuerKey.P256, _time);

    public void Dispose() => _issuer.Dispose();

    [Fact]
    public async Task Agrees_about_good_and_bad_tokens()
    {
        using var stranger = TokenIssuer.Create(IssuerName, TokenIssuerKey.P256, _time);
        using var elsewhere = TokenIssuer.Create("https://elsewhere.example", TokenIssuerKey.P256, _time);
        var hour = TimeSpan.FromHours(1);
        var good = _issuer.Issue("shop", "web", Audience, hour);
        string[] tokens =
        [
            good, _issuer.Issue("shop", "web.v2", Audience, hour, "web-0"), _issuer.Issue("shop", "web", "vault", hour), _issuer.Issue("shop", "web", Audience, -hour),
            stranger.Issue("shop", "web", Audience, hour), elsewhere.Issue("shop", "web", Audience, hour), good + "A", good[..^4], good[1..], $"{good}.x", good.Replace('.', '-'), "",
            _issuer.Sign("{}"u8), _issuer.Sign("[]"u8), _issuer.Sign("{"u8), good.Split('.')[0] + "." + good.Split('.')[1] + ".",
        ];
        foreach (var token in tokens) Assert.Equal((token, await TheirsAsync(token)), (token, Ours(token)));
    }

    [Fact]
    public async Task Accepts_no_changed_token_that_the_second_opinion_refuses()
    {
        var good = _issuer.Issue("shop", "web", Audience, TimeSpan.FromHours(1), "web-0");
        var random = new Random(3);
        var accepted = 0;
        for (var i = 0; i < 1500; i++)
        {
            var changed = good.ToCharArray();
            changed[random.Next(changed.Length)] = "ABCabc019-_.="[random.Next(13)];
            var token = new string(changed);
            if (!Ours(token)) continue;
            accepted++;
            Assert.True(await TheirsAsync(token), token);
        }

        Assert.True(accepted < 150, $"{accepted} of 1500 changed tokens were accepted; only changes to the same letter, or to bits that carry nothing, may be");
    }

    private bool Ours(string token)
    {
        var validator = new JwksTokenValidator(new TokenKeyStore(new JwksFile("/nonexistent"), _time, NullLogger.Instance), new TokenExpectations(IssuerName, Audience), _time);
        return validator.Judge(Encoding.UTF8.GetBytes(token), JwksTokenValidatorTests.Keys(_issuer)).IsValid;
    }

    private async Task<bool> TheirsAsync(string token)
    {
        var now = _time.GetUtcNow().UtcDateTime;
        var parameters = new TokenValidationParameters
        {
            ValidIssuer = IssuerName,
            ValidAudience = Audience,
            IssuerSigningKeys = new JsonWebKeySet(Encoding.UTF8.GetString(TokenIssuer.ToJwks(_issuer))).GetSigningKeys(),
            ValidAlgorithms = ["ES256"],
            LifetimeValidator = (from, to, _, _) => to is { } end && now < end && (from is not { } start || now >= start),
        };
        return (await new JsonWebTokenHandler().ValidateTokenAsync(token, parameters)).IsValid;
    }
}
