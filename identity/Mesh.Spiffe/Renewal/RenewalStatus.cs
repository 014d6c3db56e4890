namespace Mesh.Spiffe.Renewal;

/// <summary>Where renewal stands: an immutable snapshot for readiness, logs and metrics.</summary>
public sealed record RenewalStatus
{
    internal static RenewalStatus Initial { get; } = new();

    /// <summary>Certificates obtained since the start.</summary>
    public long Renewals { get; init; }

    /// <summary>Attempts failed since the start, by reason, are in <see cref="SvidRenewal.FailuresOf"/>; this counts those in a row now.</summary>
    public int FailuresInRow { get; init; }

    /// <summary>When the newest certificate was obtained; null before the first.</summary>
    public DateTimeOffset? RenewedAt { get; init; }

    /// <summary>Until when the certificate in hand is good; null before the first.</summary>
    public DateTimeOffset? ExpiresAt { get; init; }

    /// <summary>When the next attempt is due.</summary>
    public DateTimeOffset? NextAttemptAt { get; init; }

    /// <summary>The result of the newest attempt; <see cref="RenewalFault.None"/> when it succeeded or none was made yet.</summary>
    public RenewalFault LastFault { get; init; }

    /// <summary>What was wrong in the newest attempt, for an operator; empty when it succeeded.</summary>
    public string LastDetail { get; init; } = "";

    /// <summary>Whether a certificate valid at <paramref name="now"/> is in hand. This is what readiness follows.</summary>
    public bool IsValidAt(DateTimeOffset now) => ExpiresAt > now;
}

/// <summary>What just happened to the certificate.</summary>
public enum RenewalEvent
{
    /// <summary>A new certificate is in force.</summary>
    Renewed = 0,

    /// <summary>An attempt failed; the certificate in hand, if any, is kept.</summary>
    Failed = 1,

    /// <summary>The certificate in hand has expired and no attempt has replaced it.</summary>
    Expired = 2,
}
