using Mesh.Spiffe;

namespace Mesh.Identity.Bundles;

/// <summary>One open bundle stream: who is at the other end and what they last said.</summary>
internal sealed class BundleStream(long number, SpiffeId peer, string peerAddress, DateTimeOffset openedAt)
{
    private volatile Report? _report;

    public long Number { get; } = number;

    public SpiffeId Peer { get; } = peer;

    public string PeerAddress { get; } = peerAddress;

    public DateTimeOffset OpenedAt { get; } = openedAt;

    public BundleHolding? Holding => _report?.Holding;

    /// <summary>Since when the stream has held this sequence under this authority; null before the first report.</summary>
    public DateTimeOffset? HoldingSince => _report?.Since;

    /// <summary>Takes a report. Only the stream's own reader calls this.</summary>
    public void Take(BundleHolding holding, DateTimeOffset now)
    {
        var last = _report;
        var unchanged = last is not null && last.Holding.Sequence == holding.Sequence && last.Holding.AuthorityKeyId == holding.AuthorityKeyId;
        _report = new Report(holding, unchanged ? last!.Since : now);
    }

    public HoldingState StateAgainst(ulong sequence) => Holding switch
    {
        null => HoldingState.Silent,
        { Rejection.Length: > 0 } => HoldingState.Rejected,
        var holding when holding.Sequence < sequence => HoldingState.Behind,
        var holding when holding.Sequence > sequence => HoldingState.Ahead,
        _ => HoldingState.Current,
    };

    private sealed record Report(BundleHolding Holding, DateTimeOffset Since);
}
