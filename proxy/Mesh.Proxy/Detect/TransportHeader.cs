using System.Buffers.Binary;
using System.Diagnostics.CodeAnalysis;
using Google.Protobuf;
using Mesh.Protocol.Transport;

namespace Mesh.Proxy.Detect;

internal enum SessionKind
{
    /// <summary>Bytes of a protocol nobody named.</summary>
    Opaque = 0,
    Http1 = 1,
    Http2 = 2,
}

internal enum TransportHeaderFault
{
    None = 0,

    /// <summary>The first bytes are not the preface.</summary>
    NoPreface = 1,

    /// <summary>The announced length is beyond <see cref="TransportHeader.MaxLength"/>.</summary>
    TooLong = 2,

    /// <summary>The message is not a protobuf Header.</summary>
    Malformed = 3,

    /// <summary>The port is not 1 to 65535.</summary>
    BadPort = 4,
}

/// <summary>
/// What a proxy says first on a connection whose ALPN is <see cref="Alpn"/>: which port the bytes are for. On the wire: a preface of 23 bytes,
/// a big-endian length of 4, and the protobuf message <c>transport.l5d.io.Header</c>.
/// </summary>
internal sealed record TransportHeader
{
    public const string Alpn = "transport.l5d.io/v1";

    /// <summary>Preface and length: what is read before the message's own length is known.</summary>
    public const int PrefixLength = 23 + 4;

    /// <summary>Longest message taken. A port and a DNS name need less than 300 bytes.</summary>
    public const int MaxLength = 1024;

    private TransportHeader(int port, string name, SessionKind session) => (Port, Name, Session) = (port, name, session);

    private static ReadOnlySpan<byte> Preface => "transport.l5d.io/v1\r\n\r\n"u8;

    public int Port { get; }

    /// <summary>The authority a gateway should route to; empty for a connection to this workload.</summary>
    public string Name { get; }

    public SessionKind Session { get; }

    /// <summary>For this workload's port, 1 to 65535, and what will be spoken to it.</summary>
    public static TransportHeader ForPort(int port, SessionKind session = SessionKind.Opaque)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(port, 1);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(port, 65535);
        return new TransportHeader(port, "", session);
    }

    /// <summary>Reads the first <see cref="PrefixLength"/> bytes; <paramref name="length"/> is how many follow.</summary>
    public static TransportHeaderFault ReadPrefix(ReadOnlySpan<byte> prefix, out int length)
    {
        length = 0;
        if (prefix.Length != PrefixLength || !prefix.StartsWith(Preface)) return TransportHeaderFault.NoPreface;
        var announced = BinaryPrimitives.ReadUInt32BigEndian(prefix[Preface.Length..]);
        if (announced > MaxLength) return TransportHeaderFault.TooLong;
        length = (int)announced;
        return TransportHeaderFault.None;
    }

    public static TransportHeaderFault TryParse(ReadOnlySpan<byte> message, [MaybeNull] out TransportHeader header)
    {
        header = null;
        if (message.Length > MaxLength) return TransportHeaderFault.TooLong;
        Header parsed;
        try
        {
            parsed = Header.Parser.ParseFrom(message);
        }
        catch (InvalidProtocolBufferException)
        {
            return TransportHeaderFault.Malformed;
        }

        if (parsed.Port is < 1 or > 65535) return TransportHeaderFault.BadPort;
        var session = parsed.SessionProtocol?.KindCase switch
        {
            SessionProtocol.KindOneofCase.Http1 => SessionKind.Http1,
            SessionProtocol.KindOneofCase.Http2 => SessionKind.Http2,
            _ => SessionKind.Opaque,
        };
        header = new TransportHeader(parsed.Port, parsed.Name, session);
        return TransportHeaderFault.None;
    }

    /// <summary>Preface, length and message.</summary>
    public byte[] ToBytes()
    {
        var message = new Header { Port = Port, Name = Name };
        if (Session == SessionKind.Http1) message.SessionProtocol = new SessionProtocol { Http1 = new() };
        if (Session == SessionKind.Http2) message.SessionProtocol = new SessionProtocol { Http2 = new() };
        var size = message.CalculateSize();
        var bytes = new byte[PrefixLength + size];
        Preface.CopyTo(bytes);
        BinaryPrimitives.WriteUInt32BigEndian(bytes.AsSpan(Preface.Length), (uint)size);
        message.WriteTo(bytes.AsSpan(PrefixLength));
        return bytes;
    }
}
