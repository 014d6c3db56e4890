using System.Buffers;
using System.IO.Compression;
using System.IO.Pipelines;

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
    public static readonly MessageEncoding Gzip = new("gzip", s => new GZipStream(s, CompressionMode.Decompress), s => new GZipStream(s, CompressionLevel.Fastest, leaveOpen: true));

    // HTTP's "deflate" is the zlib format (RFC 9110 section 8.4.1.2).
    public static readonly MessageEncoding Deflate = new("deflate", s => new ZLibStream(s, CompressionMode.Decompress), s => new ZLibStream(s, CompressionLevel.Fastest, leaveOpen: true));

    /// <summary>The value of <c>grpc-accept-encoding</c>.</summary>
    public const string Accepted = "identity,gzip,deflate";

    private readonly Func<Stream, Stream> _unpack;
    private readonly Func<Stream, Stream> _pack;

    private MessageEncoding(string name, Func<Stream, Stream> unpack, Func<Stream, Stream> pack) => (Name, _unpack, _pack) = (name, unpack, pack);

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
        using var source = PipeReader.Create(payload).AsStream();
        using var stream = _unpack(source);
        try
        {
            while (true)
            {
                var read = stream.Read(output.GetSpan(4096));
                if (read == 0) return Unpacked.Done;
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

    /// <summary>The write side of a stream over a buffer.</summary>
    private sealed class BufferStream(PooledBuffer output) : Stream
    {
        public override bool CanRead => false;
        public override bool CanSeek => false;
        public override bool CanWrite => true;
        public override long Length => throw new NotSupportedException();
        public override long Position { get => throw new NotSupportedException(); set => throw new NotSupportedException(); }

        public override void Write(ReadOnlySpan<byte> buffer) => output.Write(buffer);

        public override void Write(byte[] buffer, int offset, int count) => Write(buffer.AsSpan(offset, count));

        public override void Flush() { }

        public override int Read(byte[] buffer, int offset, int count) => throw new NotSupportedException();

        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();

        public override void SetLength(long value) => throw new NotSupportedException();
    }
}
