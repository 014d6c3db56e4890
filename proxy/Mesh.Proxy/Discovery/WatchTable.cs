using System.Collections.Concurrent;
using Google.Protobuf;

namespace Mesh.Proxy.Discovery;

/// <summary>A bounded number of watches by key, opened at first use and closed when unused for long.</summary>
internal sealed class WatchTable<TKey, TMessage, TValue>(int limit, Func<TKey, Watch<TMessage, TValue>> open)
    where TKey : notnull
    where TMessage : class, IMessage<TMessage>
    where TValue : class
{
    // A watch that was used this recently is never closed to make room for another.
    private static readonly TimeSpan Busy = TimeSpan.FromMinutes(1);

    private readonly ConcurrentDictionary<TKey, Watch<TMessage, TValue>> _watches = new();
    private readonly List<Watch<TMessage, TValue>> _closing = [];
    private readonly Lock _lock = new();
    private bool _closed;
    private long _turnedAway;

    public int Count => _watches.Count;

    /// <summary>Watches that have an answer and no stream to keep it true.</summary>
    public int Stale => _watches.Values.Count(w => w is { Current: not null, Connected: false });

    /// <summary>How often a key was refused because the table was full of keys in use.</summary>
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

    private bool MakeRoom()
    {
        (TKey key, Watch<TMessage, TValue> watch) = _watches.MaxBy(pair => pair.Value.Idle);
        if (watch.Idle < Busy) return false;
        Close(key, watch);
        return true;
    }

    private void Close(TKey key, Watch<TMessage, TValue> watch)
    {
        _watches.TryRemove(key, out _);
        _closing.Add(watch);
    }
}
