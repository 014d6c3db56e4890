using System.Buffers;
using System.Buffers.Binary;
using System.IO.Compression;

namespace Mesh.Grpc.Wire;

/// <summary>What came of unpacking one message.</summary>
internal enum Unpacked
{
    Done = 0,

    /// <summary>The bytes are not of the announced encoding.</summary>
    Malformed = 1,

    /// <summary>The message unpacks to more than the limit; the work stopped there.</summary>
    TooLarge = 2,
}

/// <summary>A message encoding of <c>grpc-encoding</c> other than identity.</summary>
internal sealed class MessageEncoding
{
    // RFC 1952 section 2.3.1: at the end, the size of what was packed. The stream itself checks the CRC.
    public static readonly MessageEncoding Gzip = new(
        "gzip",
        s => new GZipStream(s, CompressionMode.Decompress),
        s => new GZipStream(s, CompressionLevel.Fastest, leaveOpen: true),
        frame: 18,
        (tail, unpacked) => BinaryPrimitives.ReadUInt32LittleEndian(tail) == (uint)unpacked.Length);

    // HTTP's "deflate" is the zlib format (RFC 9110 section 8.4.1.2). RFC 1950 section 2.2: at the end, the Adler-32 of what was packed.
    public static readonly MessageEncoding Deflate = new(
        "deflate",
        s => new ZLibStream(s, CompressionMode.Decompress),
        s => new ZLibStream(s, CompressionLevel.Fastest, leaveOpen: true),
        frame: 6,
        (tail, unpacked) => BinaryPrimitives.ReadUInt32BigEndian(tail) == Adler32(unpacked));

    /// <summary>The value of <c>grpc-accept-encoding</c>.</summary>
    public const string Accepted = "identity,gzip,deflate";

    private readonly Func<Stream, Stream> _unpack;
    private readonly Func<Stream, Stream> _pack;
    private readonly int _frame;
    private readonly TailCheck _tailFits;

    /// <param name="frame">Bytes before and after the packed content, at least.</param>
    private MessageEncoding(string name, Func<Stream, Stream> unpack, Func<Stream, Stream> pack, int frame, TailCheck tailFits) =>
        (Name, _unpack, _pack, _frame, _tailFits) = (name, unpack, pack, frame, tailFits);

    /// <summary>Whether the last four bytes belong to this content. .NET's streams take some of what was cut short for the end.</summary>
    private delegate bool TailCheck(ReadOnlySpan<byte> tail, ReadOnlySpan<byte> unpacked);

    public string Name { get; }

    /// <summary>Finds an encoding by its header value; null for identity or none. False: it is not one of ours.</summary>
    public static bool TryFind(string? name, out MessageEncoding? encoding)
    {
        encoding = null;
        if (string.IsNullOrEmpty(name) || name == "identity") return true;
        encoding = name == "gzip" ? Gzip : name == "deflate" ? Deflate : null;
        return encoding is not null;
    }

    /// <summary>Whether a <c>grpc-accept-encoding</c> list names this encoding.</summary>
    public bool IsIn(string? acceptEncoding)
    {
        foreach (var range in acceptEncoding.AsSpan().Split(','))
            if (acceptEncoding.AsSpan(range).Trim(' ').SequenceEqual(Name)) return true;
        return false;
    }

    /// <summary>Unpacks <paramref name="payload"/> into <paramref name="output"/>, never more than <paramref name="limit"/> bytes and one buffer.</summary>
    public Unpacked Unpack(ReadOnlySequence<byte> payload, int limit, PooledBuffer output)
    {
        // Other stacks send an empty message as no bytes at all, in any encoding.
        if (payload.IsEmpty) return Unpacked.Done;
        using var source = new SequenceStream(payload);
        using var stream = _unpack(source);
        try
        {
            while (true)
            {
                var read = stream.Read(output.GetSpan(4096));
                if (read == 0) return IsWhole(payload, output) ? Unpacked.Done : Unpacked.Malformed;
                output.Advance(read);
                if (output.Length > limit) return Unpacked.TooLarge;
            }
        }
        catch (InvalidDataException)
        {
            return Unpacked.Malformed;
        }
    }

    public void Pack(ReadOnlyMemory<byte> message, PooledBuffer output)
    {
        using var target = new BufferStream(output);
        using var stream = _pack(target);
        stream.Write(message.Span);
    }

    private bool IsWhole(ReadOnlySequence<byte> payload, PooledBuffer output)
    {
        Span<byte> tail = stackalloc byte[4];
        if (payload.Length <= _frame) return false;
        payload.Slice(payload.Length - tail.Length).CopyTo(tail);
        return _tailFits(tail, output.Written.Span);
    }

    private static uint Adler32(ReadOnlySpan<byte> bytes)
    {
        const uint modulus = 65521;
        uint low = 1, high = 0;
        while (!bytes.IsEmpty)
        {
            // As many as fit before 32 bits overflow (RFC 1950 section 9).
            var run = bytes[..Math.Min(bytes.Length, 5552)];
            foreach (var value in run)
            {
                low += value;
                high += low;
            }

            low %= modulus;
            high %= modulus;
            bytes = bytes[run.Length..];
        }

        return (high << 16) | low;
    }

    /// <summary>What the compressors ask of a stream, and no more.</summary>
    private abstract class OneWayStream : Stream
    {
        public override bool CanRead => false;
        public override bool CanSeek => false;
        public override bool CanWrite => false;
        public override long Length => throw new NotSupportedException();
        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

        public override void Flush() { }

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();
    }

    private sealed class SequenceStream(ReadOnlySequence<byte> rest) : OneWayStream
    {
        private ReadOnlySequence<byte> _rest = rest;

        public override bool CanRead => true;

        public override int Read(Span<byte> buffer)
        {
            var length = (int)Math.Min(_rest.Length, buffer.Length);
            _rest.Slice(0, length).CopyTo(buffer);
            _rest = _rest.Slice(length);
            return length;
        }

        public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));
    }

    private sealed class BufferStream(PooledBuffer output) : OneWayStream
    {
        public override bool CanWrite => true;

        public override void Write(ReadOnlySpan<byte> buffer) => output.Write(buffer);

        public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));
    }
}
