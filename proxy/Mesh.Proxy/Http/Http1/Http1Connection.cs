using Mesh.Proxy.Http.Streams;
using Mesh.Proxy.Native;

namespace Mesh.Proxy.Http.Http1;

/// <summary>
/// What both ends of an HTTP/1 connection do alike: read bytes when they are wanted, take bodies out of their framing, put them into it, and write at
/// the end of the turn. One exchange at a time, so that the connection is its own stream. An idle connection holds no buffer.
/// </summary>
internal abstract class Http1Connection : HttpStream, IOutputOwner
{
    // What a receiver may have in hand before its peer is read again: enough to keep both sides busy.
    private const int MaxUnconsumed = 64 * 1024;

    private readonly LoopSignal _wake;
    private NativeBuffer? _input;
    private int _start;
    private int _length;
    private bool _bulk;
    private int _unconsumed;
    private int _unsentCredit;
    private ChunkedDecoder? _chunks;
    private BodyFraming _receiving;
    private long _receivingLeft;
    private BodyFraming _sending;
    private long _sendingLeft;

    protected Http1Connection(Transport transport)
    {
        Transport = transport;
        Output = new OutputQueue(transport, this);
        _wake = new LoopSignal(transport.Loop);
        transport.Socket.HangUpNoticed = OnHangUp;
    }

    public override HttpVersion Version => HttpVersion.Http11;

    protected Transport Transport { get; }

    protected OutputQueue Output { get; }

    protected HeaderBlock Fields { get; } = new();

    /// <summary>How it ended, once it has.</summary>
    protected Http1End? Ended { get; private set; }

    /// <summary>An exchange is under way.</summary>
    protected bool IsActive { get; set; }

    /// <summary>What the peer sends next in this exchange is body, in the framing of its head.</summary>
    protected bool ReceivesBody { get; private set; }

    /// <summary>The peer's message of this exchange is complete.</summary>
    protected bool HasReceived { get; set; }

    /// <summary>Our message of this exchange is complete.</summary>
    protected bool HasSent { get; set; }

    /// <summary>After 101, or 2xx to CONNECT: both directions are bytes.</summary>
    protected bool IsTunnel { get; private set; }

    /// <summary>Bytes that were read and not taken.</summary>
    protected bool HasInput => _length > 0;

    /// <summary>Whether the next bytes of the peer are wanted now.</summary>
    protected abstract bool WantsInput { get; }

    /// <summary>Body is under way, and what was delivered of it is passed on fast enough.</summary>
    protected bool WantsBody => ReceivesBody && _unconsumed < MaxUnconsumed;

    public override void SendData(ReadOnlySpan<byte> data, bool end)
    {
        if (!IsActive || HasSent) return;
        if (!data.IsEmpty) Write(data);
        if (end) WriteEnd(null);
        else Output.FlushIfLarge();
    }

    public override void SendTrailers(HeaderBlock fields)
    {
        if (IsActive && !HasSent) WriteEnd(fields);
    }

    public override void Consumed(int bytes)
    {
        var waited = _unconsumed >= MaxUnconsumed;
        _unconsumed -= bytes;
        if (waited && _unconsumed < MaxUnconsumed) Wake();
    }

    void IOutputOwner.OnRoom()
    {
        var credit = _unsentCredit;
        _unsentCredit = 0;
        if (credit > 0 && IsActive) Handler.OnSent(this, credit);
    }

    void IOutputOwner.OnWriteFailed(IoStatus status) => OnWriteFailed(status);

    /// <summary>Reads and takes until the connection has ended; says the last word, and waits for the peer to read it.</summary>
    protected async ValueTask<Http1End> ServeAsync()
    {
        try
        {
            while (Ended is null)
            {
                if (HasInput && WantsInput && Take()) continue;
                if (Ended is not null) break;
                if (HasInput && !WantsInput)
                {
                    // Whoever makes it wanted wakes us.
                    await _wake.WaitAsync();
                    continue;
                }

                var status = await Transport.ReadableAsync();
                if (Ended is not null) break;
                if (status != IoStatus.Ok) OnEndOfInput(status);
                else if (WantsInput) ReadOnce();
                else await _wake.WaitAsync();
            }
        }
        finally
        {
            Transport.Socket.HangUpNoticed = null;
            End(new Http1End(Http1EndKind.Aborted));
            _input?.Return();
            _input = null;
            _length = 0;
        }

        if (Ended is { Kind: Http1EndKind.Closed or Http1EndKind.Malformed or Http1EndKind.HeadTimeout }) await Lingering.EndAsync(Transport, Output);
        await Output.StopAsync();
        return Ended ?? default;
    }

    /// <summary>Takes a head, if one is complete. False when more input is needed.</summary>
    protected abstract bool TakeHead(ReadOnlySpan<byte> input, out int taken);

    /// <summary>The peer ended, or the transport failed, while input was wanted.</summary>
    protected abstract void OnEndOfInput(IoStatus status);

    /// <summary>Nothing can be sent any more.</summary>
    protected abstract void OnWriteFailed(IoStatus status);

    /// <summary>The peer's body breaks its framing.</summary>
    protected abstract void OnBadBody(Http1Fault fault);

    /// <summary>One of the two messages has become complete.</summary>
    protected abstract void OnProgress();

    /// <summary>The peer's FIN or reset was announced.</summary>
    protected virtual void OnHangUp()
    {
    }

    /// <summary>The connection is over when <see cref="ServeAsync"/> sees it: the first reason stands.</summary>
    protected void End(Http1End end)
    {
        if (Ended is not null) return;
        Ended = end;
        if (end.Kind is Http1EndKind.Aborted or Http1EndKind.Lost) Transport.Abort();
        else Transport.Interrupt(IoStatus.Closed);
        Wake();
    }

    /// <summary>The reader goes on, in a later turn, if it waits for something other than input.</summary>
    protected void Wake() => Transport.Loop.Defer(_wake, IoStatus.Ok);

    protected void BeginExchange()
    {
        IsActive = true;
        HasReceived = HasSent = ReceivesBody = IsTunnel = false;
        _unconsumed = _unsentCredit = 0;
    }

    protected void BeginBody(BodyFraming framing)
    {
        _receiving = framing;
        _receivingLeft = framing.Length;
        ReceivesBody = true;
        if (framing.Kind != BodyKind.Chunked) return;
        (_chunks ??= new ChunkedDecoder()).Reset();
        // Trailers go where the head was.
        Fields.Clear();
    }

    protected void BeginTunnel()
    {
        IsTunnel = true;
        _sending = BodyFraming.Tunnel;
        BeginBody(BodyFraming.Tunnel);
        Wake();
    }

    /// <summary>Puts a head of ours in the queue; what follows is sent in its framing.</summary>
    protected void BeginSending(BodyFraming framing)
    {
        _sending = framing;
        _sendingLeft = framing.Length;
    }

    /// <summary>The peer's side of a tunnel, or of a body that ends with the connection, has ended in order. False when the body promised more.</summary>
    protected bool TryEndWithInput()
    {
        if (!ReceivesBody || _receiving.Kind is not (BodyKind.Tunnel or BodyKind.UntilClose)) return false;
        ReceivesBody = false;
        HasReceived = true;
        Handler.OnData(this, default, end: true);
        if (IsActive) OnProgress();
        return true;
    }

    /// <summary>Ends our message: the framing's end, and trailers where they can be.</summary>
    protected void WriteEnd(HeaderBlock? trailers)
    {
        switch (_sending.Kind)
        {
            case BodyKind.Chunked when trailers is { Count: > 0 }:
                var size = trailers.ListSize + 8;
                if (ChunkWriter.TryWriteEnd(trailers, Output.Reserve(size), out var written)) Output.Commit(written);
                break;
            case BodyKind.Chunked:
                Output.Append(ChunkWriter.LastChunk);
                break;
            case BodyKind.Tunnel:
                Output.EndWhenWritten();
                break;
            case BodyKind.Length when _sendingLeft > 0:
                // Less than was promised: the peer must not take the part for the whole.
                Fail(StreamFaultKind.Stopped);
                End(new Http1End(Http1EndKind.Aborted));
                return;
        }

        HasSent = true;
        OnProgress();
    }

    /// <summary>The exchange is lost; its handler hears of it.</summary>
    protected void Fail(StreamFaultKind kind, bool wasIdle = false)
    {
        if (!IsActive) return;
        IsActive = false;
        Handler.OnClosed(this, new StreamFault(kind, Http2.Http2ErrorCode.InternalError) { WasIdle = wasIdle });
    }

    /// <summary>The exchange is complete.</summary>
    protected void Finish()
    {
        IsActive = false;
        Handler.OnClosed(this, StreamFault.None);
    }

    private void Write(ReadOnlySpan<byte> data)
    {
        var sent = data.Length;
        switch (_sending.Kind)
        {
            case BodyKind.None:
                break;
            case BodyKind.Length:
                data = data[..(int)Math.Min(data.Length, _sendingLeft)];
                _sendingLeft -= data.Length;
                Output.Append(data);
                break;
            case BodyKind.Chunked:
                WriteChunk(data);
                break;
            default:
                Output.Append(data);
                break;
        }

        if (Output.IsCongested) _unsentCredit += sent;
        else Handler.OnSent(this, sent);
    }

    private void WriteChunk(ReadOnlySpan<byte> data)
    {
        Span<byte> prefix = stackalloc byte[ChunkWriter.MaxPrefix];
        var size = ChunkWriter.WritePrefixBefore(prefix, data.Length);
        Output.Append(prefix[^size..]);
        Output.Append(data);
        Output.Append(ChunkWriter.End);
    }

    private void ReadOnce()
    {
        if (_input is null)
        {
            _input = Transport.Loop.Buffers.Rent(_bulk ? NativeBuffers.BulkSize : NativeBuffers.Small);
            _start = 0;
        }
        else if (_start + _length == _input.Length)
        {
            // A line that is not complete moves to the front; none is longer than the buffer.
            _input.Span.Slice(_start, _length).CopyTo(_input.Span);
            _start = 0;
        }

        var room = _input.Span[(_start + _length)..];
        var read = Transport.Read(room);
        if (read.Status == IoStatus.Ok)
        {
            _bulk = ReceivesBody && read.Bytes == room.Length;
            _length += read.Bytes;
            return;
        }

        ReturnIfEmpty();
        if (read.Status != IoStatus.WouldBlock) OnEndOfInput(read.Status);
    }

    /// <summary>Takes what can be taken; false when nothing could.</summary>
    private bool Take()
    {
        var input = _input!.Span.Slice(_start, _length);
        int taken;
        var progress = ReceivesBody ? TakeBody(input, out taken) : TakeHead(input, out taken);
        _start += taken;
        _length -= taken;
        ReturnIfEmpty();
        return progress || taken > 0;
    }

    private void ReturnIfEmpty()
    {
        if (_length > 0 || _input is null) return;
        _input.Return();
        _input = null;
    }

    private bool TakeBody(Span<byte> input, out int taken)
    {
        taken = 0;
        switch (_receiving.Kind)
        {
            case BodyKind.Length:
                taken = (int)Math.Min(input.Length, _receivingLeft);
                _receivingLeft -= taken;
                Deliver(input[..taken], end: _receivingLeft == 0);
                return true;
            case BodyKind.Chunked:
                var status = _chunks!.Decode(input, Fields, out taken, out var data);
                if (status == ChunkStatus.Refused)
                {
                    OnBadBody(_chunks.Fault);
                    return false;
                }

                DeliverChunks(input[data], status == ChunkStatus.Complete);
                return taken > 0;
            default:
                taken = input.Length;
                Deliver(input, end: false);
                return true;
        }
    }

    private void DeliverChunks(ReadOnlySpan<byte> data, bool complete)
    {
        var trailers = complete && Fields.Count > 0;
        if (!data.IsEmpty || (complete && !trailers)) Deliver(data, complete && !trailers);
        if (!trailers || !IsActive) return;
        ReceivesBody = false;
        HasReceived = true;
        Handler.OnTrailers(this, Fields);
        if (IsActive) OnProgress();
    }

    private void Deliver(ReadOnlySpan<byte> data, bool end)
    {
        _unconsumed += data.Length;
        if (end)
        {
            ReceivesBody = false;
            HasReceived = true;
        }

        Handler.OnData(this, data, end);
        if (end && IsActive) OnProgress();
    }
}
