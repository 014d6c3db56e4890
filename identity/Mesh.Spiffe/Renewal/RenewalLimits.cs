namespace Mesh.Spiffe.Renewal;

/// <summary>The bounds within which renewals and retries are scheduled. Every member has a default that suits certificates of 60 seconds to 24 hours.</summary>
public sealed record RenewalLimits
{
    public static RenewalLimits Default { get; } = new();

    /// <summary>Renewals come at least this far apart, unless the certificate's life is too short for that. Linkerd's MIN_REFRESH.</summary>
    public TimeSpan Minimum { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>No certificate is kept longer than this without a renewal. Linkerd's MAX_REFRESH.</summary>
    public TimeSpan Maximum { get; init; } = TimeSpan.FromHours(24);

    /// <summary>Upper bound of the first wait after a failure; it doubles with every further failure.</summary>
    public TimeSpan FirstRetry { get; init; } = TimeSpan.FromMilliseconds(500);

    /// <summary>Longest wait between attempts while the certificate in hand is still good for long.</summary>
    public TimeSpan RetryCap { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Longest wait between attempts while no valid certificate is in hand: traffic stands still until one succeeds.</summary>
    public TimeSpan UrgentRetryCap { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>How long one exchange with the authority may take.</summary>
    public TimeSpan ExchangeTimeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <summary>The longest spread that <see cref="SvidRenewal.RenewSoon"/> accepts, whatever its caller was told by a peer.</summary>
    public TimeSpan SpreadCap { get; init; } = TimeSpan.FromHours(1);

    /// <summary>How often the wall clock is looked at while nothing is due: timers sleep while a machine does, and clocks step.</summary>
    public TimeSpan ClockCheck { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>How long a replaced SVID's key stays usable for handshakes that began with it.</summary>
    public TimeSpan Retirement { get; init; } = TimeSpan.FromMinutes(2);
}
