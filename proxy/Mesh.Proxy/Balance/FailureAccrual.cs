namespace Mesh.Proxy.Balance;

/// <summary>When an endpoint counts as failing. See <see cref="FailureAccrual"/>.</summary>
/// <param name="MaxFailures">So many failures in a row, at least 1, make it unavailable.</param>
/// <param name="Backoff">For how long, after each failed probe longer.</param>
internal sealed record FailureAccrualParameters(int MaxFailures, ExponentialBackoff Backoff)
{
    /// <summary>Linkerd's, where it is asked for: 7 in a row, 1 s to 60 s.</summary>
    public static FailureAccrualParameters Default { get; } = new(7, ExponentialBackoff.Default);
}

internal enum AccrualState
{
    /// <summary>It takes requests.</summary>
    Closed = 0,

    /// <summary>It takes none.</summary>
    Open = 1,

    /// <summary>It takes the one request that will tell.</summary>
    Ready = 2,

    /// <summary>That request is under way, and it takes no other.</summary>
    Probing = 3,
}

/// <summary>
/// Takes an endpoint that keeps failing out of use, and back when a single request after a while has succeeded. What requests that began before it was
/// taken out still bring is not counted: only the probe speaks. Milliseconds of the loop.
/// </summary>
internal sealed class FailureAccrual(FailureAccrualParameters parameters, Random random)
{
    private int _failures;
    private int _trips;
    private long _until;
    private bool _probing;

    public AccrualState State(long now) =>
        _trips == 0 ? AccrualState.Closed : _probing ? AccrualState.Probing : now >= _until ? AccrualState.Ready : AccrualState.Open;

    public bool Admits(long now) => _trips == 0 || (!_probing && now >= _until);

    /// <summary>A request begins, which <see cref="Admits"/> has let in. True: it is the probe, and <see cref="Ended"/> must be told so.</summary>
    public bool Began() => _trips > 0 && (_probing = true);

    public void Ended(long now, AttemptOutcome outcome, bool isProbe)
    {
        if (isProbe) EndProbe(now, outcome);
        else if (_trips > 0 || outcome == AttemptOutcome.Unknown) return;
        else if (outcome == AttemptOutcome.Success) _failures = 0;
        else if (++_failures >= parameters.MaxFailures) Trip(now);
    }

    private void EndProbe(long now, AttemptOutcome outcome)
    {
        _probing = false;
        if (outcome == AttemptOutcome.Failure) Trip(now);
        // A probe whose client has left tells nothing, and the next request is the probe.
        if (outcome != AttemptOutcome.Success) return;
        _failures = 0;
        _trips = 0;
    }

    private void Trip(long now) => _until = now + parameters.Backoff.After(++_trips, random);
}
