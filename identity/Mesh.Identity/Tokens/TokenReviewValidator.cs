using System.Text;
using Mesh.Kubernetes;
using Mesh.Kubernetes.Models;
using Microsoft.Extensions.Logging;

namespace Mesh.Identity.Tokens;

/// <summary>
/// Judges tokens by asking the API server (TokenReview). Slower than <see cref="JwksTokenValidator"/> and only as available as the API server,
/// but a token of a deleted pod or account is refused at once.
/// The audience is always asked for and always looked for in the answer: a review without audience would accept a token meant for the API server itself.
/// </summary>
public sealed partial class TokenReviewValidator : ITokenValidator, IDisposable
{
    private const string PodName = "authentication.kubernetes.io/pod-name", PodUid = "authentication.kubernetes.io/pod-uid", NodeName = "authentication.kubernetes.io/node-name";
    // A namespace's accounts are in both groups; a user of another authenticator that merely has the name of one is not.
    private const string AccountsGroup = "system:serviceaccounts";
    private static readonly TimeSpan ProbeInterval = TimeSpan.FromSeconds(60);
    private static readonly TimeSpan FirstRetry = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan LastRetry = TimeSpan.FromSeconds(30);
    private static readonly V1SelfSubjectAccessReview MayWeReview = new()
    {
        Spec = new() { ResourceAttributes = new() { Verb = "create", Group = "authentication.k8s.io", Resource = "tokenreviews" } },
    };

    private readonly KubernetesClient _client;
    private readonly string _audience;
    private readonly TimeProvider _time;
    private readonly ILogger _log;
    private readonly SemaphoreSlim _slots = new(MaxConcurrent);
    private int _inside;
    private volatile string? _notReadyReason = "The API server has not been asked yet whether it reviews tokens for this service.";

    /// <summary>Most reviews under way at once: what a mass restart may ask of the API server.</summary>
    internal const int MaxConcurrent = 64;

    /// <summary>Most callers waiting for their turn; further ones are refused at once and come again.</summary>
    internal const int MaxWaiting = 1024;

    /// <param name="client">Disposed with this validator. Its own timeout bounds each review.</param>
    /// <param name="audience">Must be among the token's audiences.</param>
    /// <param name="time">The clock of waiting and probing.</param>
    /// <param name="log">Changes between able and unable.</param>
    public TokenReviewValidator(KubernetesClient client, string audience, TimeProvider time, ILogger log)
    {
        ArgumentException.ThrowIfNullOrWhiteSpace(audience);
        (_client, _audience, _time, _log) = (client, audience, time, log);
    }

    /// <summary>Whether the token must be bound to a pod, as projected tokens are.</summary>
    public bool RequirePod { get; init; }

    /// <summary>Longest wait for a turn.</summary>
    public TimeSpan MaxWait { get; init; } = TimeSpan.FromSeconds(5);

    public string? NotReadyReason => _notReadyReason;

    public async ValueTask<TokenVerdict> ValidateAsync(ReadOnlyMemory<byte> token, CancellationToken ct)
    {
        token = token.TrimEnd("\r\n "u8);
        if (token.IsEmpty) return TokenVerdict.Refuse(TokenFault.Missing, "");
        if (token.Length > TokenLimits.MaxTokenBytes) return TokenVerdict.Refuse(TokenFault.TooLarge, $"{token.Length} bytes");
        // Junk costs the API server nothing.
        if (!CompactToken.HasShape(token.Span, out _, out _)) return TokenVerdict.Refuse(TokenFault.Malformed, "");

        if (Interlocked.Increment(ref _inside) > MaxConcurrent + MaxWaiting)
        {
            Interlocked.Decrement(ref _inside);
            return TokenVerdict.Refuse(TokenFault.Overloaded, $"{MaxWaiting} tokens are waiting already");
        }

        try
        {
            if (!await TryEnterAsync(ct)) return TokenVerdict.Refuse(TokenFault.Overloaded, $"no turn within {MaxWait.TotalSeconds:0.#} s");
            try
            {
                return await ReviewAsync(Encoding.ASCII.GetString(token.Span), ct);
            }
            finally
            {
                _slots.Release();
            }
        }
        finally
        {
            Interlocked.Decrement(ref _inside);
        }
    }

    /// <summary>Asks, at start and from time to time, whether we may create TokenReviews at all, so that readiness names a missing permission before a workload does.</summary>
    public async Task RunAsync(CancellationToken ct)
    {
        var failures = 0;
        try
        {
            while (true)
            {
                failures = await ProbeAsync(ct) ? 0 : failures + 1;
                var ceiling = failures == 0 ? ProbeInterval : TimeSpan.FromTicks(Math.Min(LastRetry.Ticks, FirstRetry.Ticks << Math.Min(failures - 1, 10)));
                await Task.Delay(ceiling * (0.8 + 0.2 * Random.Shared.NextDouble()), _time, ct);
            }
        }
        catch (OperationCanceledException) when (ct.IsCancellationRequested)
        {
            // Stopped.
        }
    }

    public void Dispose()
    {
        _client.Dispose();
        _slots.Dispose();
    }

    private async Task<bool> TryEnterAsync(CancellationToken ct)
    {
        if (_slots.Wait(0, CancellationToken.None)) return true;
        using var timeout = new CancellationTokenSource(MaxWait, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, ct);
        try
        {
            await _slots.WaitAsync(either.Token);
            return true;
        }
        catch (OperationCanceledException) when (!ct.IsCancellationRequested)
        {
            return false;
        }
    }

    private async Task<TokenVerdict> ReviewAsync(string token, CancellationToken ct)
    {
        try
        {
            var review = await _client.CreateTokenReviewAsync(new V1TokenReview { Spec = new() { Token = token, Audiences = [_audience] } }, ct);
            return Judge(review.Status, token);
        }
        catch (KubernetesException e)
        {
            return TokenVerdict.Refuse(TokenFault.ReviewUnavailable, Without(token, e.Message));
        }
    }

    private TokenVerdict Judge(V1TokenReviewStatus? status, string token)
    {
        if (status is null) return TokenVerdict.Refuse(TokenFault.ReviewUnavailable, "the API server's answer has no status");
        if (!status.Authenticated) return TokenVerdict.Refuse(Reason(status.Error), Without(token, status.Error ?? "not authenticated, no reason given"));
        if (status.Audiences?.Contains(_audience) != true)
            return TokenVerdict.Refuse(TokenFault.WrongAudience, $"asked for audience {_audience}, the API server confirmed \"{string.Join(' ', status.Audiences ?? [])}\"");
        if (status.User is not { } user || !ServiceAccount.TryParseSubject(user.Username, out var account))
            return TokenVerdict.Refuse(TokenFault.NotServiceAccount, $"user {status.User?.Username ?? "(none)"}");
        if (user.Groups?.Contains(AccountsGroup) != true || !user.Groups.Contains($"{AccountsGroup}:{account.Namespace}"))
            return TokenVerdict.Refuse(TokenFault.NotServiceAccount, $"user {user.Username} is not in the groups of ServiceAccounts");
        account = account.With(user.Uid, Extra(user, PodName), Extra(user, PodUid), Extra(user, NodeName));
        return RequirePod && account.PodUid is null
            ? TokenVerdict.Refuse(TokenFault.NotBoundToPod, account.Subject)
            : TokenVerdict.Accept(account, expiresAt: null);
    }

    // The API server says why only in words; they decide nothing but which sentence the caller reads.
    private static TokenFault Reason(string? error) => error switch
    {
        null => TokenFault.Rejected,
        _ when error.Contains("audience", StringComparison.OrdinalIgnoreCase) => TokenFault.WrongAudience,
        _ when error.Contains("expired", StringComparison.OrdinalIgnoreCase) => TokenFault.Expired,
        _ when error.Contains("not valid yet", StringComparison.OrdinalIgnoreCase) => TokenFault.NotYetValid,
        _ => TokenFault.Rejected,
    };

    private static string? Extra(V1UserInfo user, string key) => user.Extra is { } extra && extra.TryGetValue(key, out var values) && values is [var value, ..] ? value : null;

    private static string Without(string token, string text) => text.Replace(token, "(the token)", StringComparison.Ordinal);

    private async Task<bool> ProbeAsync(CancellationToken ct)
    {
        string? reason;
        try
        {
            var answer = await _client.CreateSelfSubjectAccessReviewAsync(MayWeReview, ct);
            reason = answer.Status?.Allowed == true ? null : "this account may not create tokenreviews.authentication.k8s.io: bind it to the ClusterRole system:auth-delegator";
        }
        catch (KubernetesException e)
        {
            reason = e.Message;
        }

        var before = _notReadyReason;
        _notReadyReason = reason is null ? null : $"Tokens cannot be reviewed by {_client.Description}: {reason}.";
        if (before != _notReadyReason)
        {
            if (reason is null) Log.CanReview(_log, _client.Description);
            else Log.CannotReview(_log, _client.Description, reason);
        }

        return reason is null;
    }

    private static partial class Log
    {
        [LoggerMessage(1510, LogLevel.Information, "Tokens are reviewed by {ApiServer}", EventName = "TokenReviewReady")]
        public static partial void CanReview(ILogger log, string apiServer);

        [LoggerMessage(1511, LogLevel.Error, "Tokens cannot be reviewed by {ApiServer}: {Reason}", EventName = "TokenReviewUnavailable")]
        public static partial void CannotReview(ILogger log, string apiServer, string reason);
    }
}
