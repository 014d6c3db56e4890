namespace Mesh.Proxy.Http.Http1;

/// <summary>Field lines up to the empty line that ends a head or the trailers (RFC 9112 section 5).</summary>
internal struct FieldLines(int maxBytes, Http1Fault tooLong)
{
    private LineReader _lines;
    private int _bytes;
    private int _fields;

    public Http1Fault Fault { get; private set; }

    /// <summary>Counts bytes that belong to the same head and were read by somebody else: its first line.</summary>
    public void Count(int bytes) => _bytes += bytes;

    /// <summary>Adds the fields that are complete in <paramref name="input"/> to <paramref name="block"/>.</summary>
    public HeadStatus Read(ReadOnlySpan<byte> input, HeaderBlock block, out int consumed)
    {
        consumed = 0;
        while (true)
        {
            var status = _lines.Next(input[consumed..], HttpLimits.MaxFieldLine, out var line);
            if (status != LineStatus.Line)
            {
                if (status == LineStatus.TooLong) return Refuse(Http1Fault.FieldLineTooLong);
                if (status == LineStatus.Refused) return Refuse(_lines.Fault);
                return _bytes + input.Length - consumed > maxBytes ? Refuse(tooLong) : HeadStatus.NeedMore;
            }

            consumed += line.Length + 2;
            _bytes += line.Length + 2;
            if (_bytes > maxBytes) return Refuse(tooLong);
            if (line.IsEmpty) return HeadStatus.Complete;
            if (++_fields > HttpLimits.MaxFields) return Refuse(Http1Fault.TooManyFields);
            var fault = Add(line, block);
            if (fault != Http1Fault.None) return Refuse(fault);
        }
    }

    private static Http1Fault Add(ReadOnlySpan<byte> line, HeaderBlock block)
    {
        if (line[0] is (byte)' ' or (byte)'\t') return Http1Fault.LineFolding;
        var before = block.Used;
        var name = block.Reserve(line.Length);
        var length = 0;
        for (; length < line.Length; length++)
        {
            var lower = FieldSyntax.LowerName(line[length]);
            if (lower == 0) break;
            name[length] = lower;
        }

        if (length == line.Length || length == 0) return Http1Fault.BadFieldName;
        if (line[length] != ':') return line[length] is (byte)' ' or (byte)'\t' ? Http1Fault.SpaceBeforeColon : Http1Fault.BadFieldName;
        var known = FieldNames.Find(name[..length]);
        if (known == FieldName.Other) block.Take(length);
        var value = FieldSyntax.Trim(line[(length + 1)..]);
        block.AddEntry(known, before, known == FieldName.Other ? length : 0, block.Append(value), value.Length, FieldFlags.None);
        return Http1Fault.None;
    }

    private HeadStatus Refuse(Http1Fault fault)
    {
        Fault = fault;
        return HeadStatus.Refused;
    }
}
