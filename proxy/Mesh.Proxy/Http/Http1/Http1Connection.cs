using Mesh.Proxy.Http.Http2;
using Mesh.Proxy.Http.Streams;
using Mesh.Proxy.Native;

namespace Mesh.Proxy.Http.Http1;

/// <summary>
/// What both ends of HTTP/1 connections share: a loop that reads as long as somebody takes what is read, the bodies of both directions, and the one
/// exchange that is under way, of which the connection itself is the stream. Holds no buffer while idle.
/// </summary>
internal abstract class Http1Connection : HttpStream, IOutputOwner
{
    /// <summary>Bytes of a body that may be with the handler before the connection is not read from any more.</summary>
    public const int MaxUnconsumed = 64 * 1024;

    protected InputBuffer Input;
    protected BodyReader Incoming;
    protected BodyWriter Outgoing;

    private HeaderBlock? _block;
    private Http1End _end;
    private bool _abort;
    private bool _starved = true;
    private bool _paused;
    private int _unconsumed;
    private int _unsent;

    protected Http1Connection(Transport transport)
    {
        Transport = transport;
        Output = new OutputQueue(transport, this);
        Input = new InputBuffer(transport.Loop.Buffers);
    }

    public Transport Transport { get; }

    /// <summary>Exchanges begun so far.</summary>
    public long Exchanges { get; private set; }

    /// <summary>An exchange is under way.</summary>
    public bool IsBusy { get; private set; }

    protected OutputQueue Output { get; }

    protected bool HasEnded => _end.Kind != Http1EndKind.None;

    /// <summary>The block of the head or the trailers that are being read.</summary>
    protected HeaderBlock Block => _block ??= HeaderBlocks.Rent();

    /// <summary>Whether input is wanted now.</summary>
    protected abstract bool MayTake { get; }

    /// <summary>Whether a peer that is dead must be noticed while nothing is read from it: what is read later may be of no use then.</summary>
    protected abstract bool MindsDeath { get; }

    /// <summary>Reads until the connection has ended and all that is to be written has been. The caller closes the transport then; closing it before ends this.</summary>
    public async ValueTask<Http1End> RunAsync()
    {
        try
        {
            while (!HasEnded)
            {
                var status = _starved ? await Transport.ReadableAsync() : IoStatus.Ok;
                if (HasEnded) break;
                if (status == IoStatus.Ok && !MayTake)
                {
                    status = IoStatus.Reset;
                    if (!MindsDeath || !Transport.Socket.IsDead)
                    {
                        _paused = true;
                        status = await Transport.Socket.WaitForInput();
                        _paused = false;
                        if (HasEnded) break;
                        if (status == IoStatus.Ok) continue;
                    }
                }

                if (status == IoStatus.Ok && _starved) status = Input.Read(Transport).Status;
                if (status == IoStatus.Ok) _starved = Take();
                else if (status != IoStatus.WouldBlock) InputEnded(status);
                Input.ReleaseIfEmpty();
            }
        }
        catch
        {
            _abort = true;
            throw;
        }
        finally
        {
            Stopping();
            if (IsBusy) CloseStream().OnClosed(this, Http1End.FaultOf(IoStatus.Closed));
            Input.Release();
            ReleaseBlock();
            Output.EndWhenWritten();
            if (_abort) Transport.Abort();
            else Output.Flush();
            await Output.StopAsync();
        }

        return _end;
    }

    public override void SendData(ReadOnlySpan<byte> data, bool end)
    {
        if (!IsBusy) return;
        if (!Outgoing.TryWrite(Output, data, end))
        {
            BrokenPromise();
            return;
        }

        Output.FlushIfLarge();
        if (!data.IsEmpty) Sent(data.Length);
        if (end && IsBusy) OutgoingEnded();
    }

    public override void SendTrailers(HeaderBlock fields)
    {
        if (!IsBusy) return;
        if (Outgoing.TryWriteTrailers(Output, fields)) OutgoingEnded();
        else BrokenPromise();
    }

    public override void Reset(Http2ErrorCode code)
    {
        if (!IsBusy) return;
        CloseStream();
        End(new Http1End(Http1EndKind.Aborted), abort: true);
        Transport.Abort();
    }

    public override void Consumed(int bytes)
    {
        _unconsumed = Math.Max(0, _unconsumed - bytes);
        Resume();
    }

    public void OnRoom()
    {
        if (IsBusy && _unsent > 0)
        {
            var sent = _unsent;
            _unsent = 0;
            Handler.OnSent(this, sent);
        }

        Resume();
    }

    public abstract void OnWriteFailed(IoStatus status);

    /// <summary>Uses what was read as far as it is wanted now. Gives whether nothing more can be done without further input.</summary>
    protected abstract bool Take();

    /// <summary>A read, or a wait for one, said something other than bytes.</summary>
    protected abstract void InputEnded(IoStatus status);

    /// <summary>All of the message that comes in has been read; its end is delivered next, if there is an exchange.</summary>
    protected abstract void IncomingEnded();

    /// <summary>The message that goes out has been put in the queue to its end.</summary>
    protected abstract void OutgoingEnded();

    /// <summary>The reading is over, whatever the reason.</summary>
    protected abstract void Stopping();

    protected bool HasRoomForData => _unconsumed <= MaxUnconsumed;

    protected void OpenStream()
    {
        IsBusy = true;
        Exchanges++;
        _unconsumed = _unsent = 0;
        Outgoing.Clear();
    }

    /// <summary>The exchange is over; gives who is to be told. The stream may be opened again at once.</summary>
    protected IStreamHandler CloseStream()
    {
        var handler = Handler;
        Handler = null!;
        IsBusy = false;
        _unconsumed = 0;
        return handler;
    }

    /// <summary>The connection ends for this reason, which is the first and stands. What is in the queue is written before, unless it is to <paramref name="abort"/>.</summary>
    protected virtual void End(Http1End end, bool abort)
    {
        if (HasEnded) return;
        (_end, _abort) = (end, abort);
        Wake();
    }

    /// <summary>The connection breaks, and with it the exchange.</summary>
    protected void Lose(Http1End end, StreamFault fault)
    {
        End(end, abort: true);
        if (IsBusy) CloseStream().OnClosed(this, fault);
    }

    /// <summary>Makes the reader look again, wherever it waits.</summary>
    protected void Wake() => Transport.Socket.ResumeReader();

    /// <summary>Makes the reader go on if it has stopped and may.</summary>
    protected void Resume()
    {
        if (_paused && MayTake) Wake();
    }

    /// <summary>Delivers what was read of a body. The fault is None unless the body is malformed; nothing is delivered then.</summary>
    protected Http1Fault TakeBody()
    {
        var input = Input.Bytes;
        var status = Incoming.Read(input, Block, out var consumed, out var range, out var fault);
        if (status == BodyStatus.Refused) return fault;
        Input.Consume(consumed);
        if (status == BodyStatus.Complete) IncomingEnded();
        if (IsBusy) Deliver(input[range], status == BodyStatus.Complete);
        if (status == BodyStatus.Complete || Block.Count == 0) ReleaseBlock();
        return Http1Fault.None;
    }

    protected void ReleaseBlock()
    {
        if (_block is { } block) HeaderBlocks.Return(block);
        _block = null;
    }

    private void Deliver(ReadOnlySpan<byte> data, bool complete)
    {
        var trailers = complete && Block.Count > 0;
        _unconsumed += data.Length;
        if (!data.IsEmpty || (complete && !trailers)) Handler.OnData(this, data, end: complete && !trailers);
        if (trailers && IsBusy) Handler.OnTrailers(this, Block);
    }

    /// <summary>Tells that data take no memory, or remembers to when the queue has room again.</summary>
    private void Sent(int bytes)
    {
        if (!Output.HasFailed && Output.IsCongested) _unsent += bytes;
        else Handler.OnSent(this, bytes);
    }

    private void BrokenPromise() => Lose(new Http1End(Http1EndKind.Aborted), new StreamFault(StreamFaultKind.ConnectionLost, Http2ErrorCode.InternalError));
}
