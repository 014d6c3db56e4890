using System.Globalization;
using System.Text;

namespace Mesh.Spiffe.X509;

/// <summary>Reading and printing of an X.501 Name in DER. Names are compared as bytes: what an issuer writes, it writes the same way twice.</summary>
internal static class DistinguishedName
{
    private static readonly (byte[] Oid, string Name)[] Attributes =
    [
        ([0x55, 0x04, 0x03], "CN"),
        ([0x55, 0x04, 0x05], "serialNumber"),
        ([0x55, 0x04, 0x06], "C"),
        ([0x55, 0x04, 0x07], "L"),
        ([0x55, 0x04, 0x08], "ST"),
        ([0x55, 0x04, 0x09], "street"),
        ([0x55, 0x04, 0x0A], "O"),
        ([0x55, 0x04, 0x0B], "OU"),
        ([0x55, 0x04, 0x61], "organizationIdentifier"),
        ([0x09, 0x92, 0x26, 0x89, 0x93, 0xF2, 0x2C, 0x64, 0x01, 0x19], "DC"),
        ([0x09, 0x92, 0x26, 0x89, 0x93, 0xF2, 0x2C, 0x64, 0x01, 0x01], "UID"),
        ([0x2A, 0x86, 0x48, 0x86, 0xF7, 0x0D, 0x01, 0x09, 0x01], "emailAddress"),
    ];

    /// <summary>True for SEQUENCE OF SET OF SEQUENCE { type, value }, which may be empty.</summary>
    public static bool IsWellFormed(ReadOnlyMemory<byte> encoded)
    {
        var outer = new DerReader(encoded);
        if (!outer.TryRead(DerReader.Sequence, out var names) || !outer.IsEmpty) return false;
        var reader = new DerReader(names);
        while (!reader.IsEmpty)
        {
            if (!reader.TryRead(DerReader.Set, out var set) || set.IsEmpty) return false;
            var attributes = new DerReader(set);
            while (!attributes.IsEmpty)
            {
                if (!TryReadAttribute(ref attributes, out _, out _, out _)) return false;
            }
        }

        return true;
    }

    public static bool IsEmpty(ReadOnlyMemory<byte> encoded) => encoded.Length == 2;

    /// <summary>True when <paramref name="name"/> begins with every relative name of <paramref name="prefix"/>, byte for byte.</summary>
    public static bool StartsWith(ReadOnlyMemory<byte> name, ReadOnlyMemory<byte> prefix)
    {
        var nameReader = new DerReader(name);
        var prefixReader = new DerReader(prefix);
        return nameReader.TryRead(DerReader.Sequence, out var nameContent)
            && prefixReader.TryRead(DerReader.Sequence, out var prefixContent)
            && nameContent.Span.StartsWith(prefixContent.Span);
    }

    public static bool HasAttribute(ReadOnlyMemory<byte> encoded, ReadOnlySpan<byte> oid)
    {
        var outer = new DerReader(encoded);
        if (!outer.TryRead(DerReader.Sequence, out var names)) return false;
        var reader = new DerReader(names);
        while (reader.TryRead(DerReader.Set, out var set))
        {
            var attributes = new DerReader(set);
            while (TryReadAttribute(ref attributes, out var type, out _, out _))
            {
                if (type.Span.SequenceEqual(oid)) return true;
            }
        }

        return false;
    }

    /// <summary>
    /// <c>CN=web, O=Example</c> in the order of the certificate; empty for an empty name. Control characters, quotes and everything
    /// outside ASCII are escaped, so that a name from a peer cannot forge a line of a log or a terminal.
    /// </summary>
    public static string ToText(ReadOnlyMemory<byte> encoded)
    {
        var text = new StringBuilder();
        var outer = new DerReader(encoded);
        if (!outer.TryRead(DerReader.Sequence, out var names)) return "";
        var reader = new DerReader(names);
        while (reader.TryRead(DerReader.Set, out var set))
        {
            var attributes = new DerReader(set);
            var first = true;
            while (TryReadAttribute(ref attributes, out var type, out var tag, out var value))
            {
                if (text.Length > 0) text.Append(first ? ", " : " + ");
                first = false;
                AppendType(text, type.Span);
                text.Append('=');
                AppendValue(text, tag, value.Span);
            }
        }

        return text.ToString();
    }

    private static bool TryReadAttribute(ref DerReader reader, out ReadOnlyMemory<byte> type, out byte valueTag, out ReadOnlyMemory<byte> value)
    {
        type = value = default;
        valueTag = 0;
        if (!reader.TryRead(DerReader.Sequence, out var pair)) return false;
        var inner = new DerReader(pair);
        return inner.TryRead(DerReader.ObjectIdentifier, out type) && !type.IsEmpty && inner.TryReadAny(out valueTag, out value, out _) && inner.IsEmpty;
    }

    private static void AppendType(StringBuilder text, ReadOnlySpan<byte> oid)
    {
        foreach (var (known, name) in Attributes)
        {
            if (!oid.SequenceEqual(known)) continue;
            text.Append(name);
            return;
        }

        text.Append("oid:").Append(Convert.ToHexStringLower(oid));
    }

    private static void AppendValue(StringBuilder text, byte tag, ReadOnlySpan<byte> value)
    {
        const byte Utf8String = 0x0C, BmpString = 0x1E;
        var decoded = tag switch
        {
            Utf8String => Encoding.UTF8.GetString(value),
            BmpString => Encoding.BigEndianUnicode.GetString(value),
            _ => Encoding.Latin1.GetString(value),
        };
        foreach (var c in decoded)
        {
            if (c is < ' ' or > '~') text.Append(CultureInfo.InvariantCulture, $"\\u{(int)c:x4}");
            else if (c is ',' or '+' or '"' or '\\' or '=') text.Append('\\').Append(c);
            else text.Append(c);
        }
    }
}
