using Mesh.Proxy.Native;

namespace Mesh.Proxy.Http.Streams;

/// <summary>Ends a connection so that the peer reads what was said last: closing with input unread would send a reset that overtakes it (RFC 9112 section 9.6).</summary>
internal static class Lingering
{
    /// <summary>A peer that has been told to stop and sends on is cut after this many bytes.</summary>
    private const int MaxBytes = 1024 * 1024;

    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(1);

    /// <summary>Writes what is queued, then the end, and reads and drops what comes until the peer ends too; for a second, or 1 MB, at most.</summary>
    public static async ValueTask EndAsync(Transport transport, OutputQueue output)
    {
        output.EndWhenWritten();
        output.Flush();
        var timer = transport.Loop.Timer(static state => ((Transport)state!).Interrupt(IoStatus.TimedOut), transport);
        timer.Arm((long)Patience.TotalMilliseconds);
        for (var taken = 0; taken < MaxBytes;)
        {
            if (await transport.ReadableAsync() != IoStatus.Ok) break;
            var buffer = transport.Loop.Buffers.Rent(NativeBuffers.Small);
            var read = transport.Read(buffer.Span);
            buffer.Return();
            if (read.Status is not (IoStatus.Ok or IoStatus.WouldBlock)) break;
            taken += read.Bytes;
        }

        timer.Stop();
    }
}
