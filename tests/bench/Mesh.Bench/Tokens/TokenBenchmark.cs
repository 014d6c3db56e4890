using System.Diagnostics;
using System.Security.Cryptography;
using System.Text;
using Mesh.Identity.Tokens;
using Microsoft.Extensions.Logging.Abstractions;
using Microsoft.IdentityModel.JsonWebTokens;
using Microsoft.IdentityModel.Tokens;

namespace Mesh.Bench.Tokens;

/// <summary>
/// CPU time of judging tokens against a JWKS: ours, Microsoft.IdentityModel.JsonWebTokens as the peer, and the framework's check of one such
/// signature as the floor of both. 500 different tokens in turn.
/// </summary>
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
            using var key = kind == TokenIssuerKey.Rsa ? RSA.Create(2048) : (AsymmetricAlgorithm)ECDsa.Create(ECCurve.NamedCurves.nistP256);
            var floor = Floor(key, Encoding.ASCII.GetBytes(tokens[0][..tokens[0].LastIndexOf('.')]));
            // Alternating, so that what else the machine does meets both.
            var (ourRounds, theirRounds, floorRounds) = (new List<double>(), new List<double>(), new List<double>());
            for (var round = 0; round <= Rounds; round++)
            {
                var (mine, other, least) = (Measure(ours), Measure(theirs), Measure(floor));
                if (round == 0) continue;
                ourRounds.Add(mine);
                theirRounds.Add(other);
                floorRounds.Add(least);
            }

            report.Figure($"{name}, ours", "CPU µs/token", ourRounds);
            report.Figure($"{name}, Microsoft.IdentityModel", "CPU µs/token", theirRounds);
            report.Figure($"{name}, signature check alone", "CPU µs/token", floorRounds);
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

    private static Action<int> Floor(AsymmetricAlgorithm key, byte[] signingInput)
    {
        var signature = key is RSA rsa
            ? rsa.SignData(signingInput, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1)
            : ((ECDsa)key).SignData(signingInput, HashAlgorithmName.SHA256);
        return _ =>
        {
            var valid = key is RSA verifier
                ? verifier.VerifyData(signingInput, signature, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1)
                : ((ECDsa)key).VerifyData(signingInput, signature, HashAlgorithmName.SHA256);
            if (!valid) throw new InvalidOperationException("a good signature was refused");
        };
    }

    // CPU time of the whole process, so that a busy machine does not count as work of ours, and collecting garbage does.
    // Not the sum over /proc/self/task: a pool thread that ends in between takes its time out of that sum, and a round came out negative.
    private static double Measure(Action<int> judge)
    {
        var start = Stopwatch.GetTimestamp();
        var before = Environment.CpuUsage.TotalTime;
        var count = 0;
        while (Stopwatch.GetElapsedTime(start) < RoundTime)
        {
            for (var i = 0; i < 50; i++) judge(count++);
        }

        return (Environment.CpuUsage.TotalTime - before).TotalMicroseconds / count;
    }
}
