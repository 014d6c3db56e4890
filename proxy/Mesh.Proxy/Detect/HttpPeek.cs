using Mesh.Proxy.Connections;
using Mesh.Proxy.Http;
using Mesh.Proxy.Native;

namespace Mesh.Proxy.Detect;

/// <summary>Tells HTTP from other protocols by what a client sends first; nothing is taken from the connection.</summary>
internal static class HttpPeek
{
    /// <summary>
    /// Looks for <paramref name="limit"/> at most. A client that says nothing in that time, or too little to tell, speaks a protocol of which we
    /// know nothing: <see cref="DetectedProtocol.Other"/>. Null when the client has closed, or the connection was cut.
    /// </summary>
    public static async ValueTask<DetectedProtocol?> LookAsync(TcpTransport client, TimeSpan limit)
    {
        using var deadline = new Deadline(client, limit);
        var wait = client.ReadableAsync();
        while (true)
        {
            var status = await wait;
            if (deadline.HasExpired) return DetectedProtocol.Other;
            if (status != IoStatus.Ok) return null;
            var hungUp = client.Socket.HungUp;
            var buffer = client.Loop.Buffers.Rent(HttpDetection.MaxLength);
            var peeked = client.Peek(buffer.Span[..HttpDetection.MaxLength]);
            var found = peeked.Status == IoStatus.Ok ? HttpDetection.Look(buffer.Span[..peeked.Bytes]) : DetectedProtocol.NeedMore;
            buffer.Return();
            if (peeked.Status is not (IoStatus.Ok or IoStatus.WouldBlock)) return peeked.Status == IoStatus.End ? DetectedProtocol.Other : null;
            if (found != DetectedProtocol.NeedMore) return found;
            // The client has said all it will say: whatever it is, it goes on as it came.
            if (hungUp) return DetectedProtocol.Other;
            wait = client.MoreInputAsync();
        }
    }

    /// <summary>The same for what comes out of TLS: it is read, and put back to be read again.</summary>
    public static async ValueTask<DetectedProtocol?> LookAsync(TlsTransport client, TimeSpan limit)
    {
        using var deadline = new Deadline(client, limit);
        NativeBuffer? buffer = null;
        var length = 0;
        var found = DetectedProtocol.NeedMore;
        while (found == DetectedProtocol.NeedMore)
        {
            var status = await client.ReadableAsync();
            if (deadline.HasExpired)
            {
                found = DetectedProtocol.Other;
                break;
            }

            if (status != IoStatus.Ok) break;
            buffer ??= client.Loop.Buffers.Rent(NativeBuffers.Small);
            var read = client.Read(buffer.Span[length..HttpDetection.MaxLength]);
            if (read.Status == IoStatus.WouldBlock) continue;
            length += read.Bytes;
            if (read.Status == IoStatus.Ok) found = HttpDetection.Look(buffer.Span[..length]);
            // The client has said all it will say: whatever it is, it goes on as it came.
            else if (read.Status == IoStatus.End) found = DetectedProtocol.Other;
            else break;
        }

        if (length > 0) client.Unread(buffer!, length);
        else buffer?.Return();
        return found == DetectedProtocol.NeedMore ? null : found;
    }
}
