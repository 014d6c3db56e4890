using System.Collections.Concurrent;
using Google.Protobuf;

namespace Mesh.Proxy.Discovery;

/// <summary>A bounded number of watches by key, opened at first use and closed when unused for long.</summary>
internal sealed class WatchTable<TKey, TMessage, TValue>(int limit, Func<TKey, Watch<TMessage, TValue>> open)
    where TKey : notnull
    where TMessage : class, IMessage<TMessage>
    where TValue : class
{
    // Watches that were closed to make room and whose streams have not ended yet: a bound for an application that asks for ever new addresses.
    private const int MaxClosing = 1_000;

    private readonly ConcurrentDictionary<TKey, Watch<TMessage, TValue>> _watches = new();
    private readonly List<Watch<TMessage, TValue>> _closing = [];
    private readonly Lock _lock = new();
    private bool _closed;
    private long _turnedAway;

    public int Count => _watches.Count;

    /// <summary>Watches that have an answer and no stream to keep it true.</summary>
    public int Stale => _watches.Values.Count(w => w is { Current: not null, Connected: false });

    /// <summary>How often a key was refused because the table was full of keys that cannot be given up.</summary>
    public long TurnedAway => Interlocked.Read(ref _turnedAway);

    /// <summary>The watch for <paramref name="key"/>; null when the table is full, or closed.</summary>
    public Watch<TMessage, TValue>? Find(TKey key)
    {
        if (_watches.TryGetValue(key, out Watch<TMessage, TValue>? watch))
        {
            watch.Touch();
            return watch;
        }

        lock (_lock)
        {
            if (_watches.TryGetValue(key, out watch)) return watch;
            if (_closed || (_watches.Count >= limit && !MakeRoom()))
            {
                Interlocked.Increment(ref _turnedAway);
                return null;
            }

            watch = open(key);
            _watches[key] = watch;
            watch.Start();
            return watch;
        }
    }

    /// <summary>Closes what was not used for <paramref name="idle"/>. What is stale is kept: it could not be learnt again.</summary>
    public async Task CloseUnusedAsync(TimeSpan idle)
    {
        Watch<TMessage, TValue>[] closing;
        lock (_lock)
        {
            foreach ((TKey key, Watch<TMessage, TValue> watch) in _watches)
            {
                if (watch.Idle >= idle && (watch.Connected || watch.Current is null)) Close(key, watch);
            }

            closing = [.. _closing];
            _closing.Clear();
        }

        foreach (Watch<TMessage, TValue> watch in closing) await watch.DisposeAsync();
    }

    /// <summary>Closes everything, for good.</summary>
    public async Task CloseAllAsync()
    {
        lock (_lock)
        {
            _closed = true;
            foreach ((TKey key, Watch<TMessage, TValue> watch) in _watches) Close(key, watch);
        }

        await Task.WhenAll(_closing.Select(watch => watch.DisposeAsync().AsTask()));
    }

    /// <summary>Who has a connection open to <paramref name="key"/> keeps its watch from being the first to go; null when there is none.</summary>
    public IDisposable? Hold(TKey key) => _watches.TryGetValue(key, out Watch<TMessage, TValue>? watch) ? watch.Hold() : null;

    // Of those without open connections the one that was asked for longest ago, then of the others. One that somebody waits for, or that could not
    // be learnt again because discovery is away, stays: what takes its place would be no better known.
    private bool MakeRoom()
    {
        if (_closing.Count >= MaxClosing && _closing.RemoveAll(watch => watch.HasEnded) == 0) return false;
        (TKey Key, Watch<TMessage, TValue> Watch, TimeSpan Idle)? first = null;
        foreach ((TKey key, Watch<TMessage, TValue> watch) in _watches)
        {
            if (!watch.IsReplaceable) continue;
            TimeSpan idle = watch.Idle;
            if (first is not { } best || (watch.HasConnections ? best.Watch.HasConnections && idle > best.Idle : best.Watch.HasConnections || idle > best.Idle))
                first = (key, watch, idle);
        }

        if (first is not { } chosen) return false;
        Close(chosen.Key, chosen.Watch);
        chosen.Watch.Stop();
        return true;
    }

    private void Close(TKey key, Watch<TMessage, TValue> watch)
    {
        _watches.TryRemove(key, out _);
        _closing.Add(watch);
    }
}
