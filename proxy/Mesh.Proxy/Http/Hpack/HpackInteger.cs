namespace Mesh.Proxy.Http.Hpack;

/// <summary>Integers of RFC 7541 section 5.1.</summary>
internal static class HpackInteger
{
    /// <summary>The most bytes that are written for an <see cref="int"/>.</summary>
    public const int MaxLength = 6;

    /// <summary>
    /// Reads an integer whose first byte is at <paramref name="at"/>, in its low <paramref name="prefix"/> bits. Nothing here is as large as 2^28, so
    /// four more bytes are enough, zeros that lengthen it included.
    /// </summary>
    public static HpackFault Read(ReadOnlySpan<byte> block, ref int at, int prefix, out int value)
    {
        var mask = (1 << prefix) - 1;
        value = block[at++] & mask;
        if (value < mask) return HpackFault.None;
        for (var shift = 0; ; shift += 7)
        {
            if (at == block.Length) return HpackFault.Truncated;
            if (shift > 21) return HpackFault.IntegerTooLarge;
            var next = block[at++];
            value += (next & 0x7f) << shift;
            if (next < 0x80) return HpackFault.None;
        }
    }

    /// <summary>Writes <paramref name="value"/> with <paramref name="pattern"/> in the bits above the prefix; gives the bytes written.</summary>
    public static int Write(Span<byte> destination, int value, int prefix, byte pattern)
    {
        var mask = (1 << prefix) - 1;
        if (value < mask)
        {
            destination[0] = (byte)(pattern | value);
            return 1;
        }

        destination[0] = (byte)(pattern | mask);
        var at = 1;
        for (value -= mask; value >= 0x80; value >>= 7) destination[at++] = (byte)(value | 0x80);
        destination[at++] = (byte)value;
        return at;
    }
}
