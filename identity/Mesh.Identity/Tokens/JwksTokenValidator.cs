using System.Buffers;

namespace Mesh.Identity.Tokens;

/// <summary>
/// Judges ServiceAccount tokens by signature and claims, without asking anyone: as fast as one signature check, and as available as this process.
/// What it cannot see is a pod or account that was deleted before its token ends; <see cref="TokenReviewValidator"/> can.
/// </summary>
public sealed class JwksTokenValidator : ITokenValidator
{
    private const int StackBytes = 2048;
    // How long a caller with an unknown key id waits for the key server before being refused.
    private static readonly TimeSpan DemandTimeout = TimeSpan.FromSeconds(3);
    private readonly TokenKeyStore _keys;
    private readonly TokenExpectations _expected;
    private readonly TimeProvider _time;

    public JwksTokenValidator(TokenKeyStore keys, TokenExpectations expected, TimeProvider time) => (_keys, _expected, _time) = (keys, expected, time);

    public string? NotReadyReason => _keys.NotReadyReason;

    public Task RunAsync(CancellationToken ct) => _keys.RunAsync(ct);

    public ValueTask<TokenVerdict> ValidateAsync(ReadOnlyMemory<byte> token, CancellationToken ct)
    {
        var keys = _keys.Current;
        var verdict = Judge(token.Span, keys);
        return verdict.Fault == TokenFault.UnknownKey && _keys.Demand() is { } reading
            ? JudgeAfterAsync(reading, token, keys, verdict, ct)
            : ValueTask.FromResult(verdict);
    }

    private async ValueTask<TokenVerdict> JudgeAfterAsync(Task reading, ReadOnlyMemory<byte> token, TokenKeySet? judgedWith, TokenVerdict verdict, CancellationToken ct)
    {
        try
        {
            await reading.WaitAsync(DemandTimeout, _time, ct);
        }
        catch (TimeoutException)
        {
            return verdict;
        }

        return ReferenceEquals(_keys.Current, judgedWith) ? verdict : Judge(token.Span, _keys.Current);
    }

    internal TokenVerdict Judge(ReadOnlySpan<byte> token, TokenKeySet? keys)
    {
        token = token.TrimEnd("\r\n "u8);
        if (token.IsEmpty) return TokenVerdict.Refuse(TokenFault.Missing, "");
        if (token.Length > TokenLimits.MaxTokenBytes) return TokenVerdict.Refuse(TokenFault.TooLarge, $"{token.Length} bytes");

        byte[]? rented = null;
        var buffer = token.Length <= StackBytes ? stackalloc byte[StackBytes] : rented = ArrayPool<byte>.Shared.Rent(token.Length);
        try
        {
            var fault = CompactToken.TryParse(token, buffer, out var parsed);
            if (fault != TokenFault.None) return TokenVerdict.Refuse(fault, "");
            if (keys is null) return TokenVerdict.Refuse(TokenFault.KeysUnavailable, "");
            fault = CheckSignature(parsed, keys);
            if (fault != TokenFault.None) return TokenVerdict.Refuse(fault, $"{parsed.Algorithm}, key id {parsed.KeyId ?? "(none)"}");
            return TokenClaims.TryParse(parsed.Payload, out var claims)
                ? JudgeClaims(claims)
                : TokenVerdict.Refuse(TokenFault.Malformed, "the signature is good, the claims are not readable");
        }
        finally
        {
            if (rented is not null) ArrayPool<byte>.Shared.Return(rented, clearArray: true);
        }
    }

    private static TokenFault CheckSignature(in CompactToken token, TokenKeySet keys)
    {
        var tried = 0;
        var candidates = keys.Find(token.KeyId);
        foreach (var key in candidates)
        {
            if (!key.Fits(token.Algorithm)) continue;
            if (++tried > TokenLimits.MaxKeysTried) break;
            if (key.Verify(token.Algorithm, token.SigningInput, token.Signature)) return TokenFault.None;
        }

        if (tried > 0) return TokenFault.BadSignature;
        return candidates.IsEmpty ? TokenFault.UnknownKey : TokenFault.UnsupportedAlgorithm;
    }

    private TokenVerdict JudgeClaims(in TokenClaims claims)
    {
        if (claims.Issuer != _expected.Issuer) return TokenVerdict.Refuse(TokenFault.WrongIssuer, $"issuer {claims.Issuer ?? "(none)"}, expected {_expected.Issuer}");
        if (claims.Audiences is not { } audiences || !audiences.Contains(_expected.Audience))
            return TokenVerdict.Refuse(TokenFault.WrongAudience, $"audiences {string.Join(' ', claims.Audiences ?? [])}, expected {_expected.Audience}");

        var now = (_time.GetUtcNow() - DateTimeOffset.UnixEpoch).TotalSeconds;
        var skew = _expected.ClockSkew.TotalSeconds;
        if (claims.ExpiresAt is not { } expiry) return TokenVerdict.Refuse(TokenFault.Expired, "no exp claim: the token would never end");
        if (now >= expiry + skew) return TokenVerdict.Refuse(TokenFault.Expired, $"expired {now - expiry:0} s ago");
        if (claims.NotBefore is { } start && now < start - skew) return TokenVerdict.Refuse(TokenFault.NotYetValid, $"valid in {start - now:0} s");

        if (!ServiceAccount.TryParseSubject(claims.Subject, out var account)) return TokenVerdict.Refuse(TokenFault.NotServiceAccount, $"subject {claims.Subject ?? "(none)"}");
        if (!claims.HasKubernetes || claims.Namespace is null || claims.AccountName is null)
            return TokenVerdict.Refuse(TokenFault.NotServiceAccount, $"subject {claims.Subject}, no kubernetes.io claims");
        if (claims.Namespace != account.Namespace || claims.AccountName != account.Name)
            return TokenVerdict.Refuse(TokenFault.NotServiceAccount, $"subject {claims.Subject}, but kubernetes.io claims of {claims.Namespace}/{claims.AccountName}");
        if (_expected.RequirePod && claims.PodUid is null) return TokenVerdict.Refuse(TokenFault.NotBoundToPod, account.Subject);

        return TokenVerdict.Accept(account.With(claims.AccountUid, claims.PodName, claims.PodUid, claims.NodeName), FromNumericDate(expiry));
    }

    // 9999-12-31: a signed but absurd exp must not be an exception.
    private static DateTimeOffset FromNumericDate(double seconds) =>
        seconds >= DateTimeOffset.MaxValue.ToUnixTimeSeconds() ? DateTimeOffset.MaxValue : DateTimeOffset.UnixEpoch.AddSeconds(Math.Max(seconds, 0));
}
