using System.Buffers.Binary;
using System.Text;
using Mesh.Proxy.Settings;

namespace Mesh.Proxy.Detect;

internal enum ClientHelloStatus
{
    /// <summary>What is there so far can be the start of a ClientHello; more bytes decide.</summary>
    Incomplete = 0,

    /// <summary>The connection does not start with a TLS ClientHello.</summary>
    NotTls = 1,

    /// <summary>A whole ClientHello, or one longer than we look at.</summary>
    Tls = 2,
}

/// <summary>
/// Reads the server name out of the first bytes of a connection, without taking them from the socket (RFC 8446 section 4.1.2, RFC 6066
/// section 3). The message may be cut into records and segments at any byte. Peers of ours offer X25519MLKEM768, whose key share alone is
/// 1,184 bytes: a ClientHello of 1.5 kB in two segments is the common case.
/// </summary>
internal static class ClientHello
{
    /// <summary>No more than this is looked at. Longer ones are TLS whose server name is not known.</summary>
    public const int MaxLength = 16 * 1024;

    private const int RecordHeader = 5;
    private const int HandshakeHeader = 4;
    private const int LongestRecord = 16 * 1024;
    private const byte HandshakeRecord = 22;
    private const byte ClientHelloMessage = 1;

    /// <param name="bytes">Everything received so far, from the first byte.</param>
    /// <param name="serverName">The SNI in lower case; null when there is none, or none that is a DNS name.</param>
    public static ClientHelloStatus TryRead(ReadOnlySpan<byte> bytes, out string? serverName)
    {
        serverName = null;
        Span<byte> joined = stackalloc byte[MaxLength];
        var length = 0;
        var rest = bytes.Length > MaxLength ? bytes[..MaxLength] : bytes;
        while (true)
        {
            var status = TakeRecord(ref rest, out var fragment, out var whole);
            if (status != ClientHelloStatus.Tls) return bytes.Length >= MaxLength && status == ClientHelloStatus.Incomplete ? ClientHelloStatus.Tls : status;
            fragment.CopyTo(joined[length..]);
            length += fragment.Length;
            var message = joined[..length];
            if (length > 0 && message[0] != ClientHelloMessage) return ClientHelloStatus.NotTls;
            if (length >= HandshakeHeader)
            {
                var announced = (message[1] << 16) | BinaryPrimitives.ReadUInt16BigEndian(message[2..]);
                if (HandshakeHeader + announced > MaxLength) return ClientHelloStatus.Tls;
                if (length >= HandshakeHeader + announced) return ReadBody(message.Slice(HandshakeHeader, announced), out serverName);
            }

            if (!whole) return bytes.Length >= MaxLength ? ClientHelloStatus.Tls : ClientHelloStatus.Incomplete;
        }
    }

    private static ClientHelloStatus TakeRecord(ref ReadOnlySpan<byte> rest, out ReadOnlySpan<byte> fragment, out bool whole)
    {
        fragment = default;
        whole = false;
        if (rest.Length > 0 && rest[0] != HandshakeRecord) return ClientHelloStatus.NotTls;
        if (rest.Length > 1 && rest[1] != 3) return ClientHelloStatus.NotTls;
        if (rest.Length > 2 && rest[2] > 4) return ClientHelloStatus.NotTls;
        if (rest.Length < RecordHeader) return ClientHelloStatus.Incomplete;
        var length = BinaryPrimitives.ReadUInt16BigEndian(rest[3..]);
        if (length is 0 or > LongestRecord) return ClientHelloStatus.NotTls;
        whole = rest.Length >= RecordHeader + length;
        fragment = rest.Slice(RecordHeader, Math.Min(length, rest.Length - RecordHeader));
        rest = rest[(RecordHeader + fragment.Length)..];
        return ClientHelloStatus.Tls;
    }

    private static ClientHelloStatus ReadBody(ReadOnlySpan<byte> body, out string? serverName)
    {
        serverName = null;
        const int versionAndRandom = 2 + 32;
        if (body.Length < versionAndRandom || body[0] != 3) return ClientHelloStatus.NotTls;
        body = body[versionAndRandom..];
        if (!TakeVector8(ref body, out var sessionId) || sessionId.Length > 32) return ClientHelloStatus.NotTls;
        if (!TakeVector16(ref body, out var suites) || suites.Length < 2 || suites.Length % 2 != 0) return ClientHelloStatus.NotTls;
        if (!TakeVector8(ref body, out var compressions) || compressions.Length == 0) return ClientHelloStatus.NotTls;
        if (body.Length == 0) return ClientHelloStatus.Tls;
        if (!TakeVector16(ref body, out var extensions) || body.Length != 0) return ClientHelloStatus.NotTls;
        return ReadExtensions(extensions, out serverName) ? ClientHelloStatus.Tls : ClientHelloStatus.NotTls;
    }

    private static bool ReadExtensions(ReadOnlySpan<byte> extensions, out string? serverName)
    {
        serverName = null;
        var seen = false;
        while (extensions.Length > 0)
        {
            if (extensions.Length < 2) return false;
            var type = BinaryPrimitives.ReadUInt16BigEndian(extensions);
            extensions = extensions[2..];
            if (!TakeVector16(ref extensions, out var data)) return false;
            if (type != 0) continue;
            // Two server names could mean one host to us and another to the application.
            if (seen || !ReadServerNames(data, out serverName)) return false;
            seen = true;
        }

        return true;
    }

    private static bool ReadServerNames(ReadOnlySpan<byte> data, out string? serverName)
    {
        serverName = null;
        if (!TakeVector16(ref data, out var list) || data.Length != 0 || list.Length == 0) return false;
        while (list.Length > 0)
        {
            var type = list[0];
            list = list[1..];
            if (!TakeVector16(ref list, out var name) || name.Length == 0) return false;
            if (type != 0) continue;
            if (serverName is not null) return false;
            if (!Ascii.IsValid(name)) continue;
            var text = Encoding.ASCII.GetString(name);
            if (HostPort.IsDnsName(text)) serverName = text.ToLowerInvariant();
        }

        return true;
    }

    private static bool TakeVector8(ref ReadOnlySpan<byte> bytes, out ReadOnlySpan<byte> vector)
    {
        vector = default;
        if (bytes.Length < 1 || bytes.Length < 1 + bytes[0]) return false;
        vector = bytes.Slice(1, bytes[0]);
        bytes = bytes[(1 + vector.Length)..];
        return true;
    }

    private static bool TakeVector16(ref ReadOnlySpan<byte> bytes, out ReadOnlySpan<byte> vector)
    {
        vector = default;
        if (bytes.Length < 2) return false;
        var length = BinaryPrimitives.ReadUInt16BigEndian(bytes);
        if (bytes.Length < 2 + length) return false;
        vector = bytes.Slice(2, length);
        bytes = bytes[(2 + length)..];
        return true;
    }
}
