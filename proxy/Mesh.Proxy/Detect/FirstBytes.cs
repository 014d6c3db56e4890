using Mesh.Proxy.Connections;
using Mesh.Proxy.Native;

namespace Mesh.Proxy.Detect;

internal enum FirstBytesKind
{
    /// <summary>A TLS ClientHello.</summary>
    Tls = 0,

    /// <summary>Something else: plaintext of a protocol that HTTP detection will look at.</summary>
    NotTls = 1,

    /// <summary>Nothing at all came in time: a protocol in which the server speaks first.</summary>
    Silent = 2,

    /// <summary>The start of a ClientHello came, and the rest did not in time.</summary>
    TimedOut = 3,

    /// <summary>The client closed before it could be known what it wants.</summary>
    Closed = 4,
}

/// <summary>What a connection starts with; nothing of it has been taken from the socket.</summary>
internal readonly record struct FirstBytes(FirstBytesKind Kind, string? ServerName)
{
    /// <summary>Looks at what the client has sent until it is clear what it is, for <paramref name="limit"/> at most.</summary>
    public static async ValueTask<FirstBytes> PeekAsync(TcpTransport client, TimeSpan limit)
    {
        using var deadline = new Deadline(client, limit);
        var seen = 0;
        var wait = client.ReadableAsync();
        while (true)
        {
            var status = await wait;
            if (deadline.HasExpired) return new FirstBytes(seen == 0 ? FirstBytesKind.Silent : FirstBytesKind.TimedOut, null);
            if (status != IoStatus.Ok) return new FirstBytes(FirstBytesKind.Closed, null);
            var hungUp = client.Socket.HungUp;
            var (peeked, hello, serverName) = Look(client);
            if (peeked.Status is not (IoStatus.Ok or IoStatus.WouldBlock)) return new FirstBytes(FirstBytesKind.Closed, null);
            if (peeked.Status == IoStatus.Ok)
            {
                if (hello != ClientHelloStatus.Incomplete) return new FirstBytes(hello == ClientHelloStatus.Tls ? FirstBytesKind.Tls : FirstBytesKind.NotTls, serverName);
                // The client has said all it will say, and it is a piece of a ClientHello.
                if (hungUp) return new FirstBytes(FirstBytesKind.Closed, null);
                seen = peeked.Bytes;
            }

            wait = client.MoreInputAsync();
        }
    }

    private static (IoResult Peeked, ClientHelloStatus Hello, string? ServerName) Look(TcpTransport client)
    {
        var buffer = client.Loop.Buffers.Rent(ClientHello.MaxLength);
        var peeked = client.Peek(buffer.Span);
        string? serverName = null;
        var hello = peeked.Status == IoStatus.Ok ? ClientHello.TryRead(buffer.Span[..peeked.Bytes], out serverName) : ClientHelloStatus.Incomplete;
        buffer.Return();
        return (peeked, hello, serverName);
    }
}
