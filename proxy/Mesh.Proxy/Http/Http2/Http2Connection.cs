using Mesh.Proxy.Http.Hpack;
using Mesh.Proxy.Http.Streams;
using Mesh.Proxy.Native;

namespace Mesh.Proxy.Http.Http2;

/// <summary>
/// An HTTP/2 connection of either role (RFC 9113) over a transport of the loop. What is received is handed to the handlers of its streams from the
/// read buffer; what is sent is collected and written once per turn. Nothing is allocated for a request in steady state.
/// </summary>
/// <remarks>
/// This part: life of the connection and of its streams. The part <c>.Receive</c> takes frames, the part <c>.Send</c> makes them. Handlers are told of
/// the end of a stream by <see cref="SettleClosed"/>, never within one of their own calls.
/// </remarks>
internal sealed partial class Http2Connection : IOutputOwner, IFlushable
{
    // Before the peer has said how many it takes.
    private const int StreamsBeforeSettings = 100;

    // Streams kept for reuse; more were open at once only in a burst.
    private const int MaxIdleStreams = 64;

    private readonly Transport _transport;
    private readonly Http2Options _options;
    private readonly IRequestHandler? _requests;
    private readonly OutputQueue _output;
    private readonly HpackDecoder _decoder = new();
    private readonly HpackEncoder _encoder;
    private readonly HeaderBlock _fields = new();
    private readonly FieldBlockAssembly _assembly = new();
    private readonly StreamIds _ids;
    private readonly Dictionary<int, Http2Stream> _streams = [];
    private readonly Stack<Http2Stream> _idle = new();
    private readonly Queue<Closing> _closed = new();
    private readonly LoopTimer _tick;
    private PeerSettings _peer = new();
    private FloodGuard _guard;
    private Http2End? _end;
    private bool _settingsSeen;
    private bool _goAwaySent;
    private bool _goAwaySeen;
    private bool _draining;
    private bool _settleScheduled;

    public Http2Connection(Transport transport, Http2Options options, IRequestHandler? requests)
    {
        _transport = transport;
        _options = options;
        _requests = requests;
        _output = new OutputQueue(transport, this);
        _encoder = new HpackEncoder(options.Huffman);
        _ids = new StreamIds(options.Role);
        _guard = new FloodGuard(transport.Loop.Now);
        _receiveWindow = new ReceiveWindow(options.MaxHeld);
        _tick = transport.Loop.Timer(static state => ((Http2Connection)state!).Tick(), this);
    }

    /// <summary>A settings' value of RFC 8441 was seen: the peer takes extended CONNECT.</summary>
    public bool PeerTakesExtendedConnect => _peer.EnableConnectProtocol;

    /// <summary>Told when streams can be opened or no longer can. Client role only.</summary>
    public IHttp2Owner? Owner { get; set; }

    public EventLoop Loop => _transport.Loop;

    public Transport Transport => _transport;

    /// <summary>Streams that are open.</summary>
    public int StreamCount => _streams.Count + _unsent;

    /// <summary>Whether <see cref="Open"/> may be called.</summary>
    public bool CanOpen => _end is null && !_draining && !_goAwaySeen && StreamCount < StreamLimit && _ids.Last < int.MaxValue - 2;

    /// <summary>No stream can be opened any more.</summary>
    public bool IsGoingAway => _end is not null || _draining || _goAwaySeen || _ids.Last >= int.MaxValue - 2;

    private int StreamLimit => _settingsSeen ? (int)Math.Min(_peer.MaxConcurrentStreams, int.MaxValue) : StreamsBeforeSettings;

    /// <summary>Opens a stream for a request of ours, whose head is sent next. Only when <see cref="CanOpen"/>.</summary>
    public HttpStream Open(IStreamHandler handler)
    {
        if (!CanOpen) throw new InvalidOperationException("The connection takes no further stream.");
        var stream = Rent(id: 0);
        stream.Handler = handler;
        _unsent++;
        return stream;
    }

    /// <summary>
    /// Serves the connection to its end and says how it ended. The transport is left for the caller to close: what was to be said has been said, or
    /// could not be. Handlers of open streams have been told.
    /// </summary>
    public async ValueTask<Http2End> RunAsync()
    {
        SendPreface();
        _lastRead = Loop.Now;
        _frameBegan = Loop.Now;
        Tick();
        try
        {
            await ReadAsync();
        }
        finally
        {
            _tick.Stop();
            _end ??= new Http2End(Http2EndKind.Stopped, Http2Fault.None, IoStatus.Closed);
            LoseStreams();
            SettleClosed();
        }

        if (_end is { Kind: Http2EndKind.Closed or Http2EndKind.Fault }) await Lingering.EndAsync(_transport, _output);
        await _output.StopAsync();
        return _end ?? default;
    }

    /// <summary>
    /// Takes no new streams and ends when those that are open have ended. As a server it says so with GOAWAY, first with the highest id, since
    /// requests may be under way, and with the last one taken a second later (RFC 9113 section 6.8).
    /// </summary>
    public void BeginDrain()
    {
        if (_draining || _end is not null) return;
        _draining = true;
        if (_options.Role == Http2Role.Server)
        {
            WriteGoAway(int.MaxValue, Http2ErrorCode.NoError);
            _drainAt = Loop.Now + DrainNotice;
            _tick.Arm(DrainNotice);
        }

        EndIfDrained();
    }

    /// <summary>Ends the connection now; streams are lost.</summary>
    public void Stop() => End(new Http2End(Http2EndKind.Stopped, Http2Fault.None, IoStatus.Closed));

    /// <summary>Settles streams that ended in calls of their handlers.</summary>
    void IFlushable.Flush()
    {
        _settleScheduled = false;
        SettleClosed();
    }

    void IOutputOwner.OnRoom() => SendPending();

    void IOutputOwner.OnWriteFailed(IoStatus status) => End(new Http2End(Http2EndKind.Lost, Http2Fault.None, status));

    private void Fail(Http2Fault fault)
    {
        if (_end is not null) return;
        _options.Faulted?.Invoke(fault);
        WriteGoAway(_options.Role == Http2Role.Server ? _ids.Last : 0, Http2Faults.Code(fault));
        End(new Http2End(Http2EndKind.Fault, fault, IoStatus.Ok));
    }

    private void End(Http2End end)
    {
        if (_end is not null) return;
        _end = end;
        // The reader may be waiting for a peer that has nothing more to say.
        _transport.Interrupt(IoStatus.Closed);
        Owner?.OnGoingAway(this);
    }

    private void EndIfDrained()
    {
        if (_draining && StreamCount == 0 && (_options.Role == Http2Role.Client || _goAwaySent)) End(new Http2End(Http2EndKind.Closed, Http2Fault.None, IoStatus.Ok));
    }

    private Http2Stream Rent(int id)
    {
        var stream = _idle.Count > 0 ? _idle.Pop() : new Http2Stream(this);
        stream.Begin(id, _peer.InitialWindowSize, _options.StreamWindow);
        return stream;
    }

    /// <summary>The stream is over: out of the tables at once, its handler told (unless it asked for it) when no call of it is on the stack.</summary>
    private void Close(Http2Stream stream, StreamState how, StreamFault fault, bool tell = true)
    {
        stream.State = how;
        if (stream.Id == 0)
        {
            _unsent--;
        }
        else
        {
            _streams.Remove(stream.Id);
            _ids.Close(stream.Id, how);
        }

        if (ReferenceEquals(_dataStream, stream)) _dataStream = null;
        stream.DropPending();
        // What its handler has not given back will not be given back.
        if (stream.Held > 0) ReleaseHeld(stream, stream.Held);
        _closed.Enqueue(new Closing(stream, fault, tell));
        if (_settleScheduled) return;
        _settleScheduled = true;
        Loop.AtEndOfTurn(this);
    }

    private void SettleClosed()
    {
        var couldOpen = _closed.Count > 0;
        while (_closed.TryDequeue(out var closing))
        {
            var stream = closing.Stream;
            if (closing.Tell) stream.Handler.OnClosed(stream, closing.Fault);
            stream.Handler = null!;
            // A stream that is still in the round of senders is left to the collector: the round would find another exchange in its place.
            if (!stream.IsQueued && _idle.Count < MaxIdleStreams) _idle.Push(stream);
        }

        if (!couldOpen) return;
        EndIfDrained();
        if (CanOpen) Owner?.OnRoomForStream(this);
    }

    private void LoseStreams()
    {
        var fault = new StreamFault(_end!.Value.Kind == Http2EndKind.Stopped ? StreamFaultKind.Stopped : StreamFaultKind.ConnectionLost, Http2ErrorCode.InternalError);
        foreach (var stream in _streams.Values.ToArray()) Close(stream, StreamState.ResetByPeer, fault);
    }

    private void Tick()
    {
        var now = Loop.Now;
        if (_drainAt is { } at && now >= at && !_goAwaySent)
        {
            _goAwaySent = true;
            WriteGoAway(_ids.Last, Http2ErrorCode.NoError);
            EndIfDrained();
        }

        if (_end is not null) return;
        var frameTimeout = (long)_options.FrameTimeout.TotalMilliseconds;
        if (_frameBegan is { } began && now - began >= frameTimeout)
        {
            Fail(Http2Fault.FrameTooSlow);
            return;
        }

        var next = frameTimeout - (now - (_frameBegan ?? now));
        if (_options.KeepAliveInterval != Timeout.InfiniteTimeSpan)
        {
            var interval = (long)_options.KeepAliveInterval.TotalMilliseconds;
            var timeout = (long)_options.KeepAliveTimeout.TotalMilliseconds;
            if (_pingSent is { } sent && now - sent >= timeout)
            {
                End(new Http2End(Http2EndKind.KeepAliveTimeout, Http2Fault.None, IoStatus.TimedOut));
                return;
            }

            if (_pingSent is null && now - _lastRead >= interval)
            {
                _pingSent = now;
                WritePing(FrameFlags.None, "mesh-ka\0"u8);
            }

            next = Math.Min(next, _pingSent is { } pinged ? timeout - (now - pinged) : Math.Max(1, interval - (now - _lastRead)));
        }

        if (_drainAt is { } notice && !_goAwaySent) next = Math.Min(next, Math.Max(1, notice - now));
        _tick.Arm(next);
    }

    private readonly record struct Closing(Http2Stream Stream, StreamFault Fault, bool Tell);
}
