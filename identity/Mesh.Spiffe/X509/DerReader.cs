namespace Mesh.Spiffe.X509;

/// <summary>
/// Reads DER (X.690) front to back without exceptions: definite, minimal lengths and one-byte tags only, which is all that X.509 uses.
/// What a peer sends goes through here, so a malformed input costs no more than a well-formed one.
/// </summary>
internal ref struct DerReader(ReadOnlyMemory<byte> data)
{
    public const byte Boolean = 0x01;
    public const byte Integer = 0x02;
    public const byte BitString = 0x03;
    public const byte OctetString = 0x04;
    public const byte Null = 0x05;
    public const byte ObjectIdentifier = 0x06;
    public const byte UtcTime = 0x17;
    public const byte GeneralizedTime = 0x18;
    public const byte Sequence = 0x30;
    public const byte Set = 0x31;

    private ReadOnlyMemory<byte> _rest = data;

    public readonly bool IsEmpty => _rest.IsEmpty;

    /// <summary>What has not been read yet.</summary>
    public readonly ReadOnlyMemory<byte> Rest => _rest;

    /// <summary>The tag of the next value, or 0 at the end (0 is no tag that X.509 uses).</summary>
    public readonly byte PeekTag() => _rest.IsEmpty ? (byte)0 : _rest.Span[0];

    /// <summary>Reads any value: its tag, its content and the whole encoding.</summary>
    public bool TryReadAny(out byte tag, out ReadOnlyMemory<byte> content, out ReadOnlyMemory<byte> encoded)
    {
        tag = 0;
        content = encoded = default;
        var span = _rest.Span;
        if (span.Length < 2 || (span[0] & 0x1F) == 0x1F) return false;
        var header = 2;
        int length = span[1];
        if (length >= 0x80)
        {
            var bytes = length & 0x7F;
            // Zero is the indefinite form; four bytes and more are far above every bound of this library.
            if (bytes is 0 or > 3 || span.Length < 2 + bytes) return false;
            length = 0;
            for (var i = 0; i < bytes; i++) length = (length << 8) | span[2 + i];
            if (length < 0x80 || length >> (8 * (bytes - 1)) == 0) return false;
            header += bytes;
        }

        if (span.Length - header < length) return false;
        tag = span[0];
        content = _rest.Slice(header, length);
        encoded = _rest[..(header + length)];
        _rest = _rest[(header + length)..];
        return true;
    }

    /// <summary>Reads a value that must have this tag. Nothing is consumed when it has another.</summary>
    public bool TryRead(byte tag, out ReadOnlyMemory<byte> content) => TryRead(tag, out content, out _);

    /// <inheritdoc cref="TryRead(byte, out ReadOnlyMemory{byte})"/>
    public bool TryRead(byte tag, out ReadOnlyMemory<byte> content, out ReadOnlyMemory<byte> encoded)
    {
        content = encoded = default;
        return PeekTag() == tag && TryReadAny(out _, out content, out encoded);
    }

    /// <summary>Reads an INTEGER's content in minimal two's complement.</summary>
    public bool TryReadInteger(out ReadOnlyMemory<byte> content)
    {
        if (!TryRead(Integer, out content) || content.IsEmpty) return false;
        var span = content.Span;
        return span.Length == 1 || !((span[0] == 0 && span[1] < 0x80) || (span[0] == 0xFF && span[1] >= 0x80));
    }

    /// <summary>Reads an INTEGER from 0 to 2³¹−1; larger ones read as 2³¹−1, negative ones are refused.</summary>
    public bool TryReadSmallInteger(out int value)
    {
        value = 0;
        return TryReadInteger(out var content) && TryGetSmallInteger(content.Span, out value);
    }

    /// <summary>The value of an INTEGER's minimal content octets, as <see cref="TryReadSmallInteger"/> gives it.</summary>
    public static bool TryGetSmallInteger(ReadOnlySpan<byte> content, out int value)
    {
        value = 0;
        if (content.IsEmpty || content[0] >= 0x80) return false;
        if (content.Length > 4)
        {
            value = int.MaxValue;
            return true;
        }

        foreach (var b in content) value = (value << 8) | b;
        return true;
    }

    public bool TryReadBoolean(out bool value)
    {
        value = false;
        if (!TryRead(Boolean, out var content) || content.Length != 1) return false;
        value = content.Span[0] == 0xFF;
        return value || content.Span[0] == 0;
    }

    /// <summary>Reads a BIT STRING: its bytes and how many bits of the last byte do not count.</summary>
    public bool TryReadBitString(out ReadOnlyMemory<byte> bits, out int unused)
    {
        unused = 0;
        if (!TryRead(BitString, out bits) || bits.IsEmpty) return false;
        unused = bits.Span[0];
        bits = bits[1..];
        if (unused > 7 || (bits.IsEmpty && unused != 0)) return false;
        return bits.IsEmpty || (bits.Span[^1] & ((1 << unused) - 1)) == 0;
    }

    /// <summary>Reads a Time as RFC 5280 section 4.1.2.5 writes it: seconds present, Zulu, no fraction.</summary>
    public bool TryReadTime(out DateTimeOffset time)
    {
        time = default;
        if (TryRead(UtcTime, out var content)) return content.Length == 13 && TryParseTime(content.Span, 2, out time);
        return TryRead(GeneralizedTime, out content) && content.Length == 15 && TryParseTime(content.Span, 4, out time);
    }

    private static bool TryParseTime(ReadOnlySpan<byte> text, int yearDigits, out DateTimeOffset time)
    {
        time = default;
        if (text[^1] != (byte)'Z' || text[..^1].ContainsAnyExceptInRange((byte)'0', (byte)'9')) return false;
        var year = 0;
        foreach (var digit in text[..yearDigits]) year = (year * 10) + (digit - '0');
        // RFC 5280 section 4.1.2.5.1: two digits from 50 on are of the last century.
        if (yearDigits == 2) year += year >= 50 ? 1900 : 2000;
        var rest = text[yearDigits..];
        int month = Two(rest, 0), day = Two(rest, 2), hour = Two(rest, 4), minute = Two(rest, 6), second = Two(rest, 8);
        if (year == 0 || month is 0 or > 12 || day == 0 || day > DateTime.DaysInMonth(year, month) || hour > 23 || minute > 59 || second > 59) return false;
        time = new DateTimeOffset(year, month, day, hour, minute, second, TimeSpan.Zero);
        return true;

        static int Two(ReadOnlySpan<byte> digits, int at) => ((digits[at] - '0') * 10) + (digits[at + 1] - '0');
    }
}
