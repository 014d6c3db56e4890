using System.Buffers.Binary;
using Mesh.Proxy.Http.Hpack;

namespace Mesh.Proxy.Http.Http2;

/// <summary>Writes the frames we send. Each gives the bytes written; the caller has made room.</summary>
internal static class FrameWriter
{
    /// <summary>The most bytes of a frame of fixed size: GOAWAY without debug data.</summary>
    public const int MaxControlFrame = FrameHeader.Size + 8;

    /// <summary>SETTINGS with these values, in this order.</summary>
    public static int WriteSettings(Span<byte> destination, ReadOnlySpan<(SettingId Id, uint Value)> settings)
    {
        new FrameHeader(settings.Length * 6, FrameType.Settings, FrameFlags.None, 0).Write(destination);
        var at = FrameHeader.Size;
        foreach (var (id, value) in settings)
        {
            BinaryPrimitives.WriteUInt16BigEndian(destination[at..], (ushort)id);
            BinaryPrimitives.WriteUInt32BigEndian(destination[(at + 2)..], value);
            at += 6;
        }

        return at;
    }

    public static int WriteSettingsAck(Span<byte> destination)
    {
        new FrameHeader(0, FrameType.Settings, FrameFlags.Ack, 0).Write(destination);
        return FrameHeader.Size;
    }

    /// <summary>PING, or with <see cref="FrameFlags.Ack"/> the answer to one, with its eight bytes.</summary>
    public static int WritePing(Span<byte> destination, FrameFlags flags, ReadOnlySpan<byte> opaque)
    {
        new FrameHeader(8, FrameType.Ping, flags, 0).Write(destination);
        opaque[..8].CopyTo(destination[FrameHeader.Size..]);
        return FrameHeader.Size + 8;
    }

    public static int WriteGoAway(Span<byte> destination, int lastStreamId, Http2ErrorCode code)
    {
        new FrameHeader(8, FrameType.GoAway, FrameFlags.None, 0).Write(destination);
        BinaryPrimitives.WriteInt32BigEndian(destination[FrameHeader.Size..], lastStreamId);
        BinaryPrimitives.WriteUInt32BigEndian(destination[(FrameHeader.Size + 4)..], (uint)code);
        return FrameHeader.Size + 8;
    }

    public static int WriteRstStream(Span<byte> destination, int streamId, Http2ErrorCode code)
    {
        new FrameHeader(4, FrameType.RstStream, FrameFlags.None, streamId).Write(destination);
        BinaryPrimitives.WriteUInt32BigEndian(destination[FrameHeader.Size..], (uint)code);
        return FrameHeader.Size + 4;
    }

    /// <summary>WINDOW_UPDATE of a stream, or of the connection when <paramref name="streamId"/> is 0.</summary>
    public static int WriteWindowUpdate(Span<byte> destination, int streamId, int increment)
    {
        new FrameHeader(4, FrameType.WindowUpdate, FrameFlags.None, streamId).Write(destination);
        BinaryPrimitives.WriteInt32BigEndian(destination[FrameHeader.Size..], increment);
        return FrameHeader.Size + 4;
    }

    /// <summary>The header of a DATA frame; the data goes behind it.</summary>
    public static int WriteDataHeader(Span<byte> destination, int streamId, int length, FrameFlags flags)
    {
        new FrameHeader(length, FrameType.Data, flags, streamId).Write(destination);
        return FrameHeader.Size;
    }

    /// <summary>Bytes that are enough for <see cref="WriteHeaders"/>.</summary>
    public static int MaxHeadersSize(HeaderBlock fields, int maxFrameSize)
    {
        var block = HpackEncoder.MaxSize(fields);
        return block + FrameHeader.Size * (1 + block / maxFrameSize);
    }

    /// <summary>
    /// HEADERS with these fields, and CONTINUATION frames when they do not fit one frame of the peer's. <paramref name="flags"/> may have
    /// <see cref="FrameFlags.EndStream"/>. The fields are encoded in place: after this the block must be sent.
    /// </summary>
    public static int WriteHeaders(Span<byte> destination, int streamId, HeaderBlock fields, FrameFlags flags, HpackEncoder encoder, int maxFrameSize)
    {
        var length = encoder.Encode(fields, destination[FrameHeader.Size..]);
        if (length <= maxFrameSize)
        {
            new FrameHeader(length, FrameType.Headers, flags | FrameFlags.EndHeaders, streamId).Write(destination);
            return FrameHeader.Size + length;
        }

        new FrameHeader(maxFrameSize, FrameType.Headers, flags, streamId).Write(destination);
        var at = FrameHeader.Size + maxFrameSize;
        for (var rest = length - maxFrameSize; rest > 0;)
        {
            var piece = Math.Min(rest, maxFrameSize);
            // What is left moves up to make room for the header in front of it; blocks this large are rare.
            destination.Slice(at, rest).CopyTo(destination[(at + FrameHeader.Size)..]);
            rest -= piece;
            new FrameHeader(piece, FrameType.Continuation, rest == 0 ? FrameFlags.EndHeaders : FrameFlags.None, streamId).Write(destination[at..]);
            at += FrameHeader.Size + piece;
        }

        return at;
    }
}
