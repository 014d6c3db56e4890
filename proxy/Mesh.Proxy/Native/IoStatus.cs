namespace Mesh.Proxy.Native;

/// <summary>What became of an operation on a <see cref="Transport"/>. Errors are values: a peer that goes away is an everyday event, not an exception.</summary>
internal enum IoStatus : byte
{
    Ok = 0,

    /// <summary>Nothing can be done right now; wait and try again.</summary>
    WouldBlock = 1,

    /// <summary>The peer has sent everything it will send (FIN, and over TLS a close_notify before it).</summary>
    End = 2,

    /// <summary>The peer, or something between, dropped the connection (RST, broken pipe).</summary>
    Reset = 3,

    /// <summary>The connection was closed under TLS without close_notify: what was received may not be all that was sent.</summary>
    Truncated = 4,

    /// <summary>The peer broke the TLS protocol, or bytes were altered on the way.</summary>
    TlsViolation = 5,

    /// <summary>The peer ended TLS with a fatal alert; <see cref="TlsTransport.PeerAlert"/> has its number.</summary>
    TlsAlert = 6,

    /// <summary>This side closed the transport, or its event loop stopped.</summary>
    Closed = 7,

    /// <summary>A time limit ran out: ours, or the kernel's for unacknowledged data.</summary>
    TimedOut = 8,

    /// <summary>Nobody listens there.</summary>
    Refused = 9,

    /// <summary>No route to that host or network.</summary>
    Unreachable = 10,

    /// <summary>No descriptors or memory left on this machine.</summary>
    OutOfResources = 11,

    /// <summary>Any other error of the operating system; the number is beside it.</summary>
    Error = 12,

    /// <summary>The connection's own socket answered: nobody listens there, and the kernel had chosen that very port for our end (a simultaneous open with oneself, RFC 9293 section 3.5).</summary>
    SelfConnected = 13,
}

/// <summary>One read or write. <see cref="Bytes"/> is above zero exactly when <see cref="Status"/> is <see cref="IoStatus.Ok"/>.</summary>
internal readonly record struct IoResult(int Bytes, IoStatus Status, int Errno = 0)
{
    public static IoResult Transferred(int bytes) => new(bytes, IoStatus.Ok);

    public static IoResult Failed(int errno) => new(0, Classify(errno), errno);

    public static IoResult Of(IoStatus status) => new(0, status);

    public static IoStatus Classify(int errno) => errno switch
    {
        0 => IoStatus.Ok,
        Libc.EAGAIN => IoStatus.WouldBlock,
        Libc.ECONNRESET or Libc.EPIPE or Libc.ECONNABORTED => IoStatus.Reset,
        Libc.ETIMEDOUT => IoStatus.TimedOut,
        Libc.ECONNREFUSED => IoStatus.Refused,
        Libc.EHOSTUNREACH or Libc.ENETUNREACH or Libc.EHOSTDOWN or Libc.ENETDOWN => IoStatus.Unreachable,
        Libc.EMFILE or Libc.ENFILE or Libc.ENOBUFS or Libc.ENOMEM => IoStatus.OutOfResources,
        _ => IoStatus.Error,
    };
}
