using Mesh.Proxy.Http.Http2;
using Mesh.Proxy.Http.Streams;
using Mesh.Proxy.Native;

namespace Mesh.Proxy.Http.Http1;

/// <summary>How a connection ended. The numbers are labels of metrics and do not change.</summary>
internal enum Http1EndKind : byte
{
    None = 0,

    /// <summary>The peer closed between two messages.</summary>
    PeerLeft = 1,

    /// <summary>As one of the messages said: <c>connection: close</c>, a body until the close, the end of a tunnel.</summary>
    Closed = 2,

    /// <summary>By <c>BeginDrain</c>.</summary>
    Drained = 3,

    /// <summary>No request came for the allowed time.</summary>
    IdleTimeout = 4,

    /// <summary>A request had begun, and its head was not complete in time.</summary>
    HeadTimeout = 5,

    /// <summary>What came is no HTTP we accept; the fault says what was wrong.</summary>
    Malformed = 6,

    /// <summary>The peer reset the connection.</summary>
    Reset = 7,

    /// <summary>The peer closed, or the connection broke, in the middle of a message.</summary>
    BrokenOff = 8,

    /// <summary>An exchange was dropped: by whom it was made for, or because what was to be sent was not what had been promised.</summary>
    Aborted = 9,

    /// <summary>This side closed the transport, or its loop stopped.</summary>
    Stopped = 10,

    /// <summary>A server sent bytes nobody had asked for.</summary>
    Unexpected = 11,

    /// <summary>A server answered before it had all of the request; what it does with the rest is not known.</summary>
    AnsweredEarly = 12,
}

/// <param name="Kind">The class of the end.</param>
/// <param name="Fault">What was malformed.</param>
internal readonly record struct Http1End(Http1EndKind Kind, Http1Fault Fault = Http1Fault.None)
{
    /// <summary>For what a read or a write said in the middle of a message.</summary>
    public static Http1End Of(IoStatus status) => new(status switch
    {
        IoStatus.Reset => Http1EndKind.Reset,
        IoStatus.Closed => Http1EndKind.Stopped,
        _ => Http1EndKind.BrokenOff,
    });

    public static StreamFault FaultOf(IoStatus status) => status switch
    {
        IoStatus.Reset => new(StreamFaultKind.ResetByPeer, Http2ErrorCode.Cancel),
        IoStatus.Closed => new(StreamFaultKind.Stopped, Http2ErrorCode.Cancel),
        _ => new(StreamFaultKind.ConnectionLost, Http2ErrorCode.ConnectError),
    };
}
