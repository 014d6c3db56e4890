namespace Mesh.Proxy.Http.Http1;

/// <summary>Writes the parts of a chunked body (RFC 9112 section 7.1) around data that stays where it is.</summary>
internal static class ChunkWriter
{
    /// <summary>Room that any prefix fits in: eight digits and a line end.</summary>
    public const int MaxPrefix = 10;

    /// <summary>What follows the data of a chunk.</summary>
    public static ReadOnlySpan<byte> End => "\r\n"u8;

    /// <summary>The end of a body without trailers.</summary>
    public static ReadOnlySpan<byte> LastChunk => "0\r\n\r\n"u8;

    /// <summary>
    /// Writes the size line at the <em>end</em> of <paramref name="room"/>, so that it touches data that follows; gives its length.
    /// A chunk of size 0 would end the body: it is a bug of the caller.
    /// </summary>
    public static int WritePrefixBefore(Span<byte> room, int size)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(size, 1);
        var at = room.Length;
        room[--at] = (byte)'\n';
        room[--at] = (byte)'\r';
        for (var rest = (uint)size; rest != 0; rest >>= 4) room[--at] = "0123456789abcdef"u8[(int)(rest & 15)];
        return room.Length - at;
    }

    /// <summary>The last chunk with trailers. False when <paramref name="destination"/> is too small; <see cref="HeaderBlock.ListSize"/> + 8 is enough.</summary>
    public static bool TryWriteEnd(HeaderBlock trailers, Span<byte> destination, out int written)
    {
        var writer = new ByteWriter(destination);
        writer.Write("0\r\n"u8);
        for (var i = 0; i < trailers.Count; i++)
        {
            var field = trailers[i];
            writer.Write(field.Name);
            writer.Write(": "u8);
            writer.Write(field.Value);
            writer.Write("\r\n"u8);
        }

        writer.Write("\r\n"u8);
        written = writer.Written;
        return !writer.Overflowed;
    }
}
