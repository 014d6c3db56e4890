using System.Threading.Tasks.Sources;

namespace Mesh.Proxy.Native;

/// <summary>
/// A reusable awaitable that belongs to one loop: at most one waiter at a time, resumed inline on the loop thread. Waiting allocates nothing.
/// </summary>
internal sealed class LoopSignal(EventLoop loop) : IValueTaskSource<IoStatus>
{
    private Action<object?>? _continuation;
    private object? _state;
    private short _version;
    private bool _completed;
    private IoStatus _result;

    /// <summary>Somebody waits and has not been told yet.</summary>
    public bool IsPending { get; private set; }

    /// <summary>Tells one wait from the next, see <see cref="EventLoop.Defer(LoopSignal, IoStatus)"/>.</summary>
    public short Version => _version;

    public ValueTask<IoStatus> WaitAsync()
    {
        if (IsPending || _completed) throw new InvalidOperationException("Two operations wait for the same direction of one connection.");
        IsPending = true;
        return new ValueTask<IoStatus>(this, _version);
    }

    /// <summary>Resumes the waiter, now and on this stack. Does nothing when nobody waits.</summary>
    public void Complete(IoStatus result)
    {
        if (!IsPending) return;
        IsPending = false;
        _completed = true;
        _result = result;
        if (_continuation is not { } continuation) return;
        object? state = _state;
        _continuation = null;
        _state = null;
        continuation(state);
    }

    IoStatus IValueTaskSource<IoStatus>.GetResult(short token)
    {
        if (token != _version || !_completed) throw new InvalidOperationException("A loop operation was awaited twice or too early.");
        _version++;
        _completed = false;
        return _result;
    }

    ValueTaskSourceStatus IValueTaskSource<IoStatus>.GetStatus(short token) =>
        _completed ? ValueTaskSourceStatus.Succeeded : ValueTaskSourceStatus.Pending;

    void IValueTaskSource<IoStatus>.OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags)
    {
        if (token != _version) throw new InvalidOperationException("A loop operation was awaited twice.");
        if (_completed)
        {
            // Completed between the question and the registration: run it from the loop, never deeper on this stack.
            loop.Defer(continuation, state);
            return;
        }

        _continuation = continuation;
        _state = state;
    }
}
