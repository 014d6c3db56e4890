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

    private readonly ByteQueue _bytes = new(transport.Loop.Buffers);
    private bool _scheduled;
    private bool _congested;
    private bool _failed;
    private bool _waits;
    private bool _ends;
    private bool _endSent;
    private Task _drained = Task.CompletedTask;

    /// <summary>Bytes that wait.</summary>
    public int Size => _bytes.Size;

    /// <summary>Whether who can wait should. Who was told so is told of room by <see cref="IOutputOwner.OnRoom"/>.</summary>
    public bool IsCongested => _congested |= Size >= HighWater;

    /// <summary>Nothing that is put in will be written.</summary>
    public bool HasFailed => _failed;

    /// <summary>Room for <paramref name="size"/> bytes, at most <see cref="NativeBuffers.Large"/>, that will be written after what is here; <see cref="Commit"/> says how many of them.</summary>
    public Span<byte> Reserve(int size) => _bytes.Reserve(size);

    public void Commit(int size)
    {
        _bytes.Commit(size);
        Schedule();
    }

    public void Append(ReadOnlySpan<byte> bytes)
    {
        if (_failed) return;
        _bytes.Append(bytes);
        Schedule();
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
        _bytes.Clear();
    }

    private void Schedule()
    {
        if (_failed) _bytes.Clear();
        if (_scheduled || _waits || _failed) return;
        _scheduled = true;
        transport.Loop.AtEndOfTurn(this);
    }

    private IoStatus WriteOut()
    {
        while (!_bytes.IsEmpty)
        {
            var result = transport.Write(_bytes.First);
            if (result.Status != IoStatus.Ok) return result.Status;
            _bytes.Advance(result.Bytes);
        }

        return IoStatus.Ok;
    }

    private async Task DrainAsync()
    {
        _waits = true;
        var status = IoStatus.WouldBlock;
        // OnRoom may have put more in while this method was the one that writes.
        while (status == IoStatus.WouldBlock || (status == IoStatus.Ok && Size > 0))
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
        _bytes.Clear();
        owner.OnWriteFailed(status);
    }
}
