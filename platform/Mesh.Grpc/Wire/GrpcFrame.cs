using System.Buffers;
using System.Buffers.Binary;

namespace Mesh.Grpc.Wire;

/// <summary>What a look at the front of a gRPC body found.</summary>
public enum FrameRead
{
    /// <summary>The message is not complete yet.</summary>
    NeedMore = 0,

    /// <summary>One whole message was taken.</summary>
    Message = 1,

    /// <summary>The first byte is neither 0 nor 1.</summary>
    BadFlag = 2,

    /// <summary>The header announces more bytes than the limit; known before any of them is buffered.</summary>
    TooLarge = 3,
}

/// <summary>
/// Length-prefixed messages: one byte of flags (1: compressed), four bytes of length, big-endian, the message
/// (gRPC over HTTP2, "Length-Prefixed-Message"). Depends on nothing but the base library, so that other HTTP/2 stacks can use the file.
/// </summary>
public static class GrpcFrame
{
    /// <summary>Bytes before each message.</summary>
    public const int HeaderLength = 5;

    /// <summary>Takes one message off the front of <paramref name="buffer"/>. The limit is checked as soon as the header is there.</summary>
    /// <param name="buffer">What arrived so far; moved past the message on <see cref="FrameRead.Message"/> and untouched otherwise.</param>
    /// <param name="limit">The largest message accepted, in bytes as sent.</param>
    /// <param name="payload">The message, a slice of <paramref name="buffer"/>.</param>
    /// <param name="compressed">Whether it was sent compressed with the stream's encoding.</param>
    public static FrameRead TryRead(ref ReadOnlySequence<byte> buffer, int limit, out ReadOnlySequence<byte> payload, out bool compressed)
    {
        payload = default;
        compressed = false;
        if (buffer.Length == 0) return FrameRead.NeedMore;
        var first = buffer.FirstSpan;
        Span<byte> copy = stackalloc byte[HeaderLength];
        scoped ReadOnlySpan<byte> header;
        if (first.Length >= HeaderLength)
        {
            header = first;
        }
        else
        {
            var known = (int)Math.Min(buffer.Length, HeaderLength);
            buffer.Slice(0, known).CopyTo(copy);
            if (copy[0] > 1) return FrameRead.BadFlag;
            if (known < HeaderLength) return FrameRead.NeedMore;
            header = copy;
        }

        if (header[0] > 1) return FrameRead.BadFlag;
        var length = BinaryPrimitives.ReadUInt32BigEndian(header[1..]);
        if (length > (uint)Math.Max(limit, 0)) return FrameRead.TooLarge;
        if (buffer.Length - HeaderLength < length) return FrameRead.NeedMore;
        compressed = header[0] == 1;
        payload = buffer.Slice(HeaderLength, length);
        buffer = buffer.Slice(HeaderLength + (long)length);
        return FrameRead.Message;
    }

    /// <summary>Writes the five bytes that go before a message of <paramref name="length"/> bytes.</summary>
    public static void WriteHeader(Span<byte> destination, int length, bool compressed)
    {
        ArgumentOutOfRangeException.ThrowIfNegative(length);
        destination[0] = compressed ? (byte)1 : (byte)0;
        BinaryPrimitives.WriteUInt32BigEndian(destination[1..], (uint)length);
    }
}
