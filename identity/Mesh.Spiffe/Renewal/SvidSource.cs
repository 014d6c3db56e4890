namespace Mesh.Spiffe.Renewal;

/// <summary>
/// Holds the SVID in force. Readers take <see cref="Current"/> once per connection; renewal swaps the reference. A replaced SVID
/// keeps its key for a while, because handshakes that began with it still sign with it.
/// </summary>
public sealed class SvidSource(TimeProvider time, TimeSpan retirement) : IDisposable
{
    private readonly Lock _lock = new();
    private readonly Queue<(DateTimeOffset At, X509Svid Svid)> _retired = new();
    private readonly TaskCompletionSource<X509Svid> _first = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile X509Svid? _current;
    private bool _disposed;

    /// <summary>The newest SVID, expired or not; null before the first.</summary>
    public X509Svid? Current => _current;

    /// <summary>The newest SVID when it is valid now, else null: an expired one is not for use.</summary>
    public X509Svid? Usable => _current is { } svid && svid.Leaf.NotAfter > time.GetUtcNow() ? svid : null;

    /// <summary>Completes with the first SVID.</summary>
    public Task<X509Svid> First => _first.Task;

    /// <summary>Raised after <see cref="Current"/> has changed, on the thread that publishes.</summary>
    public event Action<X509Svid>? Changed;

    /// <summary>Puts <paramref name="svid"/> in force and takes ownership of it.</summary>
    public void Publish(X509Svid svid)
    {
        DateTimeOffset now = time.GetUtcNow();
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            while (_retired.TryPeek(out var oldest) && now - oldest.At >= retirement) _retired.Dequeue().Svid.Dispose();
            if (_current is { } replaced) _retired.Enqueue((now, replaced));
            _current = svid;
        }

        _first.TrySetResult(svid);
        Changed?.Invoke(svid);
    }

    public void Dispose()
    {
        lock (_lock)
        {
            if (_disposed) return;
            _disposed = true;
            while (_retired.TryDequeue(out var retired)) retired.Svid.Dispose();
            _current?.Dispose();
            _current = null;
        }

        _first.TrySetCanceled();
    }
}
