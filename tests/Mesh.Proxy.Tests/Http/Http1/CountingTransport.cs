using System.Net;
using Mesh.Proxy.Native;

namespace Mesh.Proxy.Tests.Http.Http1;

/// <summary>Counts the calls that read or write: over TCP each is one of the system.</summary>
internal sealed class CountingTransport(Transport inner) : Transport
{
    public int Reads { get; private set; }

    public int Writes { get; private set; }

    public override EventLoop Loop => inner.Loop;

    public override IPEndPoint Local => inner.Local;

    public override IPEndPoint Remote => inner.Remote;

    public override bool IsOpen => inner.IsOpen;

    internal override LoopSocket Socket => inner.Socket;

    public override ValueTask<IoStatus> ReadableAsync() => inner.ReadableAsync();

    public override IoResult Read(Span<byte> buffer)
    {
        Reads++;
        return inner.Read(buffer);
    }

    public override IoResult Write(ReadOnlySpan<byte> data)
    {
        Writes++;
        return inner.Write(data);
    }

    public override ValueTask<IoStatus> WritableAsync() => inner.WritableAsync();

    public override ValueTask<IoStatus> ShutdownWriteAsync() => inner.ShutdownWriteAsync();

    public override void Abort() => inner.Abort();

    public override void Interrupt(IoStatus status) => inner.Interrupt(status);

    public override void Dispose() => inner.Dispose();
}
