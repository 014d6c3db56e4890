using System.Diagnostics.CodeAnalysis;

namespace Mesh.Trust.Issuing;

/// <summary>What this installation allows an SVID to be. Which names it holds is not policy: those come from the token.</summary>
public sealed record IssuancePolicy
{
    /// <summary>An SVID shorter than this could not be renewed in time by a proxy that retries.</summary>
    public static readonly TimeSpan ShortestLifetime = TimeSpan.FromSeconds(60);

    /// <summary>Longer than this is no longer a short-lived certificate, and nothing here revokes.</summary>
    public static readonly TimeSpan LongestLifetime = TimeSpan.FromDays(90);

    /// <summary>More backdating than this would make certificates valid long before anybody asked.</summary>
    public static readonly TimeSpan LargestClockSkew = TimeSpan.FromHours(1);

    private IssuancePolicy(TimeSpan lifetime, TimeSpan maximumLifetime, TimeSpan clockSkew) =>
        (Lifetime, MaximumLifetime, ClockSkew) = (lifetime, maximumLifetime, clockSkew);

    /// <summary>24 hours, backdated by 20 seconds.</summary>
    public static IssuancePolicy Default { get; } = new(TimeSpan.FromHours(24), TimeSpan.FromHours(24), TimeSpan.FromSeconds(20));

    /// <summary>What a request that names no lifetime gets, counted from now.</summary>
    public TimeSpan Lifetime { get; }

    /// <summary>The most that a request may ask for. An issuer must live at least twice as long.</summary>
    public TimeSpan MaximumLifetime { get; }

    /// <summary>How far notBefore lies in the past, for peers whose clocks are slow.</summary>
    public TimeSpan ClockSkew { get; }

    /// <param name="lifetime">From <see cref="ShortestLifetime"/> to <paramref name="maximumLifetime"/>.</param>
    /// <param name="maximumLifetime">At most <see cref="LongestLifetime"/>; null for the same as <paramref name="lifetime"/>.</param>
    /// <param name="clockSkew">From zero to <see cref="LargestClockSkew"/>.</param>
    /// <param name="fault">Says what is out of range; null on success.</param>
    public static bool TryCreate(
        TimeSpan lifetime,
        TimeSpan? maximumLifetime,
        TimeSpan clockSkew,
        [NotNullWhen(true)] out IssuancePolicy? policy,
        [NotNullWhen(false)] out string? fault)
    {
        var maximum = maximumLifetime ?? lifetime;
        fault = lifetime < ShortestLifetime ? "the lifetime of an SVID must be at least 60 seconds"
            : maximum > LongestLifetime ? "the lifetime of an SVID must be at most 90 days"
            : lifetime > maximum ? "the usual lifetime of an SVID must not exceed the maximum lifetime"
            : clockSkew < TimeSpan.Zero || clockSkew > LargestClockSkew ? "the clock skew allowance must be between 0 and 1 hour"
            : null;
        policy = fault is null ? new IssuancePolicy(lifetime, maximum, clockSkew) : null;
        return fault is null;
    }

    /// <summary>As <see cref="TryCreate"/>, for values that are known to be good.</summary>
    /// <exception cref="ArgumentException">A value is out of range.</exception>
    public static IssuancePolicy Create(TimeSpan lifetime, TimeSpan? maximumLifetime = null, TimeSpan? clockSkew = null) =>
        TryCreate(lifetime, maximumLifetime, clockSkew ?? Default.ClockSkew, out var policy, out var fault) ? policy : throw new ArgumentException(fault);
}
