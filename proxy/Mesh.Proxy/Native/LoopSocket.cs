namespace Mesh.Proxy.Native;

/// <summary>
/// A non-blocking descriptor on a loop and what the kernel last said about it. Edge-triggered: a flag, once set, stays until a call shows that
/// there is no more; clearing it too early would lose an edge for ever.
/// </summary>
internal sealed class LoopSocket
{
    private readonly LoopSignal _readSignal;
    private LoopSignal? _writeSignal;
    private IoStatus _abandoned;
    private long _budgetTurn;
    private int _budgetUsed;

    private LoopSocket(EventLoop loop, int fd, bool writable)
    {
        Loop = loop;
        Fd = fd;
        Writable = writable;
        _readSignal = new LoopSignal(loop);
        if (loop.IsStopping) _abandoned = IoStatus.Closed;
    }

    /// <summary>Puts <paramref name="fd"/> on the loop and owns it. On failure it is closed, and the result is null with the errno.</summary>
    public static LoopSocket? Open(EventLoop loop, int fd, bool writable, out int errno)
    {
        var socket = new LoopSocket(loop, fd, writable);
        errno = loop.Register(socket);
        if (errno != 0)
        {
            Libc.Close(fd);
            return null;
        }

        NativeCounts.Descriptors(1);
        return socket;
    }

    public EventLoop Loop { get; }

    public int Fd { get; private set; }

    public uint Generation { get; set; }

    public bool IsOpen => Fd >= 0;

    /// <summary>A read may give something. False means: certainly not before the next event.</summary>
    public bool Readable { get; set; }

    public bool Writable { get; set; }

    /// <summary>The peer's FIN, an error or a hang-up has been announced: the end can be read even after a short read, and no further edge will come.</summary>
    public bool HungUp { get; private set; }

    /// <summary>The peer has reset the connection or is gone: nothing that is sent can reach it. A FIN alone is not that.</summary>
    public bool IsDead { get; private set; }

    /// <summary>Called, on the loop, when the peer's FIN, an error or a hang-up is announced: for whoever works for the peer and reads nothing from it.</summary>
    public Action? HangUpNoticed { get; set; }

    /// <summary>A TLS read that must write first (or the reverse) is woken by the other direction's event as well.</summary>
    public bool WakeReaderOnWritable { get; set; }

    /// <summary>Takes the first word when the socket becomes writable: what it holds must leave before a waiting writer adds more.</summary>
    public Action? BeforeWritable { get; set; }

    /// <summary>Reads of <paramref name="bytes"/> bytes are charged to this socket's share of the turn.</summary>
    public void Charge(int bytes)
    {
        if (_budgetTurn != Loop.Turn)
        {
            _budgetTurn = Loop.Turn;
            _budgetUsed = 0;
        }

        _budgetUsed += bytes;
    }

    /// <summary>This turn's share is used up; the next read belongs to the next turn.</summary>
    public bool IsOverBudget => _budgetTurn == Loop.Turn && _budgetUsed >= Loop.Options.ReadBudgetPerTurn;

    public ValueTask<IoStatus> ReadableAsync() => Readable || HungUp ? ReadableNow() : WaitForInput();

    /// <summary>Input is there already (in the kernel or in a TLS buffer): completes at once, or in the next turn when this turn's share is used up.</summary>
    public ValueTask<IoStatus> ReadableNow()
    {
        if (Ended() is var end and not IoStatus.Ok) return new ValueTask<IoStatus>(end);
        if (!IsOverBudget) return new ValueTask<IoStatus>(IoStatus.Ok);
        ValueTask<IoStatus> wait = _readSignal.WaitAsync();
        Loop.Defer(_readSignal, IoStatus.Ok);
        return wait;
    }

    /// <summary>Completes with the next event that says there is input, also when some is there already.</summary>
    public ValueTask<IoStatus> WaitForInput() => Ended() is var end and not IoStatus.Ok ? new ValueTask<IoStatus>(end) : _readSignal.WaitAsync();

    public ValueTask<IoStatus> WritableAsync()
    {
        if (Ended() is var end and not IoStatus.Ok) return new ValueTask<IoStatus>(end);
        return Writable ? new ValueTask<IoStatus>(IoStatus.Ok) : (_writeSignal ??= new LoopSignal(Loop)).WaitAsync();
    }

    /// <summary>Ends the reader's wait as if input had come, from the loop: for a reader that has stopped reading and is to look again.</summary>
    public void ResumeReader() => Loop.Defer(_readSignal, IoStatus.Ok);

    public void OnEvents(uint events)
    {
        bool hungUp = (events & (Libc.EPOLLRDHUP | Libc.EPOLLHUP | Libc.EPOLLERR)) != 0;
        if (hungUp) HungUp = true;
        if ((events & (Libc.EPOLLHUP | Libc.EPOLLERR)) != 0) IsDead = true;
        bool input = (events & (Libc.EPOLLIN | Libc.EPOLLRDHUP | Libc.EPOLLHUP | Libc.EPOLLERR)) != 0;
        bool output = (events & (Libc.EPOLLOUT | Libc.EPOLLHUP | Libc.EPOLLERR)) != 0;
        if (input) Readable = true;
        if (output) Writable = true;
        if (output && BeforeWritable is { } before)
        {
            before();
            output = Writable;
        }

        if (input || (output && WakeReaderOnWritable)) _readSignal.Complete(IoStatus.Ok);
        if (output && IsOpen) _writeSignal?.Complete(IoStatus.Ok);
        if (hungUp && IsOpen) HangUpNoticed?.Invoke();
    }

    /// <summary>Wakes whoever waits with <paramref name="status"/>, from the loop. The socket stays open.</summary>
    public void Interrupt(IoStatus status)
    {
        Loop.Defer(_readSignal, status);
        if (_writeSignal is { } writer) Loop.Defer(writer, status);
    }

    /// <summary>The loop is stopping: every wait, present and future, ends with <see cref="IoStatus.Closed"/>, so that the owner unwinds and closes.</summary>
    public void Abandon()
    {
        _abandoned = IoStatus.Closed;
        Interrupt(IoStatus.Closed);
    }

    public void Close(IoStatus status)
    {
        if (!IsOpen) return;
        Loop.Unregister(this);
        // Closing the only descriptor of the socket takes it out of the epoll set (epoll(7)).
        Libc.Close(Fd);
        Fd = -1;
        NativeCounts.Descriptors(-1);
        Interrupt(status);
    }

    private IoStatus Ended() => !IsOpen ? IoStatus.Closed : _abandoned;
}
