using System.Collections.Concurrent;
using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using Mesh.Spiffe;

namespace Mesh.Identity.Bundles;

/// <summary>
/// The open bundle streams of this replica, within a bound for all and a bound for each identity.
/// What rotation asks ("who holds what, since when") is answered from here; several replicas are asked one by one.
/// </summary>
internal sealed class BundleStreams(int capacity, int capacityPerId)
{
    private readonly ConcurrentDictionary<long, BundleStream> _open = new();
    private readonly Dictionary<SpiffeId, int> _perId = [];
    private readonly Lock _lock = new();
    private long _lastNumber;

    public int Count => _open.Count;

    /// <summary>Enters a stream, or refuses when there is no room for it.</summary>
    public bool TryOpen(SpiffeId peer, string peerAddress, DateTimeOffset now, [NotNullWhen(true)] out BundleStream? stream)
    {
        stream = null;
        lock (_lock)
        {
            var ofPeer = _perId.GetValueOrDefault(peer);
            if (_open.Count >= capacity || ofPeer >= capacityPerId) return false;
            _perId[peer] = ofPeer + 1;
            stream = new BundleStream(++_lastNumber, peer, peerAddress, now);
            _open[stream.Number] = stream;
        }

        return true;
    }

    public void Close(BundleStream stream)
    {
        lock (_lock)
        {
            if (!_open.TryRemove(stream.Number, out _)) return;
            var left = _perId[stream.Peer] - 1;
            if (left == 0) _perId.Remove(stream.Peer);
            else _perId[stream.Peer] = left;
        }
    }

    /// <summary>
    /// The streams, oldest first; of one instance only its newest stream, because a proxy that lost its connection is back
    /// before the old one has timed out.
    /// </summary>
    public ImmutableArray<BundleStream> Snapshot()
    {
        var newest = new Dictionary<(SpiffeId, string), BundleStream>();
        var result = ImmutableArray.CreateBuilder<BundleStream>();
        foreach (var stream in _open.Values.OrderByDescending(s => s.Number))
        {
            var instance = stream.Holding?.InstanceId;
            if (instance is null || newest.TryAdd((stream.Peer, instance), stream)) result.Add(stream);
        }

        result.Reverse();
        return result.DrainToImmutable();
    }

    /// <summary>How many streams stand in each state against the bundle in force, indexed by <see cref="HoldingState"/>.</summary>
    public int[] CountByState(ulong sequence)
    {
        var counts = new int[HoldingStates.All.Length];
        foreach (var stream in Snapshot()) counts[(int)stream.StateAgainst(sequence)]++;
        return counts;
    }
}
