namespace Mesh.Proxy.Metrics;

/// <summary>
/// Requests that the proxy answered itself, or lost, by reason. Reasons are labels that the code names, such as <c>Refusal.Reason</c>: few, and none
/// of a peer's choice; the bound is for the case that this is got wrong. Written on the loop, read by a scrape.
/// </summary>
internal sealed class FailureCounts
{
    private const int MostReasons = 32;

    private (string Reason, Counter Count)[] _all = [];

    public ReadOnlySpan<(string Reason, Counter Count)> All => Volatile.Read(ref _all);

    public void Add(string reason)
    {
        foreach (var (known, count) in _all)
        {
            if (known != reason) continue;
            count.Value++;
            return;
        }

        if (_all.Length == MostReasons) _all[^1].Count.Value++;
        else Volatile.Write(ref _all, [.. _all, (_all.Length == MostReasons - 1 ? "other" : reason, new Counter { Value = 1 })]);
    }
}
