using Mesh.Spiffe;

namespace Mesh.Proxy.Native;

/// <summary>
/// Judges the certificates a peer showed, leaf first, as they came. Called during the handshake on the loop's thread; a refusal ends the handshake
/// with the alert that fits its fault.
/// </summary>
internal delegate SvidVerdict PeerVerifier(ReadOnlySpan<ReadOnlyMemory<byte>> chainDer);

/// <summary>Why there is no TLS connection. The names are labels of metrics and are not renamed.</summary>
internal enum TlsHandshakeFailure
{
    None = 0,

    /// <summary>The peer closed or reset the connection before the handshake was done.</summary>
    PeerClosed = 1,

    /// <summary>The time allowed for the whole handshake ran out.</summary>
    Timeout = 2,

    /// <summary>What came is not TLS.</summary>
    NotTls = 3,

    /// <summary>The peer does not speak TLS 1.3.</summary>
    ProtocolVersion = 4,

    /// <summary>A client certificate is required and none was shown.</summary>
    NoCertificate = 5,

    /// <summary>We refused the peer's certificate; the verdict says why.</summary>
    CertificateRejected = 6,

    /// <summary>The peer ended the handshake with an alert; its number is beside.</summary>
    RejectedByPeer = 7,

    /// <summary>No application protocol in common (RFC 7301 section 3.2).</summary>
    NoApplicationProtocol = 8,

    /// <summary>This side closed the connection or its loop stopped.</summary>
    Closed = 9,

    /// <summary>Anything else that breaks the protocol; the detail is OpenSSL's text.</summary>
    Error = 10,

    /// <summary>More handshakes wait than can be served, and this one has waited longest.</summary>
    Overloaded = 11,
}

/// <summary>
/// The outcome of a handshake. <see cref="Transport"/> is there exactly when <see cref="Failure"/> is None; otherwise the connection is closed already.
/// On the dialling side success means only that we accept the server: if it refuses our certificate, that arrives with the first read (RFC 8446 section 4.4.4).
/// </summary>
internal sealed record TlsHandshakeResult
{
    public TlsTransport? Transport { get; init; }

    public TlsHandshakeFailure Failure { get; init; }

    /// <summary>What the verifier said; null when the peer showed no certificate or the handshake did not get so far.</summary>
    public SvidVerdict? Verdict { get; init; }

    /// <summary>TLS key exchange group as OpenSSL names it, for example X25519MLKEM768 or x25519; empty unless connected.</summary>
    public string Group { get; init; } = "";

    /// <summary>Cipher suite by its IANA name; empty unless connected.</summary>
    public string Cipher { get; init; } = "";

    /// <summary>The agreed application protocol, or null for none.</summary>
    public string? Alpn { get; init; }

    /// <summary>On the accepting side the server name the client asked for, or null.</summary>
    public string? Sni { get; init; }

    /// <summary>The number of the alert the peer sent (RFC 8446 section 6), or null.</summary>
    public byte? PeerAlert { get; init; }

    /// <summary>For logs: what OpenSSL said, in its own words; empty when the failure says it all.</summary>
    public string Detail { get; init; } = "";
}
