using System.Diagnostics;
using System.Text;
using Mesh.Identity.Tokens;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;

namespace Mesh.Bench.Tokens;

/// <summary>One thread judging tokens against a JWKS: ours, and Microsoft.IdentityModel.JsonWebTokens as the peer. Every token is another one.</summary>
internal static class TokenBenchmark
{
    private const string Issuer = "https://kubernetes.default.svc.cluster.local", Audience = "identity.l5d.io";
    private const int Tokens = 500, Rounds = 5;
    private static readonly TimeSpan RoundTime = TimeSpan.FromSeconds(1);

    public static async Task<Report> RunAsync(string[] args)
    {
        var report = new Report("tokens");
        foreach (var kind in (TokenIssuerKey[])[TokenIssuerKey.Rsa, TokenIssuerKey.P256])
        {
            var name = kind == TokenIssuerKey.Rsa ? "RS256" : "ES256";
            using var issuer = TokenIssuer.Create(Issuer, kind, TimeProvider.System);
            var tokens = Enumerable.Range(0, Tokens).Select(i => issuer.Issue("shop", $"web-{i}", Audience, TimeSpan.FromHours(1), $"web-{i}-0")).ToArray();
            var ours = await OursAsync(issuer, tokens);
            var theirs = Theirs(issuer, tokens);
            // Alternating, so that what else the machine does meets both.
            var (ourRounds, theirRounds) = (new List<double>(), new List<double>());
            for (var round = 0; round <= Rounds; round++)
            {
                var (mine, other) = (Measure(ours), Measure(theirs));
                if (round == 0) continue;
                ourRounds.Add(mine);
                theirRounds.Add(other);
            }

            report.Figure($"{name}, ours", "µs/token", ourRounds);
            report.Figure($"{name}, Microsoft.IdentityModel", "µs/token", theirRounds);
            report.Ratio($"{name}, ours / Microsoft.IdentityModel", $"{name}, ours", $"{name}, Microsoft.IdentityModel", "1.0");
        }

        return report;
    }

    private static async Task<Action<int>> OursAsync(TokenIssuer issuer, string[] tokens)
    {
        var path = Path.GetTempFileName();
        TokenIssuer.WriteJwks(path, issuer);
        var store = new TokenKeyStore(new JwksFile(path), TimeProvider.System, NullLogger.Instance);
        var validator = new JwksTokenValidator(store, new TokenExpectations(Issuer, Audience), TimeProvider.System);
        using var stop = new CancellationTokenSource();
        var running = validator.RunAsync(stop.Token);
        while (validator.NotReadyReason is not null) await Task.Yield();
        await stop.CancelAsync();
        await running;
        File.Delete(path);
        var bytes = tokens.Select(Encoding.ASCII.GetBytes).ToArray();
        return i =>
        {
            var judging = validator.ValidateAsync(bytes[i % Tokens], CancellationToken.None);
            if (!judging.IsCompletedSuccessfully || !judging.Result.IsValid) throw new InvalidOperationException("a good token was refused");
        };
    }

    private static Action<int> Theirs(TokenIssuer issuer, string[] tokens)
    {
        var handler = new JsonWebTokenHandler();
        var parameters = new TokenValidationParameters
        {
            ValidIssuer = Issuer,
            ValidAudience = Audience,
            IssuerSigningKeys = new JsonWebKeySet(Encoding.UTF8.GetString(TokenIssuer.ToJwks(issuer))).GetSigningKeys(),
            ValidAlgorithms = ["RS256", "ES256"],
        };
        return i =>
        {
            var judging = handler.ValidateTokenAsync(tokens[i % Tokens], parameters);
            if (!judging.IsCompletedSuccessfully || !judging.Result.IsValid) throw new InvalidOperationException("a good token was refused by the peer");
        };
    }

    private static double Measure(Action<int> judge)
    {
        var start = Stopwatch.GetTimestamp();
        var count = 0;
        while (Stopwatch.GetElapsedTime(start) < RoundTime)
        {
            for (var i = 0; i < 50; i++) judge(count++);
        }

        return Stopwatch.GetElapsedTime(start).TotalMicroseconds / count;
    }
}
