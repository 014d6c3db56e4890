namespace Mesh.Proxy.Balance;

/// <summary>How many retries a service may see. See <see cref="RetryBudget"/>.</summary>
/// <param name="Ratio">Retries per request, at least 0.</param>
/// <param name="MinPerSecond">Retries a second that are allowed however few requests there are.</param>
/// <param name="Ttl">For how long a request counts, in milliseconds, at least 10.</param>
internal sealed record RetryBudgetParameters(double Ratio, int MinPerSecond, long Ttl)
{
    /// <summary>Linkerd's: a fifth, 10 a second at least, over 10 s.</summary>
    public static RetryBudgetParameters Default { get; } = new(0.2, 10, 10_000);
}

/// <summary>
/// Keeps retries from multiplying the load of a service that is failing: within <c>Ttl</c> there are no more of them than
/// <c>Ratio * requests + MinPerSecond * Ttl</c>. Counted in ten slices of the time, so that no timer runs for it, and exact to one. Milliseconds of the loop.
/// </summary>
internal sealed class RetryBudget(RetryBudgetParameters parameters)
{
    private const int Slices = 10;

    // Thousandths of a retry: sums of whole numbers come out the same whatever their order.
    private const long Whole = 1000;

    private readonly long _deposit = (long)Math.Round(parameters.Ratio * Whole);
    private readonly long _reserve = parameters.MinPerSecond * parameters.Ttl * Whole / 1000;
    private readonly long _slice = Math.Max(1, parameters.Ttl / Slices);
    private readonly long[] _balances = new long[Slices];
    private long _newest = -1;
    private long _sum;

    /// <summary>Whole retries that would be allowed now.</summary>
    public long Available(long now)
    {
        Turn(now);
        return Math.Max(0, (_reserve + _sum) / Whole);
    }

    /// <summary>A request, not a retry, is sent.</summary>
    public void Request(long now) => Add(now, _deposit);

    /// <summary>True: one retry may be sent, and is counted.</summary>
    public bool TryRetry(long now)
    {
        if (Available(now) < 1) return false;
        Add(now, -Whole);
        return true;
    }

    private void Add(long now, long amount)
    {
        Turn(now);
        _balances[(int)(_newest % Slices)] += amount;
        _sum += amount;
    }

    /// <summary>Forgets the slices that are over.</summary>
    private void Turn(long now)
    {
        var slice = now / _slice;
        if (slice <= _newest) return;
        var stale = Math.Min(Slices, slice - _newest);
        for (var i = 0; i < stale; i++)
        {
            ref var balance = ref _balances[(int)((slice - i) % Slices)];
            _sum -= balance;
            balance = 0;
        }

        _newest = slice;
    }
}
