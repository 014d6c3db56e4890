namespace Mesh.Proxy.Balance;

internal enum AttemptOutcome
{
    /// <summary>Nothing can be said of the endpoint: the client left.</summary>
    Unknown = 0,

    Success = 1,

    /// <summary>It could not be reached, did not answer in time, cut the answer short, or answered that it has failed.</summary>
    Failure = 2,
}

/// <summary>One request sent to one endpoint: made by <see cref="P2cBalancer{T}.Pick"/>, and ended exactly once by <see cref="End"/>.</summary>
internal readonly struct Attempt<T>(BalancedEndpoint<T> endpoint, long startedAt, bool isProbe) where T : class
{
    public BalancedEndpoint<T> Endpoint => endpoint;

    public long StartedAt => startedAt;

    /// <summary>It decides whether the endpoint comes back into use.</summary>
    public bool IsProbe => isProbe;

    /// <summary>The head of the response is there, and it says no failure: so long does the endpoint take. The request stays counted until <see cref="End"/>.</summary>
    public void Answered(long now) => endpoint.Observe(now - startedAt, now);

    /// <summary>
    /// The response has ended, or there will be none. A failure's time counts only when it was long: an endpoint that refuses quickly is not a fast one.
    /// </summary>
    public void End(long now, AttemptOutcome outcome) => endpoint.Ended(now, outcome, now - startedAt, isProbe);
}
