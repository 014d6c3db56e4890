using System.Collections.Immutable;
using Mesh.Proxy.Balance;
using Mesh.Proxy.Discovery;
using Mesh.Proxy.Settings;

namespace Mesh.Proxy.Routing;

/// <summary>
/// Where requests may go. Two that are equal are the same thing, in whichever route and generation of a policy they stand: one balancer serves them.
/// </summary>
/// <param name="Resource">For metrics and logs.</param>
/// <param name="Authority">What discovery is asked for; null when <paramref name="Endpoint"/> is all there is.</param>
/// <param name="Endpoint">The one endpoint; null when discovery is asked.</param>
/// <param name="Load">How the load of endpoints is estimated.</param>
/// <param name="Accrual">When endpoints are taken out of use; null: never.</param>
internal sealed record Backend(ResourceName Resource, HostPort? Authority, Endpoint? Endpoint, LoadParameters Load, FailureAccrualParameters? Accrual);

/// <param name="Backend">Where to.</param>
/// <param name="Weight">Its share; 0: none.</param>
/// <param name="Filters">What is done to requests that go there, after the filters of the rule.</param>
internal sealed record RouteBackend(Backend Backend, uint Weight, RouteFilters Filters);

/// <summary>The backends of a rule: by weight, or the first that is available. Immutable.</summary>
internal sealed class RouteBackends
{
    /// <summary>As many as a mask has bits.</summary>
    public const int Max = 64;

    private readonly bool _byWeight;

    /// <param name="byWeight">False: in this order.</param>
    /// <param name="all">At most <see cref="Max"/>.</param>
    public RouteBackends(bool byWeight, ImmutableArray<RouteBackend> all)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(all.Length, Max);
        (_byWeight, All) = (byWeight, all);
    }

    public static RouteBackends None { get; } = new(byWeight: false, []);

    public ImmutableArray<RouteBackend> All { get; }

    /// <summary>
    /// One of the backends whose bit in <paramref name="unavailable"/> is not set, and its index; null when none is left. Whoever finds that a backend has
    /// no endpoint to offer sets its bit and chooses again.
    /// </summary>
    public RouteBackend? Choose(Random random, ulong unavailable, out int index)
    {
        long total = 0;
        for (index = 0; index < All.Length; index++)
        {
            if ((unavailable >> index & 1) != 0) continue;
            if (!_byWeight) return All[index];
            total += All[index].Weight;
        }

        index = -1;
        if (total == 0) return null;
        var at = random.NextInt64(total);
        for (index = 0; ; index++)
        {
            if ((unavailable >> index & 1) != 0) continue;
            at -= All[index].Weight;
            if (at < 0) return All[index];
        }
    }
}
