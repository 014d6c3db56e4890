using System.Buffers.Binary;

namespace Mesh.Proxy.Http.Http2;

/// <summary>RFC 9113 section 6. Other values are legal on the wire and are ignored.</summary>
internal enum FrameType : byte
{
    Data = 0,
    Headers = 1,
    Priority = 2,
    RstStream = 3,
    Settings = 4,
    PushPromise = 5,
    Ping = 6,
    GoAway = 7,
    WindowUpdate = 8,
    Continuation = 9,
}

[Flags]
internal enum FrameFlags : byte
{
    None = 0,

    /// <summary>END_STREAM of DATA and HEADERS.</summary>
    EndStream = 1,

    /// <summary>ACK of SETTINGS and PING: the same bit.</summary>
    Ack = EndStream,
    EndHeaders = 4,
    Padded = 8,
    Priority = 32,
}

/// <summary>The nine bytes before every frame (RFC 9113 section 4.1).</summary>
internal readonly record struct FrameHeader(int Length, FrameType Type, FrameFlags Flags, int StreamId)
{
    public const int Size = 9;

    /// <summary>What a client sends first, and a server waits for, before any frame (section 3.4).</summary>
    public static ReadOnlySpan<byte> Preface => "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"u8;

    public bool Has(FrameFlags flag) => (Flags & flag) != 0;

    /// <summary>False while there are fewer than nine bytes. The reserved bit of the stream id is ignored.</summary>
    public static bool TryRead(ReadOnlySpan<byte> input, out FrameHeader header)
    {
        if (input.Length < Size)
        {
            header = default;
            return false;
        }

        var first = BinaryPrimitives.ReadUInt32BigEndian(input);
        var stream = (int)(BinaryPrimitives.ReadUInt32BigEndian(input[5..]) & int.MaxValue);
        header = new FrameHeader((int)(first >> 8), (FrameType)(byte)first, (FrameFlags)input[4], stream);
        return true;
    }

    public void Write(Span<byte> destination)
    {
        BinaryPrimitives.WriteUInt32BigEndian(destination, (uint)Length << 8 | (byte)Type);
        destination[4] = (byte)Flags;
        BinaryPrimitives.WriteInt32BigEndian(destination[5..], StreamId);
    }
}
