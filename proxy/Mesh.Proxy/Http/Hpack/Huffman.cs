using System.Buffers.Binary;

namespace Mesh.Proxy.Http.Hpack;

/// <summary>
/// The code of RFC 7541 appendix B. It is canonical: codes grow with their length, then with the symbol, so the lengths say everything.
/// </summary>
internal static class Huffman
{
    private const int EndOfString = 256;
    private const int Symbols = 257;
    private const int LongestCode = 30;

    // Codes of up to eight bits, which are those of ordinary text, are found by one look; the others share the prefixes 0xfe and 0xff.
    private const int ShortBits = 8;

    // Symbol in the low byte, length above it; 0 where a longer code begins.
    private static readonly ushort[] _short = new ushort[1 << ShortBits];
    private static readonly uint[] _codes = new uint[Symbols];

    // By length: the first code, aligned to 32 bits, that is longer; and what leads from a code to its symbol.
    private static readonly ulong[] _limit = new ulong[LongestCode + 1];
    private static readonly int[] _firstOfLength = new int[LongestCode + 1];
    private static readonly uint[] _firstCode = new uint[LongestCode + 1];
    private static readonly ushort[] _bySymbolOrder = new ushort[Symbols];

    static Huffman()
    {
        uint code = 0;
        var ordinal = 0;
        for (var length = 5; length <= LongestCode; length++)
        {
            _firstCode[length] = code;
            _firstOfLength[length] = ordinal;
            for (var symbol = 0; symbol < Symbols; symbol++)
            {
                if (Lengths[symbol] != length) continue;
                _codes[symbol] = code;
                _bySymbolOrder[ordinal++] = (ushort)symbol;
                if (length <= ShortBits) _short.AsSpan((int)code << (ShortBits - length), 1 << (ShortBits - length)).Fill((ushort)(length << 8 | symbol));
                code++;
            }

            _limit[length] = (ulong)code << (32 - length);
            code <<= 1;
        }
    }

    private static ReadOnlySpan<byte> Lengths =>
    [
        13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
        6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
        13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
        15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
        20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
        22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
        26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
        20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
        30,
    ];

    /// <summary>The most bytes that <paramref name="encoded"/> bytes can stand for: no code is shorter than five bits.</summary>
    public static int MaxDecoded(int encoded) => (int)((long)encoded * 8 / 5);

    /// <summary>Bytes that <paramref name="text"/> takes when it is encoded.</summary>
    public static int EncodedLength(ReadOnlySpan<byte> text)
    {
        long bits = 0;
        foreach (var symbol in text) bits += Lengths[symbol];
        return (int)((bits + 7) / 8);
    }

    /// <summary>Encodes; <paramref name="destination"/> has <see cref="EncodedLength"/> bytes.</summary>
    public static void Encode(ReadOnlySpan<byte> text, Span<byte> destination)
    {
        ulong bits = 0;
        var count = 0;
        var at = 0;
        foreach (var symbol in text)
        {
            var length = Lengths[symbol];
            bits = bits << length | _codes[symbol];
            count += length;
            while (count >= 8)
            {
                count -= 8;
                destination[at++] = (byte)(bits >> count);
            }
        }

        // The rest is padded with the beginning of the end-of-string code, which is all ones.
        if (count > 0) destination[at] = (byte)(bits << (8 - count) | 0xffu >> count);
    }

    /// <summary>
    /// Decodes; false when the end-of-string symbol is in it, or the padding is longer than seven bits or not all ones (RFC 7541 section 5.2).
    /// <paramref name="destination"/> has <see cref="MaxDecoded"/> bytes.
    /// </summary>
    public static bool TryDecode(ReadOnlySpan<byte> encoded, Span<byte> destination, out int written)
    {
        // The next bits are at the top of the reservoir; below them are zeros.
        ulong bits = 0;
        var count = 0;
        var at = 0;
        written = 0;
        while (true)
        {
            if (count <= 32)
            {
                if (encoded.Length - at >= 4)
                {
                    bits |= (ulong)BinaryPrimitives.ReadUInt32BigEndian(encoded[at..]) << (32 - count);
                    at += 4;
                    count += 32;
                }
                else
                {
                    for (; at < encoded.Length && count <= 56; count += 8) bits |= (ulong)encoded[at++] << (56 - count);
                }
            }

            int entry = _short[bits >> (64 - ShortBits)];
            var length = entry >> 8;
            if (entry != 0 && length <= count)
            {
                destination[written++] = (byte)entry;
            }
            else
            {
                if (entry != 0 || !TryDecodeLong(bits, count, out var symbol, out length)) return IsPadding(bits, count);
                if (symbol == EndOfString) return false;
                destination[written++] = (byte)symbol;
            }

            bits <<= length;
            count -= length;
        }
    }

    private static bool TryDecodeLong(ulong bits, int count, out int symbol, out int length)
    {
        var top = bits >> 32;
        for (length = ShortBits + 1; length <= LongestCode && length <= count; length++)
        {
            if (top >= _limit[length]) continue;
            symbol = _bySymbolOrder[_firstOfLength[length] + (int)((top >> (32 - length)) - _firstCode[length])];
            return true;
        }

        symbol = 0;
        return false;
    }

    /// <summary>What is left when no code is complete: nothing, or up to seven ones.</summary>
    private static bool IsPadding(ulong bits, int count) => count < 8 && bits == ~(ulong.MaxValue >> count);
}
