using System.Collections.Immutable;
using System.Net;
using Mesh.Proxy.Discovery;

namespace Mesh.Proxy.Balance;

internal enum PickResult
{
    Picked = 0,

    /// <summary>Discovery names no endpoint.</summary>
    NoEndpoints = 1,

    /// <summary>There are endpoints, and each of them is out of use for its failures: fail at once.</summary>
    AllUnavailable = 2,

    /// <summary>What is in use has been tried for this request already.</summary>
    AllTried = 3,
}

/// <summary>
/// Chooses endpoints for requests: of two that are drawn by weight the one whose <see cref="BalancedEndpoint{T}.Cost"/> is lower (power of two
/// choices). Lives on the loop; a choice allocates nothing. An endpoint keeps what is known of it from one set to the next for as long as address,
/// identity and the way to it stay the same: another identity at an address is another workload, whose connections must not be used for this one.
/// </summary>
internal sealed class P2cBalancer<T> where T : class
{
    // Draws before looking at all in turn. With half of the endpoints out of use, one request in 256 comes to that.
    private const int Draws = 8;

    private readonly LoadParameters _load;
    private readonly FailureAccrualParameters? _accrual;
    private readonly Func<Endpoint, T> _joined;
    private readonly Action<T> _left;
    private readonly Random _random;
    private readonly Func<T, bool>? _reachable;
    private readonly Dictionary<IPEndPoint, BalancedEndpoint<T>> _changing = [];
    private readonly List<BalancedEndpoint<T>> _news = [];
    private BalancedEndpoint<T>[] _members = new BalancedEndpoint<T>[4];

    // The sum of the weights up to and with each member: a draw is a search in it.
    private long[] _sums = new long[4];

    /// <param name="load">How latency is estimated.</param>
    /// <param name="accrual">When endpoints are taken out of use for failures; null: never.</param>
    /// <param name="joined">Makes what the owner keeps for an endpoint.</param>
    /// <param name="left">Gives it back when the endpoint is no longer in the set; requests to it may still be under way, and are ended as always.</param>
    /// <param name="random">Not shared with other threads.</param>
    /// <param name="reachable">Whether an endpoint can be connected to, as far as is known: who cannot is chosen when there is nobody else.</param>
    public P2cBalancer(LoadParameters load, FailureAccrualParameters? accrual, Func<Endpoint, T> joined, Action<T> left, Random random, Func<T, bool>? reachable = null) =>
        (_load, _accrual, _joined, _left, _random, _reachable) = (load, accrual, joined, left, random, reachable);

    public int Count { get; private set; }

    public ReadOnlySpan<BalancedEndpoint<T>> Endpoints => _members.AsSpan(0, Count);

    /// <summary>Endpoints that would take a request now.</summary>
    public int Available(long now)
    {
        var available = 0;
        foreach (var member in Endpoints) available += member.Admits(now) ? 1 : 0;
        return available;
    }

    /// <summary>
    /// Takes over the endpoints of a new set. A discovery set names unchanged endpoints by the same objects in the same order, so that only what lies
    /// between the first and the last change is looked at; any other order is right as well, and slower.
    /// </summary>
    public void Update(ImmutableArray<Endpoint> next, long now)
    {
        var shorter = Math.Min(Count, next.Length);
        int first = 0, tail = 0;
        while (first < shorter && ReferenceEquals(_members[first].Endpoint, next[first])) first++;
        while (tail < shorter - first && ReferenceEquals(_members[Count - 1 - tail].Endpoint, next[next.Length - 1 - tail])) tail++;
        if (first == Count && Count == next.Length) return;

        for (var i = first; i < Count - tail; i++) _changing[_members[i].Endpoint.Address] = _members[i];
        for (var i = first; i < next.Length - tail; i++)
        {
            if (_changing.TryGetValue(next[i].Address, out var known) && IsSamePeer(known.Endpoint, next[i]))
            {
                _changing.Remove(next[i].Address);
                known.Endpoint = next[i];
                _news.Add(known);
            }
            else
            {
                _news.Add(new BalancedEndpoint<T>(next[i], _joined(next[i]), _load, _accrual is null ? null : new FailureAccrual(_accrual, _random), now));
            }
        }

        Splice(first, tail, next.Length);
        _news.Clear();
        foreach (var gone in _changing.Values) _left(gone.Value);
        _changing.Clear();
    }

    /// <summary>Chooses an endpoint that is not among those in <paramref name="tried"/>, and counts the request as begun there.</summary>
    public PickResult Pick(long now, ReadOnlySpan<BalancedEndpoint<T>> tried, out Attempt<T> attempt)
    {
        attempt = default;
        if (Count == 0) return PickResult.NoEndpoints;
        var reachable = _reachable is not null;
        var first = Draw(now, tried, except: -1, reachable);
        if (first < 0 && reachable) first = Draw(now, tried, except: -1, reachable = false);
        if (first < 0) return Available(now) == 0 ? PickResult.AllUnavailable : PickResult.AllTried;
        var second = Count == 1 ? -1 : Draw(now, tried, except: first, reachable);
        var mean = (double)_sums[Count - 1] / Count;
        var chosen = second >= 0 && _members[second].Cost(now, mean) < _members[first].Cost(now, mean) ? _members[second] : _members[first];
        attempt = new Attempt<T>(chosen, now, chosen.Begin());
        return PickResult.Picked;
    }

    /// <summary>The index of a member that takes a request, can be reached if it must, and was not tried, by weight; -1 when there is none.</summary>
    private int Draw(long now, ReadOnlySpan<BalancedEndpoint<T>> tried, int except, bool reachable)
    {
        for (var draw = 0; draw < Draws; draw++)
        {
            var index = DrawAny(except);
            if (IsUsable(_members[index], now, tried, reachable)) return index;
        }

        var start = _random.Next(Count);
        for (var i = 0; i < Count; i++)
        {
            var index = start + i < Count ? start + i : start + i - Count;
            if (index != except && IsUsable(_members[index], now, tried, reachable)) return index;
        }

        return -1;
    }

    private int DrawAny(int except)
    {
        var total = _sums[Count - 1];
        if (except < 0) return Find(_random.NextInt64(total));
        var before = except == 0 ? 0 : _sums[except - 1];
        var weight = _sums[except] - before;
        // As if the excepted one were not there.
        var at = _random.NextInt64(total - weight);
        return Find(at < before ? at : at + weight);
    }

    private int Find(long at)
    {
        int low = 0, high = Count - 1;
        while (low < high)
        {
            var middle = (low + high) / 2;
            if (_sums[middle] > at) high = middle;
            else low = middle + 1;
        }

        return low;
    }

    private void Splice(int first, int tail, int count)
    {
        if (count > _members.Length)
        {
            var size = Math.Max(count, _members.Length * 2);
            Array.Resize(ref _members, size);
            Array.Resize(ref _sums, size);
        }

        var from = Count - tail;
        var to = count - tail;
        var sumBefore = from == 0 ? 0 : _sums[from - 1];
        Array.Copy(_members, from, _members, to, tail);
        Array.Copy(_sums, from, _sums, to, tail);
        var sum = first == 0 ? 0 : _sums[first - 1];
        for (var i = first; i < to; i++)
        {
            _members[i] = _news[i - first];
            _sums[i] = sum += _members[i].Weight;
        }

        if (sum != sumBefore)
            foreach (ref var after in _sums.AsSpan(to, tail)) after += sum - sumBefore;
        if (count < Count) Array.Clear(_members, count, Count - count);
        Count = count;
    }

    private static bool IsSamePeer(Endpoint old, Endpoint now) => old.Identity == now.Identity && old.InboundPort == now.InboundPort;

    private bool IsUsable(BalancedEndpoint<T> member, long now, ReadOnlySpan<BalancedEndpoint<T>> tried, bool reachable)
    {
        foreach (var one in tried)
            if (ReferenceEquals(one, member)) return false;
        return member.Admits(now) && (!reachable || _reachable!(member.Value));
    }
}
