namespace Mesh.Spiffe.Renewal;

/// <summary>
/// When to renew and when to try again, as pure functions. Every wait is spread by a sample, so that ten thousand holders that
/// were certified in the same second, or lost the authority in the same second, do not return in the same second.
/// </summary>
public static class RenewalSchedule
{
    /// <summary>Renewals fall between this and <see cref="LatestFraction"/> of what is left of the certificate's life.</summary>
    public const double EarliestFraction = 0.60;

    public const double LatestFraction = 0.70;

    // A retry never waits for more than this part of what is left, so that several attempts fit in before expiry.
    private const int AttemptsBeforeExpiry = 8;

    // Below this a retry would be a busy loop.
    private static readonly TimeSpan Floor = TimeSpan.FromMilliseconds(100);

    /// <summary>The wait between receiving a certificate and renewing it.</summary>
    /// <param name="remaining">What is left of its life. The life before receipt does not count: it is the authority's allowance for clock skew.</param>
    /// <param name="sample">Uniform in [0, 1).</param>
    /// <param name="limits">The bounds. The lower one gives way where the certificate would not live to see it.</param>
    public static TimeSpan UntilRenewal(TimeSpan remaining, double sample, RenewalLimits limits)
    {
        if (remaining <= TimeSpan.Zero) return TimeSpan.Zero;
        double fraction = EarliestFraction + (LatestFraction - EarliestFraction) * sample;
        TimeSpan wait = remaining * fraction;
        TimeSpan least = Min(limits.Minimum, remaining * LatestFraction);
        if (wait < least) wait = least;
        // The upper bound is spread as well; a plain cap would gather everybody on it.
        return Min(wait, limits.Maximum * (fraction / LatestFraction));
    }

    /// <summary>The wait after a failed attempt: exponential, capped, with full jitter.</summary>
    /// <param name="failures">Failures in a row, at least 1.</param>
    /// <param name="untilExpiry">What is left of the certificate in hand; zero or less when it has expired, null when there is none.</param>
    /// <param name="sample">Uniform in [0, 1).</param>
    /// <param name="limits">The bounds.</param>
    public static TimeSpan UntilRetry(int failures, TimeSpan? untilExpiry, double sample, RenewalLimits limits)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(failures, 1);
        TimeSpan cap = limits.UrgentRetryCap;
        if (untilExpiry is { } left && left > TimeSpan.Zero)
        {
            cap = Min(limits.RetryCap, left / AttemptsBeforeExpiry);
        }

        TimeSpan ceiling = Min(cap, limits.FirstRetry * Math.Pow(2, Math.Min(failures - 1, 16)));
        return ceiling <= Floor ? Floor : Floor + (ceiling - Floor) * sample;
    }

    /// <summary>The wait after being asked to renew within <paramref name="within"/>.</summary>
    public static TimeSpan UntilAsked(TimeSpan within, double sample, RenewalLimits limits) =>
        within <= TimeSpan.Zero ? TimeSpan.Zero : Min(within, limits.SpreadCap) * sample;

    private static TimeSpan Min(TimeSpan a, TimeSpan b) => a < b ? a : b;
}
