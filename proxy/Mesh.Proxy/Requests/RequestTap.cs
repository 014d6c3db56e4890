using System.Globalization;
using System.Runtime.CompilerServices;
using System.Threading.Channels;
using Mesh.Proxy.Logging;

namespace Mesh.Proxy.Requests;

/// <summary>
/// Shows requests to those who ask at the admin endpoint, as they end. What somebody sees is bounded in rate, and waits in a bounded queue: a
/// reader who is slow misses events, and is told how many.
/// </summary>
internal sealed class RequestTap(TimeProvider time)
{
    /// <summary>Who comes later is turned away.</summary>
    public const int MostWatchers = 4;

    private const int QueueLength = 1024;

    private readonly Lock _lock = new();
    private volatile Watcher[]? _watchers;

    /// <summary>Whether anybody looks: while nobody does, this is all that a request costs.</summary>
    public bool IsWatched => _watchers is not null;

    public bool IsFull => _watchers is { Length: >= MostWatchers };

    /// <summary>A request has ended. Called on the loop; never waits.</summary>
    public void Offer(RequestRecord record)
    {
        if (_watchers is not { } watchers) return;
        foreach (var watcher in watchers) watcher.Offer(record);
    }

    /// <summary>The requests that fit, one JSON object each, from now until <paramref name="ct"/>. Ends at once when the tap is full.</summary>
    public async IAsyncEnumerable<string> WatchAsync(TapFilter filter, [EnumeratorCancellation] CancellationToken ct)
    {
        var watcher = new Watcher(filter, time);
        if (!Enter(watcher)) yield break;
        try
        {
            await foreach (var line in watcher.Lines.ReadAllAsync(ct)) yield return line;
        }
        finally
        {
            Leave(watcher);
        }
    }

    // Methods of their own: of a lock inside an asynchronous method's finally the trimmer removes the release.
    private bool Enter(Watcher watcher)
    {
        lock (_lock)
        {
            if (IsFull) return false;
            _watchers = [.. _watchers ?? [], watcher];
            return true;
        }
    }

    private void Leave(Watcher watcher)
    {
        lock (_lock) _watchers = _watchers is { Length: > 1 } many ? [.. many.Where(w => w != watcher)] : null;
    }

    private sealed class Watcher(TapFilter filter, TimeProvider time)
    {
        private readonly Channel<string> _lines = Channel.CreateBounded<string>(
            new BoundedChannelOptions(QueueLength) { SingleReader = true, SingleWriter = true, FullMode = BoundedChannelFullMode.Wait });
        private readonly LineLimit _rate = new(burst: filter.Rate, TimeSpan.FromSeconds(1.0 / filter.Rate), time);
        private readonly JsonLine _json = new();
        private long _leftOut;

        public ChannelReader<string> Lines => _lines.Reader;

        public void Offer(RequestRecord record)
        {
            if (!filter.Fits(record) || !_rate.Admit(out var leftOut)) return;
            _leftOut += leftOut;
            if (_lines.Writer.TryWrite(Compose(record))) _leftOut = 0;
            else _leftOut++;
        }

        private string Compose(RequestRecord record)
        {
            Span<char> timestamp = stackalloc char[24];
            time.GetUtcNow().TryFormat(timestamp, out var length, "yyyy-MM-dd'T'HH:mm:ss.fff'Z'", CultureInfo.InvariantCulture);
            _json.Begin(timestamp[..length]);
            record.WriteTo(_json);
            if (_leftOut > 0) _json.Number("left_out", _leftOut);
            return _json.End();
        }
    }
}
