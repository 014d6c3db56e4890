using System.Collections.Concurrent;

namespace Mesh.Proxy.Metrics;

/// <summary>
/// The counters of one metric by label set. Peers choose some labels (who they are), so their number is bounded: beyond it everything is
/// counted under <paramref name="overflow"/>, and the sums stay right.
/// </summary>
internal sealed class BoundedFamily<TLabels, TCounters>(int limit, Func<TLabels, TLabels> overflow)
    where TLabels : notnull
    where TCounters : class, new()
{
    private readonly ConcurrentDictionary<TLabels, TCounters> _counters = new();
    private int _count;

    /// <summary>Called on one loop only; the enumeration may run beside it.</summary>
    public TCounters this[TLabels labels]
    {
        get
        {
            if (_counters.TryGetValue(labels, out var counters)) return counters;
            var key = _count < limit ? labels : overflow(labels);
            if (!_counters.TryGetValue(key, out counters))
            {
                counters = new TCounters();
                _counters[key] = counters;
                _count++;
            }

            return counters;
        }
    }

    public IEnumerable<KeyValuePair<TLabels, TCounters>> All => _counters;
}
