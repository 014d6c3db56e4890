using System.Net;
using System.Runtime.CompilerServices;

namespace Mesh.Proxy.Native;

/// <summary>
/// One connected byte stream, owned by a loop and touched on its thread only. At most one reader and one writer at a time. Errors are values;
/// after any other than <see cref="IoStatus.WouldBlock"/> the direction is finished. Disposing closes at once; what waits completes with <see cref="IoStatus.Closed"/>.
/// </summary>
internal abstract class Transport : IDisposable
{
    public abstract EventLoop Loop { get; }

    /// <summary>The descriptor below, for whoever stops reading and still wants to know whether the peer is there.</summary>
    internal abstract LoopSocket Socket { get; }

    public abstract IPEndPoint Local { get; }

    public abstract IPEndPoint Remote { get; }

    public abstract bool IsOpen { get; }

    /// <summary>Application bytes read so far.</summary>
    public long BytesIn { get; protected set; }

    /// <summary>Application bytes taken over for sending so far.</summary>
    public long BytesOut { get; protected set; }

    /// <summary>
    /// Completes when bytes, the end or an error can be read; holds no buffer meanwhile. May be wrong in the friendly direction: a read may still
    /// say <see cref="IoStatus.WouldBlock"/>. Anything but Ok is an answer by itself (closed, timed out).
    /// </summary>
    public abstract ValueTask<IoStatus> ReadableAsync();

    /// <summary>Reads what is there, up to the length of <paramref name="buffer"/> (at least 1).</summary>
    public abstract IoResult Read(Span<byte> buffer);

    /// <summary>
    /// Takes over as much of <paramref name="data"/> as goes now. After <see cref="IoStatus.WouldBlock"/> the next write must begin with the same
    /// bytes and be no shorter: a TLS record of them may be half sent.
    /// </summary>
    public abstract IoResult Write(ReadOnlySpan<byte> data);

    /// <summary>Completes when a write is worth a try.</summary>
    public abstract ValueTask<IoStatus> WritableAsync();

    /// <summary>Says that nothing more comes from this side: FIN; over TLS close_notify, then FIN. Reading goes on.</summary>
    public abstract ValueTask<IoStatus> ShutdownWriteAsync();

    /// <summary>Drops the connection so that the peer sees a reset, not an orderly end.</summary>
    public abstract void Abort();

    /// <summary>Makes current waits end with <paramref name="status"/>; the transport stays open. For timeouts.</summary>
    public abstract void Interrupt(IoStatus status);

    public abstract void Dispose();

    /// <summary>Writes all of <paramref name="data"/>, waiting while the peer does not take it. The memory must stay valid until completion.</summary>
    [AsyncMethodBuilder(typeof(LoopMethodBuilder<>))]
    public async ValueTask<IoStatus> WriteAllAsync(ReadOnlyMemory<byte> data)
    {
        while (!data.IsEmpty)
        {
            IoResult result = Write(data.Span);
            if (result.Status == IoStatus.Ok) data = data[result.Bytes..];
            else if (result.Status != IoStatus.WouldBlock) return result.Status;
            else if (await WritableAsync() is var status and not IoStatus.Ok) return status;
        }

        return IoStatus.Ok;
    }
}
