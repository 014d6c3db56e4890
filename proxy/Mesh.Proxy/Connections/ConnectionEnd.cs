namespace Mesh.Proxy.Connections;

/// <summary>Why a connection ended: set once, counted once, in the access log. The numbers are frozen by a test.</summary>
internal enum ConnectionEnd
{
    /// <summary>Both sides finished and closed in order.</summary>
    Completed = 0,

    /// <summary>The client went away before there was anything to forward.</summary>
    ClientClosedEarly = 1,

    /// <summary>The client reset the connection, or vanished, while bytes were copied.</summary>
    ClientReset = 2,

    /// <summary>The server side reset the connection, or vanished, while bytes were copied.</summary>
    ServerReset = 3,

    /// <summary>The client took too long to say its first bytes.</summary>
    DetectTimeout = 4,

    /// <summary>TLS could not be agreed; the handshake counters say why.</summary>
    TlsHandshakeFailed = 5,

    /// <summary>The peer showed a certificate we refuse, or is not who discovery says.</summary>
    IdentityRejected = 6,

    /// <summary>The inbound policy denies this peer.</summary>
    PolicyDenied = 7,

    /// <summary>The bytes after the handshake were no usable transport header.</summary>
    TransportHeaderInvalid = 8,

    /// <summary>The port asked for is not served here.</summary>
    UnknownPort = 9,

    /// <summary>Discovery knows no such service, or no endpoint of it.</summary>
    NoEndpoint = 10,

    /// <summary>Discovery did not answer in time and nothing is known from before.</summary>
    DiscoveryUnavailable = 11,

    /// <summary>No endpoint, or the local application, could be connected to.</summary>
    ConnectFailed = 12,

    /// <summary>No bytes in either direction for too long.</summary>
    IdleTimeout = 13,

    /// <summary>The target is this proxy itself.</summary>
    LoopRefused = 14,

    /// <summary>As many connections are open as are allowed.</summary>
    TooManyConnections = 15,

    /// <summary>This proxy holds no valid certificate.</summary>
    NoCertificate = 16,

    /// <summary>Cut at shutdown, after the grace period.</summary>
    Drained = 17,

    /// <summary>A fault of ours: an exception reached the root of the connection.</summary>
    Bug = 18,

    /// <summary>The client's HTTP breaks the protocol or a bound; the HTTP counters say which.</summary>
    HttpMalformed = 19,
}

internal static class ConnectionEndText
{
    private static readonly string[] Labels =
    [
        "completed", "client_closed_early", "client_reset", "server_reset", "detect_timeout", "tls_handshake_failed", "identity_rejected",
        "policy_denied", "transport_header_invalid", "unknown_port", "no_endpoint", "discovery_unavailable", "connect_failed", "idle_timeout",
        "loop_refused", "too_many_connections", "no_certificate", "drained", "bug", "http_malformed",
    ];

    public static int Count => Labels.Length;

    public static string Label(this ConnectionEnd end) => Labels[(int)end];
}
