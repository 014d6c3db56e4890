using System.Numerics;

namespace Mesh.Proxy.Http.Hpack;

/// <summary>
/// The dynamic table of RFC 7541 section 2.3.2: the newest entry has index 0 here. Names that are known take no bytes; values and other names are in
/// a ring of bytes, which grows with what is in the table and never beyond its limit.
/// </summary>
internal sealed class DynamicTable
{
    /// <summary>What an entry counts beside its bytes (section 4.1).</summary>
    public const int EntryOverhead = 32;

    private const int InitialBytes = 256;
    private const int InitialEntries = 8;

    private readonly int _limit;
    private byte[] _ring = [];
    private Entry[] _entries = [];
    private uint[] _hashes = [];
    private uint[] _nameHashes = [];

    // Where the oldest entry is, in entries and in bytes.
    private int _oldest;
    private int _start;
    private int _used;

    /// <summary>A table that never gets larger than <paramref name="limit"/> bytes by the count of section 4.1.</summary>
    public DynamicTable(int limit) => MaxSize = _limit = limit;

    public int Count { get; private set; }

    /// <summary>By the count of section 4.1.</summary>
    public int Size { get; private set; }

    public int MaxSize { get; private set; }

    /// <summary>Evicts what no longer fits. The size must not be above the limit.</summary>
    public void SetMaxSize(int size)
    {
        ArgumentOutOfRangeException.ThrowIfGreaterThan(size, _limit);
        MaxSize = size;
        while (Size > size) Evict();
    }

    /// <summary>Adds an entry, evicting the oldest ones for it; one that is larger than the table empties it (section 4.4).</summary>
    public void Add(FieldName known, ReadOnlySpan<byte> name, ReadOnlySpan<byte> value, uint hash = 0, uint nameHash = 0)
    {
        var size = name.Length + value.Length + EntryOverhead;
        while (Count > 0 && Size + size > MaxSize) Evict();
        if (size > MaxSize) return;
        var stored = known == FieldName.Other ? name : default;
        Reserve(stored.Length + value.Length);
        var slot = (_oldest + Count) & (_entries.Length - 1);
        _entries[slot] = new Entry { Known = known, Offset = (_start + _used) % _ring.Length, NameLength = stored.Length, ValueLength = value.Length, Size = size };
        _hashes[slot] = hash;
        _nameHashes[slot] = nameHash;
        Write(stored);
        Write(value);
        Count++;
        Size += size;
    }

    public FieldName Known(int index) => At(index).Known;

    /// <summary>Length of the name in bytes.</summary>
    public int NameLength(int index) => At(index) is var entry && entry.Known == FieldName.Other ? entry.NameLength : FieldNames.Bytes(entry.Known).Length;

    public int ValueLength(int index) => At(index).ValueLength;

    /// <summary>Copies the name of an entry whose name is not known.</summary>
    public void CopyName(int index, Span<byte> destination)
    {
        ref readonly var entry = ref At(index);
        Copy(entry.Offset, destination[..entry.NameLength]);
    }

    public void CopyValue(int index, Span<byte> destination)
    {
        ref readonly var entry = ref At(index);
        Copy(entry.Offset + entry.NameLength, destination[..entry.ValueLength]);
    }

    /// <summary>The newest entry with this name and value, whose <paramref name="hash"/> was given when it was added; -1 when there is none.</summary>
    public int Find(uint hash, FieldName known, ReadOnlySpan<byte> name, ReadOnlySpan<byte> value)
    {
        for (var from = 0; from < _hashes.Length;)
        {
            var found = _hashes.AsSpan(from).IndexOf(hash);
            if (found < 0) return -1;
            var slot = from + found;
            ref readonly var entry = ref _entries[slot];
            if (entry.Known == known && IsLive(slot) && (known != FieldName.Other || Equal(entry.Offset, entry.NameLength, name))
                && Equal(entry.Offset + entry.NameLength, entry.ValueLength, value)) return IndexOf(slot);
            from = slot + 1;
        }

        return -1;
    }

    /// <summary>An entry with this name, known or not; -1 when there is none.</summary>
    public int FindName(uint nameHash, FieldName known, ReadOnlySpan<byte> name)
    {
        for (var from = 0; from < _nameHashes.Length;)
        {
            var found = _nameHashes.AsSpan(from).IndexOf(nameHash);
            if (found < 0) return -1;
            var slot = from + found;
            ref readonly var entry = ref _entries[slot];
            if (entry.Known == known && IsLive(slot) && (known != FieldName.Other || Equal(entry.Offset, entry.NameLength, name))) return IndexOf(slot);
            from = slot + 1;
        }

        return -1;
    }

    private ref readonly Entry At(int index)
    {
        if ((uint)index >= (uint)Count) throw new ArgumentOutOfRangeException(nameof(index));
        return ref _entries[(_oldest + Count - 1 - index) & (_entries.Length - 1)];
    }

    private bool IsLive(int slot) => ((slot - _oldest) & (_entries.Length - 1)) < Count;

    private int IndexOf(int slot) => Count - 1 - ((slot - _oldest) & (_entries.Length - 1));

    private void Evict()
    {
        ref readonly var entry = ref _entries[_oldest];
        var bytes = entry.NameLength + entry.ValueLength;
        _start = _used == bytes ? 0 : (_start + bytes) % _ring.Length;
        _used -= bytes;
        Size -= entry.Size;
        _oldest = (_oldest + 1) & (_entries.Length - 1);
        Count--;
    }

    private void Reserve(int bytes)
    {
        if (Count == _entries.Length) GrowEntries();
        if (_used + bytes <= _ring.Length && _ring.Length > 0) return;
        var size = Math.Max(InitialBytes, (int)BitOperations.RoundUpToPowerOf2((uint)(_used + bytes)));
        var ring = new byte[size];
        Copy(_start, ring.AsSpan(0, _used));
        for (var index = 0; index < Count; index++)
        {
            ref var entry = ref _entries[(_oldest + index) & (_entries.Length - 1)];
            entry.Offset = (entry.Offset - _start + _ring.Length) % _ring.Length;
        }

        _ring = ring;
        _start = 0;
    }

    private void GrowEntries()
    {
        var size = Math.Max(InitialEntries, _entries.Length * 2);
        var entries = new Entry[size];
        var hashes = new uint[size];
        var nameHashes = new uint[size];
        for (var i = 0; i < Count; i++)
        {
            var slot = (_oldest + i) & (_entries.Length - 1);
            (entries[i], hashes[i], nameHashes[i]) = (_entries[slot], _hashes[slot], _nameHashes[slot]);
        }

        (_entries, _hashes, _nameHashes, _oldest) = (entries, hashes, nameHashes, 0);
    }

    private void Write(ReadOnlySpan<byte> bytes)
    {
        var at = (_start + _used) % _ring.Length;
        var first = Math.Min(bytes.Length, _ring.Length - at);
        bytes[..first].CopyTo(_ring.AsSpan(at));
        bytes[first..].CopyTo(_ring);
        _used += bytes.Length;
    }

    private void Copy(int offset, Span<byte> destination)
    {
        if (destination.IsEmpty) return;
        offset %= _ring.Length;
        var first = Math.Min(destination.Length, _ring.Length - offset);
        _ring.AsSpan(offset, first).CopyTo(destination);
        _ring.AsSpan(0, destination.Length - first).CopyTo(destination[first..]);
    }

    private bool Equal(int offset, int length, ReadOnlySpan<byte> bytes)
    {
        if (length != bytes.Length) return false;
        if (length == 0) return true;
        offset %= _ring.Length;
        var first = Math.Min(length, _ring.Length - offset);
        return _ring.AsSpan(offset, first).SequenceEqual(bytes[..first]) && _ring.AsSpan(0, length - first).SequenceEqual(bytes[first..]);
    }

    private struct Entry
    {
        public int Offset;
        public int NameLength;
        public int ValueLength;
        public int Size;
        public FieldName Known;
    }
}
