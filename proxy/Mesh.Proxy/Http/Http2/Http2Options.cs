using Mesh.Proxy.Http.Hpack;

namespace Mesh.Proxy.Http.Http2;

/// <summary>How one HTTP/2 connection is run. The defaults are for connections between proxies; windows and limits are announced in SETTINGS.</summary>
internal sealed record Http2Options
{
    public required Http2Role Role { get; init; }

    /// <summary>Streams the peer may have open at once. A bound on what one connection can make us hold.</summary>
    public int MaxConcurrentStreams { get; init; } = 1_000;

    /// <summary>Bytes a stream may have under way to us: at 1 ms between two machines, 250 MB/s on one stream.</summary>
    public int StreamWindow { get; init; } = 256 * 1024;

    /// <summary>
    /// Bytes received and not yet passed on, over all streams, up to which the window of the connection is kept open. Below it a reader that does
    /// not read holds up its own stream only; beyond it all of them, since memory has an end.
    /// </summary>
    public int MaxHeld { get; init; } = 16 * 1024 * 1024;

    /// <summary>As a server, whether extended CONNECT (RFC 8441) is announced and taken.</summary>
    public ConnectForm Connect { get; init; } = ConnectForm.Plain;

    public HuffmanUse Huffman { get; init; } = HuffmanUse.Never;

    /// <summary>After this time without a byte of the peer a PING is sent; <see cref="Timeout.InfiniteTimeSpan"/> for never. Linkerd's value between proxies is 10 s.</summary>
    public TimeSpan KeepAliveInterval { get; init; } = Timeout.InfiniteTimeSpan;

    /// <summary>How long the answer to that PING may take before the connection is given up.</summary>
    public TimeSpan KeepAliveTimeout { get; init; } = TimeSpan.FromSeconds(3);

    /// <summary>How long the peer may take for the preface, and for the rest of a frame or field block that it has begun.</summary>
    public TimeSpan FrameTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Told of every fault of the peer, for metrics.</summary>
    public Action<Http2Fault>? Faulted { get; init; }
}

/// <summary>How an HTTP/2 connection ended.</summary>
internal enum Http2EndKind : byte
{
    /// <summary>The peer closed it when nothing was under way, or we did after a drain.</summary>
    Closed = 0,

    /// <summary>The peer broke the protocol or a bound; <see cref="Http2End.Fault"/> says how. GOAWAY was sent.</summary>
    Fault = 1,

    /// <summary>The transport ended or failed with exchanges under way.</summary>
    Lost = 2,

    /// <summary>The peer did not answer a PING in time.</summary>
    KeepAliveTimeout = 3,

    /// <summary>This side cut it.</summary>
    Stopped = 4,
}

/// <param name="Kind">The class of the end.</param>
/// <param name="Fault">For <see cref="Http2EndKind.Fault"/>.</param>
/// <param name="Status">What the transport said last.</param>
internal readonly record struct Http2End(Http2EndKind Kind, Http2Fault Fault, Native.IoStatus Status);

/// <summary>Whoever opens streams on a client connection.</summary>
internal interface IHttp2Owner
{
    /// <summary>A stream can be opened that could not be before.</summary>
    void OnRoomForStream(Http2Connection connection);

    /// <summary>No stream can be opened on this connection any more; those that are open may go on.</summary>
    void OnGoingAway(Http2Connection connection);
}
