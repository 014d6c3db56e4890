using System.Collections.Concurrent;

namespace Mesh.Proxy.Native;

/// <summary>
/// One thread that owns sockets, timers and the code of the connections on them. Everything a connection does between two awaits runs alone, so
/// that code above needs no locks. Only <see cref="Post(Action)"/>, <see cref="InvokeAsync{T}"/> and <see cref="IsCurrent"/> may be used from other threads.
/// </summary>
/// <remarks>
/// epoll(7), edge-triggered, every descriptor registered once. The high half of epoll_data carries a generation: an event for a descriptor that
/// was closed and reused within one batch reaches nobody. A turn is: events, posted work, deferred continuations, timers, handshakes, flushes.
/// </remarks>
internal sealed partial class EventLoop : IDisposable
{
    [ThreadStatic] private static EventLoop? t_current;

    private readonly TimeProvider _time;
    private readonly long _timeOrigin;
    private readonly ITimer? _foreignClock;
    private readonly LoopContext _context;
    private readonly ConcurrentQueue<Action> _posted = new();
    private readonly Queue<Deferred> _deferred = new();
    private readonly HashSet<LoopSignal> _delays = [];
    private readonly int _epoll;
    private readonly int _wakeUp;
    private List<IFlushable> _dirty = [];
    private List<IFlushable> _flushing = [];
    private LoopSocket?[] _sockets = new LoopSocket?[64];
    private int _socketCount;
    private uint _generation;
    private int _wakeUpSent;
    private bool _stopping;
    private bool _disposed;

    /// <summary>Opens the epoll descriptor; nothing runs before <see cref="Run"/>.</summary>
    /// <exception cref="IOException">The kernel gives no descriptors.</exception>
    public EventLoop(TimeProvider time, EventLoopOptions options)
    {
        Libc.IgnoreBrokenPipes();
        _time = time;
        Options = options;
        _timeOrigin = time.GetTimestamp();
        Timers = new TimerWheel(0);
        Buffers = new NativeBuffers();
        Handshakes = new HandshakeQueue(this, options.HandshakeStepsPerTurn);
        _context = new LoopContext(this);
        _epoll = Libc.epoll_create1(Libc.EPOLL_CLOEXEC);
        if (_epoll < 0) throw new IOException($"epoll_create1 failed with errno {Libc.LastError}.");
        _wakeUp = Libc.eventfd(0, Libc.EFD_CLOEXEC | Libc.EFD_NONBLOCK);
        if (_wakeUp < 0)
        {
            int errno = Libc.LastError;
            Libc.Close(_epoll);
            throw new IOException($"eventfd failed with errno {errno}.");
        }

        // Descriptor numbers are never negative, so that all ones cannot be a socket's.
        if (ControlAdd(_wakeUp, Libc.EPOLLIN, ulong.MaxValue) is var refused and not 0)
        {
            Libc.Close(_epoll);
            Libc.Close(_wakeUp);
            throw new IOException($"epoll_ctl failed with errno {refused}.");
        }

        // epoll_wait knows only the machine's clock. Under another one (a test's) that clock's own timer wakes the loop.
        if (!ReferenceEquals(time, TimeProvider.System))
            _foreignClock = time.CreateTimer(static loop => ((EventLoop)loop!).WakeUp(), this, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
    }

    public EventLoopOptions Options { get; }

    /// <summary>Milliseconds since the loop was made, read once per turn. Monotonic.</summary>
    public long Now { get; private set; }

    /// <summary>The number of the running turn, for budgets per turn.</summary>
    public long Turn { get; private set; }

    /// <summary>Sockets and listeners open on this loop.</summary>
    public int SocketCount => _socketCount;

    public NativeBuffers Buffers { get; }

    /// <summary>Where TLS handshakes wait for their share of the thread.</summary>
    public HandshakeQueue Handshakes { get; }

    /// <summary>Whether the caller runs on this loop's thread.</summary>
    public bool IsCurrent => t_current == this;

    internal TimerWheel Timers { get; }

    /// <summary>True once the loop was told to stop: new sockets are refused, waits complete with <see cref="IoStatus.Closed"/>.</summary>
    public bool IsStopping => _stopping;

    public static EventLoop RequireCurrent() => t_current ?? throw new InvalidOperationException("This must run on an event loop's thread.");

    /// <summary>Runs on the calling thread until <paramref name="stop"/>; then closes every socket, lets their code unwind, and returns.</summary>
    public void Run(CancellationToken stop)
    {
        if (t_current is not null) throw new InvalidOperationException("This thread runs a loop already.");
        SynchronizationContext? before = SynchronizationContext.Current;
        t_current = this;
        // Code that awaits a task of the outside world comes back to this thread. The loop's own awaitables do not look at it.
        SynchronizationContext.SetSynchronizationContext(_context);
        using CancellationTokenRegistration registration = stop.UnsafeRegister(static loop => ((EventLoop)loop!).WakeUp(), this);
        try
        {
            UpdateNow();
            while (!stop.IsCancellationRequested) RunTurn(int.MaxValue);
            Unwind();
        }
        finally
        {
            SynchronizationContext.SetSynchronizationContext(before);
            t_current = null;
        }
    }

    /// <summary>Runs <paramref name="work"/> on the loop, in order of posting. Any thread.</summary>
    public void Post(Action work)
    {
        _posted.Enqueue(work);
        WakeUp();
    }

    /// <summary>Runs asynchronous code on the loop for a caller outside of it. Any thread.</summary>
    public Task<T> InvokeAsync<T>(Func<ValueTask<T>> work)
    {
        var completion = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
        Post(() => _ = RunAsync());
        return completion.Task;

        async Task RunAsync()
        {
            try
            {
                completion.SetResult(await work());
            }
            catch (OperationCanceledException canceled)
            {
                completion.SetCanceled(canceled.CancellationToken);
            }
            catch (Exception fault)
            {
                // Not swallowed: it goes to the caller, who owns it.
                completion.SetException(fault);
            }
        }
    }

    /// <summary>As <see cref="InvokeAsync{T}"/>, for work without a result.</summary>
    public Task InvokeAsync(Func<ValueTask> work) => InvokeAsync(async () =>
    {
        await work();
        return true;
    });

    /// <summary>Runs synchronous code on the loop for a caller outside of it. Any thread.</summary>
    public Task<T> InvokeAsync<T>(Func<T> work) => InvokeAsync(() => new ValueTask<T>(work()));

    /// <summary>Lets everything else have a turn, then goes on.</summary>
    public ValueTask<IoStatus> YieldAsync()
    {
        var signal = new LoopSignal(this);
        ValueTask<IoStatus> wait = signal.WaitAsync();
        Defer(signal, IoStatus.Ok);
        return wait;
    }

    /// <summary>Completes at the earliest <paramref name="delay"/> from now, in milliseconds rounded up, by the loop's clock.</summary>
    /// <exception cref="OperationCanceledException"><paramref name="cancellation"/> fired or the loop is stopping.</exception>
    public async ValueTask DelayAsync(TimeSpan delay, CancellationToken cancellation)
    {
        cancellation.ThrowIfCancellationRequested();
        var signal = new LoopSignal(this);
        ValueTask<IoStatus> wait = signal.WaitAsync();
        LoopTimer timer = Timer(static s => ((LoopSignal)s!).Complete(IoStatus.Ok), signal);
        timer.Arm((long)Math.Ceiling(delay.TotalMilliseconds));
        _delays.Add(signal);
        if (_stopping) Defer(signal, IoStatus.Closed);
        using CancellationTokenRegistration registration = cancellation.UnsafeRegister(
            s => Post(() => ((LoopSignal)s!).Complete(IoStatus.Closed)), signal);
        try
        {
            if (await wait == IoStatus.Closed) throw new OperationCanceledException(cancellation);
        }
        finally
        {
            timer.Stop();
            _delays.Remove(signal);
        }
    }

    /// <summary>A timer of this loop, not armed. <paramref name="callback"/> runs on the loop and must not throw.</summary>
    public LoopTimer Timer(Action<object?> callback, object? state) => new(this, callback, state);

    /// <summary>Puts <paramref name="flushable"/> on the list that is flushed when all events of the turn have been handled. Once per turn and object is the caller's care.</summary>
    public void AtEndOfTurn(IFlushable flushable) => _dirty.Add(flushable);

    /// <summary>Completes <paramref name="signal"/> from the loop in the next round instead of on this stack; a wait begun after this call is not touched.</summary>
    internal void Defer(LoopSignal signal, IoStatus result)
    {
        if (signal.IsPending) _deferred.Enqueue(new Deferred(signal, signal.Version, result, null, null));
    }

    internal void Defer(Action<object?> continuation, object? state) => _deferred.Enqueue(new Deferred(null, 0, IoStatus.Ok, continuation, state));

    internal void WakeUp()
    {
        if (Interlocked.Exchange(ref _wakeUpSent, 1) != 0) return;
        SendWakeUp();
    }

    private void RunTurn(long maxWait)
    {
        Turn++;
        // What is deferred during this turn waits for the next, behind that turn's events: nobody gets two shares of one turn.
        int deferred = _deferred.Count;
        WaitAndDispatch(maxWait);
        RunPosted();
        RunDeferred(deferred);
        Timers.Advance(Now);
        Handshakes.Grant();
        Flush();
    }

    private long Patience(long maxWait)
    {
        if (_deferred.Count > 0 || _dirty.Count > 0 || Handshakes.Count > 0 || !_posted.IsEmpty) return 0;
        long untilTimer = Timers.UntilNext(Now);
        if (untilTimer < 0) return maxWait;
        if (_foreignClock is { } clock && untilTimer > 0)
        {
            clock.Change(TimeSpan.FromMilliseconds(untilTimer), Timeout.InfiniteTimeSpan);
            return maxWait;
        }

        return Math.Min(untilTimer, maxWait);
    }

    private void UpdateNow() => Now = (long)_time.GetElapsedTime(_timeOrigin).TotalMilliseconds;

    private void RunPosted()
    {
        // Only what was there when the turn came to it: work that posts work must not starve the sockets.
        for (int left = _posted.Count; left > 0 && _posted.TryDequeue(out Action? work); left--)
        {
            try
            {
                work();
            }
            catch (Exception fault)
            {
                Report(fault);
            }
        }
    }

    private void RunDeferred(int count)
    {
        for (; count > 0; count--)
        {
            Deferred item = _deferred.Dequeue();
            if (item.Continuation is { } continuation) continuation(item.State);
            else if (item.Signal is { IsPending: true } signal && signal.Version == item.Version) signal.Complete(item.Result);
        }
    }

    private void Flush()
    {
        if (_dirty.Count == 0) return;
        (_dirty, _flushing) = (_flushing, _dirty);
        foreach (IFlushable flushable in _flushing)
        {
            try
            {
                flushable.Flush();
            }
            catch (Exception fault)
            {
                Report(fault);
            }
        }

        _flushing.Clear();
    }

    /// <summary>A bug in the code of one connection must not end all of them, wherever the loop calls it. It is reported, and the owner decides.</summary>
    internal void Report(Exception fault) => Options.Unhandled?.Invoke(fault);

    private void Unwind()
    {
        _stopping = true;
        foreach (LoopSocket? socket in _sockets) socket?.Abandon();
        foreach (LoopSignal delay in _delays) Defer(delay, IoStatus.Closed);
        long end = Now + (long)Options.StopGrace.TotalMilliseconds;
        while (Now < end && (_socketCount > 0 || _deferred.Count > 0 || Handshakes.Count > 0 || !_posted.IsEmpty)) RunTurn(10);
    }

    /// <summary>Adds a socket to the epoll set; 0, or the errno of epoll_ctl(2), after which the socket is not on the loop.</summary>
    internal int Register(LoopSocket socket)
    {
        socket.Generation = ++_generation;
        int errno = ControlAdd(socket.Fd, Libc.EPOLLIN | Libc.EPOLLOUT | Libc.EPOLLRDHUP | Libc.EPOLLET, ((ulong)socket.Generation << 32) | (uint)socket.Fd);
        if (errno != 0) return errno;
        if (socket.Fd >= _sockets.Length) Array.Resize(ref _sockets, Math.Max(socket.Fd + 1, _sockets.Length * 2));
        _sockets[socket.Fd] = socket;
        _socketCount++;
        return 0;
    }

    internal void Unregister(LoopSocket socket)
    {
        if (_sockets[socket.Fd] != socket) return;
        _sockets[socket.Fd] = null;
        _socketCount--;
    }

    /// <summary>Closes the loop's descriptors and every socket still on it. Not while <see cref="Run"/> runs.</summary>
    public void Dispose()
    {
        if (_disposed) return;
        if (IsCurrent) throw new InvalidOperationException("A loop cannot be disposed from its own thread.");
        _disposed = true;
        _foreignClock?.Dispose();
        foreach (LoopSocket? socket in _sockets) socket?.Close(IoStatus.Closed);
        Libc.Close(_epoll);
        Libc.Close(_wakeUp);
        Buffers.Dispose();
    }

    private readonly record struct Deferred(LoopSignal? Signal, short Version, IoStatus Result, Action<object?>? Continuation, object? State);

    private sealed class LoopContext(EventLoop loop) : SynchronizationContext
    {
        public override void Post(SendOrPostCallback d, object? state)
        {
            if (loop.IsCurrent) loop.Defer(s => d(s), state);
            else loop.Post(() => d(state));
        }

        public override void Send(SendOrPostCallback d, object? state)
        {
            if (!loop.IsCurrent) throw new NotSupportedException("Waiting for the loop from another thread; post instead.");
            d(state);
        }

        public override SynchronizationContext CreateCopy() => this;
    }
}
