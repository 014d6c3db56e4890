using Mesh.Proxy.Http.Http2;

namespace Mesh.Proxy.Http.Streams;

/// <summary>
/// One exchange on one connection, whatever its version: what the peer sends comes to <see cref="Handler"/>, what the peer is to get goes through the
/// methods. Two of these, one to the client and one to the server, and who stands between them, are a proxied request. Lives on the loop of its connection.
/// </summary>
/// <remarks>
/// A message is heads (interim ones first, in a response), data, and an end: the flag of the last head or data, or trailers. After CONNECT or an
/// upgrade, data are the bytes of the tunnel and the end is that of one direction. Nothing here waits: what cannot be sent yet is kept, and
/// <see cref="IStreamHandler.OnSent"/> says what has left. A sender that minds it keeps memory bounded: on HTTP/2 the peer's window does it, on
/// HTTP/1 the connection is not read from.
/// </remarks>
internal abstract class HttpStream
{
    /// <summary>Set by whoever opens the stream or accepts it, before anything is received.</summary>
    public IStreamHandler Handler { get; set; } = null!;

    /// <summary>The version the peer speaks on this connection.</summary>
    public abstract HttpVersion Version { get; }

    /// <summary>
    /// Sends a head in the common form. The block is borrowed: it may be changed, and is free again when the call returns.
    /// <paramref name="end"/>: there is no body and are no trailers.
    /// </summary>
    public abstract void SendHead(HeaderBlock fields, in MessageHead head, bool end);

    /// <summary>Sends body bytes; the span is free again when the call returns. May be empty when <paramref name="end"/> is set.</summary>
    public abstract void SendData(ReadOnlySpan<byte> data, bool end);

    /// <summary>Sends trailers, which end the message. The block is borrowed as a head's is.</summary>
    public abstract void SendTrailers(HeaderBlock fields);

    /// <summary>
    /// Drops the exchange: the peer sees that it was not completed. Nothing more is received or sent, and no callback comes after the call, nor
    /// during it. Harmless when the exchange has ended.
    /// </summary>
    public abstract void Reset(Http2ErrorCode code);

    /// <summary>Says that <paramref name="bytes"/> of the data received have been passed on, or dropped, and hold no memory any more.</summary>
    public abstract void Consumed(int bytes);
}

/// <summary>
/// Takes what one or several streams receive. Callbacks come on the loop, in the order of the wire, and may call any method of any stream.
/// The last one is <see cref="OnClosed"/>, after which the stream may be used for another exchange: whoever holds it lets go of it there.
/// </summary>
internal interface IStreamHandler
{
    /// <summary>A head came. <paramref name="fields"/> is borrowed: it may be changed, and is gone when the call returns.</summary>
    void OnHead(HttpStream stream, HeaderBlock fields, in MessageHead head, bool end);

    /// <summary>Data came. Each byte must be given back by <see cref="HttpStream.Consumed"/>, once, in this call or later.</summary>
    void OnData(HttpStream stream, ReadOnlySpan<byte> data, bool end);

    /// <summary>Trailers came, and with them the end. The block is borrowed.</summary>
    void OnTrailers(HttpStream stream, HeaderBlock fields);

    /// <summary><paramref name="bytes"/> given to <see cref="HttpStream.SendData"/> hold no memory of ours any more. May come within that call.</summary>
    void OnSent(HttpStream stream, int bytes);

    /// <summary>
    /// Both directions have ended (<see cref="StreamFault.None"/>), or the exchange is lost. Comes exactly once for every stream that was not
    /// <see cref="HttpStream.Reset"/>.
    /// </summary>
    void OnClosed(HttpStream stream, StreamFault fault);
}

/// <summary>Why an exchange was lost, seen from the stream that says so.</summary>
internal enum StreamFaultKind : byte
{
    None = 0,

    /// <summary>The peer has not worked on it and says so (REFUSED_STREAM, or GOAWAY with a lower id), or it was never sent: trying again is safe.</summary>
    Refused = 1,

    /// <summary>The peer dropped it: RST_STREAM, or a reset of its HTTP/1 connection.</summary>
    ResetByPeer = 2,

    /// <summary>The connection ended in the middle: closed, broken, timed out.</summary>
    ConnectionLost = 3,

    /// <summary>What the peer sent is no HTTP we accept.</summary>
    Malformed = 4,

    /// <summary>This side is ending: drained, or the policy changed.</summary>
    Stopped = 5,
}

/// <param name="Kind">The class of the fault.</param>
/// <param name="Code">What RST_STREAM or GOAWAY said; the nearest for HTTP/1.</param>
internal readonly record struct StreamFault(StreamFaultKind Kind, Http2ErrorCode Code)
{
    public static StreamFault None => default;

    /// <summary>Nothing of the response had come when the connection was lost, and the connection had served requests before: it was closed while idle.</summary>
    public bool WasIdle { get; init; }
}

/// <summary>Takes the requests that clients make on one connection.</summary>
internal interface IRequestHandler
{
    /// <summary>A request has begun: sets <see cref="HttpStream.Handler"/>. Its head comes next.</summary>
    void Accept(HttpStream stream);
}
