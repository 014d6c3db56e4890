namespace Mesh.Proxy.Tracing;

/// <summary>Ids of traces and spans: hexadecimal in lower case, of a fixed length.</summary>
internal static class Hex
{
    /// <summary>Up to 16 digits.</summary>
    public static bool TryRead(ReadOnlySpan<byte> text, out ulong value)
    {
        value = 0;
        foreach (var digit in text)
        {
            var number = digit is >= (byte)'0' and <= (byte)'9' ? digit - '0' : digit is >= (byte)'a' and <= (byte)'f' ? digit - 'a' + 10 : -1;
            if (number < 0) return false;
            value = value << 4 | (uint)number;
        }

        return text.Length is > 0 and <= 16;
    }

    /// <summary>Up to 32 digits.</summary>
    public static bool TryReadLong(ReadOnlySpan<byte> text, out UInt128 value)
    {
        value = 0;
        var split = Math.Max(0, text.Length - 16);
        ulong high = 0;
        if (text.Length > 32 || (split > 0 && !TryRead(text[..split], out high)) || !TryRead(text[split..], out var low)) return false;
        value = new UInt128(high, low);
        return true;
    }

    public static void Write(ulong value, Span<byte> to, int digits)
    {
        for (var i = digits - 1; i >= 0; i--, value >>= 4) to[i] = "0123456789abcdef"u8[(int)(value & 15)];
    }

    /// <summary>All 32 digits.</summary>
    public static void Write(UInt128 value, Span<byte> to)
    {
        Write((ulong)(value >> 64), to, 16);
        Write((ulong)value, to[16..], 16);
    }
}
