namespace Mesh.Proxy.Http.Hpack;

/// <summary>
/// Decodes the field blocks of one direction of one connection (RFC 7541). Fields are added to a <see cref="HeaderBlock"/> as they are: whether they
/// make a message is for others to say. What a block can make of itself is bounded while it is read, not afterwards.
/// </summary>
internal sealed class HpackDecoder
{
    /// <summary>The table size we announce: the default, so that no peer needs to be told.</summary>
    public const int TableSize = 4096;

    private readonly DynamicTable _table = new(TableSize);
    private int _listSize;
    private int _listFields;

    /// <summary>What the table holds, by the count of RFC 7541 section 4.1.</summary>
    internal int TableBytes => _table.Size;

    /// <summary>
    /// Decodes one complete block. After <see cref="HpackFault.ListTooLarge"/> the fields that fitted are in <paramref name="fields"/> and the decoder
    /// is good for the next block; after any other fault the connection is lost.
    /// </summary>
    public HpackFault Decode(ReadOnlySpan<byte> block, HeaderBlock fields)
    {
        _listSize = 0;
        _listFields = 0;
        var mayResize = true;
        for (var at = 0; at < block.Length;)
        {
            HpackFault fault;
            var first = block[at];
            if (first >= 0x80)
            {
                fault = Indexed(block, ref at, fields);
            }
            else if (first >= 0x40)
            {
                fault = Literal(block, ref at, 6, index: true, FieldFlags.None, fields);
            }
            else if (first >= 0x20)
            {
                if (!mayResize) return HpackFault.TableSizeUpdateTooLate;
                fault = Resize(block, ref at);
                if (fault != HpackFault.None) return fault;
                continue;
            }
            else
            {
                fault = Literal(block, ref at, 4, index: false, first >= 0x10 ? FieldFlags.NeverIndexed : FieldFlags.None, fields);
            }

            if (fault != HpackFault.None) return fault;
            mayResize = false;
        }

        return _listSize > HttpLimits.MaxFieldList || _listFields > HttpLimits.MaxListFields ? HpackFault.ListTooLarge : HpackFault.None;
    }

    private HpackFault Resize(ReadOnlySpan<byte> block, ref int at)
    {
        var fault = HpackInteger.Read(block, ref at, 5, out var size);
        if (fault != HpackFault.None) return fault;
        if (size > TableSize) return HpackFault.TableSizeTooLarge;
        _table.SetMaxSize(size);
        return HpackFault.None;
    }

    private HpackFault Indexed(ReadOnlySpan<byte> block, ref int at, HeaderBlock fields)
    {
        var fault = HpackInteger.Read(block, ref at, 7, out var index);
        if (fault != HpackFault.None) return fault;
        if (index == 0) return HpackFault.BadIndex;
        if (index <= StaticTable.Count)
        {
            var known = StaticTable.Name(index);
            var value = StaticTable.Value(index);
            if (Count(FieldNames.Bytes(known).Length, value.Length)) fields.Add(known, value);
            return HpackFault.None;
        }

        index -= StaticTable.Count + 1;
        if (index >= _table.Count) return HpackFault.BadIndex;
        var length = _table.ValueLength(index);
        if (!Count(_table.NameLength(index), length)) return HpackFault.None;
        var name = CopyName(index, fields, out var nameLength);
        _table.CopyValue(index, fields.Reserve(length));
        fields.AddEntry(_table.Known(index), name, nameLength, fields.Take(length), length, FieldFlags.None);
        return HpackFault.None;
    }

    private HpackFault Literal(ReadOnlySpan<byte> block, ref int at, int prefix, bool index, FieldFlags flags, HeaderBlock fields)
    {
        var before = fields.Used;
        var fault = LiteralName(block, ref at, prefix, fields, out var known, out var name, out var nameLength);
        if (fault != HpackFault.None) return fault;
        fault = ReadString(block, ref at, fields, out var value, out var valueLength);
        if (fault != HpackFault.None) return fault;

        var nameBytes = known != FieldName.Other ? FieldNames.Bytes(known) : fields.Slice(name, nameLength);
        if (index) _table.Add(known, nameBytes, fields.Slice(value, valueLength));
        if (Count(nameBytes.Length, valueLength)) fields.AddEntry(known, name, nameLength, value, valueLength, flags);
        else fields.Release(before);
        return HpackFault.None;
    }

    private HpackFault LiteralName(ReadOnlySpan<byte> block, ref int at, int prefix, HeaderBlock fields, out FieldName known, out int name, out int length)
    {
        known = FieldName.Other;
        name = 0;
        length = 0;
        var fault = HpackInteger.Read(block, ref at, prefix, out var index);
        if (fault != HpackFault.None) return fault;
        if (index == 0)
        {
            var before = fields.Used;
            fault = ReadString(block, ref at, fields, out name, out length);
            if (fault != HpackFault.None) return fault;
            known = FieldNames.Find(fields.Slice(name, length));
            if (known != FieldName.Other) fields.Release(before);
        }
        else if (index <= StaticTable.Count)
        {
            known = StaticTable.Name(index);
        }
        else
        {
            index -= StaticTable.Count + 1;
            if (index >= _table.Count) return HpackFault.BadIndex;
            known = _table.Known(index);
            name = CopyName(index, fields, out length);
        }

        return HpackFault.None;
    }

    /// <summary>A name that is not known goes into the block's buffer; a known one needs no bytes.</summary>
    private int CopyName(int index, HeaderBlock fields, out int length)
    {
        length = 0;
        if (_table.Known(index) != FieldName.Other) return 0;
        length = _table.NameLength(index);
        _table.CopyName(index, fields.Reserve(length));
        return fields.Take(length);
    }

    private static HpackFault ReadString(ReadOnlySpan<byte> block, ref int at, HeaderBlock fields, out int offset, out int length)
    {
        offset = 0;
        length = 0;
        if (at == block.Length) return HpackFault.Truncated;
        var isHuffman = block[at] >= 0x80;
        var fault = HpackInteger.Read(block, ref at, 7, out var encoded);
        if (fault != HpackFault.None) return fault;
        if (encoded > block.Length - at) return HpackFault.Truncated;
        var bytes = block.Slice(at, encoded);
        at += encoded;
        if (!isHuffman)
        {
            length = encoded;
            offset = fields.Append(bytes);
            return HpackFault.None;
        }

        if (!Huffman.TryDecode(bytes, fields.Reserve(Huffman.MaxDecoded(encoded)), out length)) return HpackFault.BadHuffmanCode;
        offset = fields.Take(length);
        return HpackFault.None;
    }

    /// <summary>Counts a field against the limits of the list; false when it is beyond them and is not to be kept.</summary>
    private bool Count(int name, int value)
    {
        // Blocks are bounded, an indexed field stands for 4 KB at most: this cannot overflow.
        _listSize += name + value + DynamicTable.EntryOverhead;
        _listFields++;
        return _listSize <= HttpLimits.MaxFieldList && _listFields <= HttpLimits.MaxListFields;
    }
}
