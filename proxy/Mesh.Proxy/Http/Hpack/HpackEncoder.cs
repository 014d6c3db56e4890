using System.Buffers.Binary;

namespace Mesh.Proxy.Http.Hpack;

/// <summary>When strings are Huffman-coded.</summary>
internal enum HuffmanUse : byte
{
    /// <summary>Between proxies in one network: a literal is rare there, and copying it costs both sides less than coding it.</summary>
    Never = 0,

    /// <summary>When it makes the string shorter.</summary>
    WhenShorter = 1,
}

/// <summary>
/// Encodes the field blocks of one direction of one connection (RFC 7541). A value goes into the table when it is seen for the second time within a
/// short while: what all requests of a connection share becomes one byte, and what is different every time (ids, traces, paths with numbers in them)
/// does not push it out.
/// </summary>
internal sealed class HpackEncoder
{
    /// <summary>The largest table we keep, however large the peer's may be: the default size.</summary>
    public const int MaxTableSize = 4096;

    // A cookie shorter than this may be guessed piece by piece (RFC 7541 section 7.1.3).
    private const int ShortSecret = 20;

    // A power of two; several requests with a dozen fields each.
    private const int RecentSlots = 128;

    private readonly DynamicTable _table = new(MaxTableSize);
    private readonly uint[] _recent = new uint[RecentSlots];
    private readonly HuffmanUse _huffman;

    // Sizes to be told to the peer's decoder in the next block; -1 for none (section 4.2).
    private int _smallestSize = -1;
    private int _newSize = -1;

    public HpackEncoder(HuffmanUse huffman) => _huffman = huffman;

    /// <summary>What the table holds, by the count of RFC 7541 section 4.1.</summary>
    internal int TableBytes => _table.Size;

    /// <summary>Bytes that are enough for the block of these fields.</summary>
    public static int MaxSize(HeaderBlock fields) => fields.ListSize + 2 * HpackInteger.MaxLength;

    /// <summary>What the peer's SETTINGS_HEADER_TABLE_SIZE allows, in bytes; takes effect with the next block.</summary>
    public void SetPeerTableSize(uint size)
    {
        var bounded = (int)Math.Min(size, MaxTableSize);
        if (bounded == (_newSize >= 0 ? _newSize : _table.MaxSize)) return;
        _smallestSize = _smallestSize < 0 ? bounded : Math.Min(_smallestSize, bounded);
        _newSize = bounded;
    }

    /// <summary>
    /// Encodes all fields, in their order, as one block; gives its length. <paramref name="destination"/> has at least <see cref="MaxSize"/> bytes:
    /// a block cannot be taken back once the table has learnt from it.
    /// </summary>
    public int Encode(HeaderBlock fields, Span<byte> destination)
    {
        if (destination.Length < MaxSize(fields)) throw new ArgumentException("The destination is smaller than the block may be.", nameof(destination));
        var at = WriteSizeUpdates(destination);
        for (var i = 0; i < fields.Count; i++) at += EncodeField(fields[i], destination[at..]);
        return at;
    }

    private int WriteSizeUpdates(Span<byte> destination)
    {
        if (_newSize < 0) return 0;
        var at = 0;
        if (_smallestSize < _newSize)
        {
            _table.SetMaxSize(_smallestSize);
            at = HpackInteger.Write(destination, _smallestSize, 5, 0x20);
        }

        _table.SetMaxSize(_newSize);
        at += HpackInteger.Write(destination[at..], _newSize, 5, 0x20);
        _newSize = _smallestSize = -1;
        return at;
    }

    private int EncodeField(in Field field, Span<byte> destination)
    {
        if (IsSecret(field)) return WriteLiteral(field, NameIndex(field, NameHash(field)), 4, 0x10, destination);
        var index = field.Known is FieldName.Method or FieldName.Scheme or FieldName.Path or FieldName.Status or FieldName.AcceptEncoding
            ? StaticTable.Find(field.Known, field.Value)
            : 0;
        if (index > 0) return HpackInteger.Write(destination, index, 7, 0x80);

        var nameHash = NameHash(field);
        var hash = Hash(nameHash, field.Value);
        index = _table.Find(hash, field.Known, field.Name, field.Value);
        if (index >= 0) return HpackInteger.Write(destination, index + StaticTable.Count + 1, 7, 0x80);

        index = NameIndex(field, nameHash);
        ref var recent = ref _recent[hash & (RecentSlots - 1)];
        // An entry that takes half the table is not worth what it pushes out.
        var size = field.Name.Length + field.Value.Length + DynamicTable.EntryOverhead;
        if (recent != hash || size > _table.MaxSize / 2)
        {
            recent = hash;
            return WriteLiteral(field, index, 4, 0x00, destination);
        }

        var written = WriteLiteral(field, index, 6, 0x40, destination);
        _table.Add(field.Known, field.Name, field.Value, hash, nameHash);
        return written;
    }

    /// <summary>What no table is to hold, ours or that of a proxy further on (section 7.1.3).</summary>
    private static bool IsSecret(in Field field) => (field.Flags & FieldFlags.NeverIndexed) != 0
        || field.Known is FieldName.Authorization or FieldName.ProxyAuthorization
        || (field.Known is FieldName.Cookie or FieldName.SetCookie && field.Value.Length < ShortSecret);

    private int NameIndex(in Field field, uint nameHash)
    {
        var index = StaticTable.Find(field.Known);
        if (index > 0) return index;
        index = _table.FindName(nameHash, field.Known, field.Name);
        return index >= 0 ? index + StaticTable.Count + 1 : 0;
    }

    private int WriteLiteral(in Field field, int nameIndex, int prefix, byte pattern, Span<byte> destination)
    {
        var at = HpackInteger.Write(destination, nameIndex, prefix, pattern);
        if (nameIndex == 0) at += WriteString(field.Name, destination[at..]);
        return at + WriteString(field.Value, destination[at..]);
    }

    private int WriteString(ReadOnlySpan<byte> text, Span<byte> destination)
    {
        if (_huffman == HuffmanUse.WhenShorter && Huffman.EncodedLength(text) is var length && length < text.Length)
        {
            var prefix = HpackInteger.Write(destination, length, 7, 0x80);
            Huffman.Encode(text, destination.Slice(prefix, length));
            return prefix + length;
        }

        var at = HpackInteger.Write(destination, text.Length, 7, 0x00);
        text.CopyTo(destination[at..]);
        return at + text.Length;
    }

    private static uint NameHash(in Field field) => field.Known != FieldName.Other ? (uint)field.Known * 0x9E3779B1u | 1 : Hash(17, field.Name);

    /// <summary>Good enough to tell values apart; nothing is decided by it alone. Never 0, which marks empty places.</summary>
    private static uint Hash(uint seed, ReadOnlySpan<byte> bytes)
    {
        const ulong Factor = 0x9E3779B97F4A7C15;
        var hash = (seed ^ (ulong)(uint)bytes.Length << 32) * Factor;
        for (; bytes.Length >= 8; bytes = bytes[8..]) hash = Mix(hash ^ BinaryPrimitives.ReadUInt64LittleEndian(bytes));
        ulong tail = 0;
        for (var i = 0; i < bytes.Length; i++) tail = tail << 8 | bytes[i];
        hash = Mix(hash ^ tail);
        return (uint)(hash >> 32) | 1;

        static ulong Mix(ulong value) => (value ^ value >> 29) * Factor;
    }
}
