using Mesh.Proxy.Discovery;

namespace Mesh.Proxy.Balance;

/// <summary>An endpoint of a <see cref="P2cBalancer{T}"/>, what is known of its load, and what the balancer's owner keeps for it.</summary>
internal sealed class BalancedEndpoint<T> where T : class
{
    private readonly LoadParameters _load;
    private readonly FailureAccrual? _accrual;
    private PeakEwma _latency;

    internal BalancedEndpoint(Endpoint endpoint, T value, LoadParameters load, FailureAccrual? accrual, long now) =>
        (Endpoint, Value, _load, _accrual, _latency) = (endpoint, value, load, accrual, new PeakEwma(load.DefaultLatency, now));

    /// <summary>As discovery describes it now; weight, labels and hints may change while the endpoint stays.</summary>
    public Endpoint Endpoint { get; internal set; }

    /// <summary>The owner's: the connections to it.</summary>
    public T Value { get; }

    /// <summary>Requests that have begun and not ended.</summary>
    public int Pending { get; private set; }

    public AccrualState State(long now) => _accrual?.State(now) ?? AccrualState.Closed;

    /// <summary>Estimated latency in milliseconds.</summary>
    public double Latency(long now) => _latency.Read(now, _load.Decay);

    /// <summary>
    /// <c>latency * (1 + pending * mean weight / weight)</c>; where all weights are equal, <c>latency * (pending + 1)</c> as Linkerd has it. Weight
    /// scales what is under way and not the latency, so that an idle service is shared by the weights and not given to the heaviest alone.
    /// </summary>
    internal double Cost(long now, double meanWeight) => Latency(now) * (1 + Pending * meanWeight / Weight);

    internal uint Weight => Math.Max(1, Endpoint.Weight);

    internal bool Admits(long now) => _accrual?.Admits(now) ?? true;

    /// <summary>True when the request is a probe.</summary>
    internal bool Begin()
    {
        Pending++;
        return _accrual?.Began() ?? false;
    }

    internal void Observe(double latency, long now) => _latency.Observe(latency, now, _load.Decay);

    internal void Ended(long now, AttemptOutcome outcome, double elapsed, bool isProbe)
    {
        Pending--;
        if (outcome == AttemptOutcome.Failure && elapsed > Latency(now)) Observe(elapsed, now);
        _accrual?.Ended(now, outcome, isProbe);
    }
}
