using Mesh.Proxy.Native;

namespace Mesh.Proxy.Http.Streams;

/// <summary>Whoever fills an <see cref="OutputQueue"/>.</summary>
internal interface IOutputOwner
{
    /// <summary>The queue was congested and is no longer: more may be put in. Called on the loop, not from within a call to the queue.</summary>
    void OnRoom();

    /// <summary>The transport takes nothing any more. What was queued is gone. Called at most once, on the loop, not from within a call to the queue but <see cref="OutputQueue.Flush"/>.</summary>
    void OnWriteFailed(IoStatus status);
}

/// <summary>
/// What is to be written to one transport. Collected during a turn of the loop and written at its end, so that the frames of many exchanges share TLS
/// records and system calls; earlier when there is so much of it that waiting would only cost cache. Holds no buffer while empty.
/// </summary>
internal sealed class OutputQueue(Transport transport, IOutputOwner owner) : IFlushable
{
    /// <summary>Bytes from which the queue is congested: who can wait should. Several turns of a fast peer.</summary>
    public const int HighWater = 256 * 1024;

    /// <summary>Bytes below which a congested queue has room again.</summary>
    public const int LowWater = 64 * 1024;

    private readonly Queue<Piece> _full = new();
    private NativeBuffer? _last;
    private int _lastStart;
    private int _lastEnd;
    private bool _scheduled;
    private bool _congested;
    private bool _failed;
    private bool _waits;
    private bool _ends;
    private bool _endSent;
    private Task _drained = Task.CompletedTask;

    /// <summary>Bytes that wait.</summary>
    public int Size { get; private set; }

    /// <summary>Whether who can wait should. Who was told so is told of room by <see cref="IOutputOwner.OnRoom"/>.</summary>
    public bool IsCongested => _congested |= Size >= HighWater;

    /// <summary>Nothing that is put in will be written.</summary>
    public bool HasFailed => _failed;

    /// <summary>Room for <paramref name="size"/> bytes, at most <see cref="NativeBuffers.Large"/>, that will be written after what is here; <see cref="Commit"/> says how many of them.</summary>
    public Span<byte> Reserve(int size)
    {
        if (_last is { } last)
        {
            if (last.Length - _lastEnd >= size) return last.Span[_lastEnd..];
            Seal();
        }

        // Small replies share one small buffer; who needs more gets the size of bulk.
        _last = transport.Loop.Buffers.Rent(Math.Max(size, Size > 0 ? NativeBuffers.Large : 0));
        _lastStart = _lastEnd = 0;
        return _last.Span;
    }

    public void Commit(int size)
    {
        _lastEnd += size;
        Size += size;
        Schedule();
    }

    public void Append(ReadOnlySpan<byte> bytes)
    {
        while (!bytes.IsEmpty)
        {
            if (_last is null || _last.Length == _lastEnd) Reserve(Math.Min(bytes.Length, NativeBuffers.Large));
            var take = Math.Min(bytes.Length, _last!.Length - _lastEnd);
            bytes[..take].CopyTo(_last.Span[_lastEnd..]);
            Commit(take);
            bytes = bytes[take..];
        }
    }

    /// <summary>Says the end of this direction when everything has been written: FIN, over TLS after close_notify.</summary>
    public void EndWhenWritten()
    {
        _ends = true;
        Schedule();
    }

    /// <summary>Writes what goes now. Called by the loop at the end of the turn.</summary>
    public void Flush()
    {
        _scheduled = false;
        // Who waits for the socket writes when it has room.
        if (_waits || _failed) return;
        var status = WriteOut();
        if (status == IoStatus.WouldBlock || (status == IoStatus.Ok && _ends && !_endSent)) _drained = DrainAsync();
        else if (status != IoStatus.Ok) Fail(status);
        TellRoom();
    }

    /// <summary>Writes now if there is enough for a bulk transfer's system call.</summary>
    public void FlushIfLarge()
    {
        // A failure is told at the end of the turn, not within a call of the owner's: the transport will say it again.
        if (Size >= NativeBuffers.BulkSize && !_waits && !_failed) _ = WriteOut();
    }

    /// <summary>Completes when no code of the queue is at work any more; the transport has been closed before. After this nothing is held.</summary>
    public async ValueTask StopAsync()
    {
        _failed = true;
        await _drained;
        Drop();
    }

    private void Schedule()
    {
        if (_scheduled || _waits || _failed) return;
        _scheduled = true;
        transport.Loop.AtEndOfTurn(this);
    }

    private void Seal()
    {
        if (_lastEnd > _lastStart) _full.Enqueue(new Piece(_last!, _lastStart, _lastEnd));
        else _last!.Return();
        _last = null;
    }

    private IoStatus WriteOut()
    {
        while (Size > 0)
        {
            IoResult result;
            if (_full.TryPeek(out var piece))
            {
                result = transport.Write(piece.Buffer.Span[piece.Start..piece.End]);
                if (result.Status == IoStatus.Ok)
                {
                    piece.Start += result.Bytes;
                    if (piece.Start == piece.End)
                    {
                        _full.Dequeue();
                        piece.Buffer.Return();
                    }
                }
            }
            else
            {
                result = transport.Write(_last!.Span[_lastStart.._lastEnd]);
                if (result.Status == IoStatus.Ok) _lastStart += result.Bytes;
            }

            if (result.Status != IoStatus.Ok) return result.Status;
            Size -= result.Bytes;
        }

        _last?.Return();
        _last = null;
        return IoStatus.Ok;
    }

    private async Task DrainAsync()
    {
        _waits = true;
        var status = IoStatus.WouldBlock;
        while (status == IoStatus.WouldBlock)
        {
            status = Size == 0 ? IoStatus.Ok : await transport.WritableAsync();
            if (status == IoStatus.Ok) status = WriteOut();
            if (status == IoStatus.Ok && _ends && !_endSent)
            {
                _endSent = true;
                status = await transport.ShutdownWriteAsync();
            }

            TellRoom();
        }

        _waits = false;
        if (status != IoStatus.Ok) Fail(status);
        // What the owner put in when it was told of room could not be scheduled.
        else if (Size > 0 || (_ends && !_endSent)) Schedule();
    }

    private void TellRoom()
    {
        if (!_congested || _failed || Size >= LowWater) return;
        _congested = false;
        owner.OnRoom();
    }

    private void Fail(IoStatus status)
    {
        if (_failed) return;
        _failed = true;
        Drop();
        owner.OnWriteFailed(status);
    }

    private void Drop()
    {
        while (_full.TryDequeue(out var piece)) piece.Buffer.Return();
        _last?.Return();
        _last = null;
        Size = 0;
    }

    private sealed class Piece(NativeBuffer buffer, int start, int end)
    {
        public NativeBuffer Buffer { get; } = buffer;
        public int Start { get; set; } = start;
        public int End { get; } = end;
    }
}
