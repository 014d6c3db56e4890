using System.Diagnostics.CodeAnalysis;

namespace Mesh.Identity.Tokens;

/// <summary>The judgement on one token: a ServiceAccount, or a fault. Holds nothing of the token that could be replayed.</summary>
public sealed class TokenVerdict
{
    private TokenVerdict(TokenFault fault, ServiceAccount? account, DateTimeOffset? expiresAt, string cause) =>
        (Fault, Account, ExpiresAt, Cause) = (fault, account, expiresAt, cause);

    [MemberNotNullWhen(true, nameof(Account))]
    public bool IsValid => Fault == TokenFault.None;

    public TokenFault Fault { get; }

    /// <summary>Whose token it is; null when refused.</summary>
    public ServiceAccount? Account { get; }

    /// <summary><c>exp</c> of a valid token; null where the API server judged it and did not say.</summary>
    public DateTimeOffset? ExpiresAt { get; }

    /// <summary>More than the caller is told, for the log: expected and found issuer, the key id, what the API server said. Never the token.</summary>
    public string Cause { get; }

    /// <summary>What the caller is told: one fixed sentence per fault.</summary>
    public string Sentence => TokenFaultTable.Sentence(Fault);

    /// <summary>The <c>reason</c> label of metrics and logs, snake_case.</summary>
    public string Label => TokenFaultTable.Label(Fault);

    public override string ToString() => IsValid ? Account.Subject : $"{Label}: {Cause}";

    public static TokenVerdict Accept(ServiceAccount account, DateTimeOffset? expiresAt) => new(TokenFault.None, account, expiresAt, "");

    /// <param name="fault">Not <see cref="TokenFault.None"/>.</param>
    /// <param name="cause">For the log; control characters are replaced and the length is bounded here, because part of it may be a caller's text.</param>
    public static TokenVerdict Refuse(TokenFault fault, string cause)
    {
        ArgumentOutOfRangeException.ThrowIfEqual((int)fault, (int)TokenFault.None);
        return new TokenVerdict(fault, null, null, LogText.Clean(cause));
    }
}
