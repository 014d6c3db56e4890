using System.Runtime.CompilerServices;

namespace Mesh.Proxy.Http;

[Flags]
internal enum FieldFlags : byte
{
    None = 0,

    /// <summary>The sender asked that no table ever holds this value (RFC 7541 section 6.2.3); it is passed on with the same wish.</summary>
    NeverIndexed = 1,
}

/// <summary>One field of a <see cref="HeaderBlock"/>; valid until the block changes.</summary>
internal readonly ref struct Field(FieldName known, ReadOnlySpan<byte> name, ReadOnlySpan<byte> value, FieldFlags flags)
{
    public FieldName Known { get; } = known;

    /// <summary>In lower case.</summary>
    public ReadOnlySpan<byte> Name { get; } = name;

    public ReadOnlySpan<byte> Value { get; } = value;

    public FieldFlags Flags { get; } = flags;
}

/// <summary>
/// The head or the trailers of one message, whatever version it came in: fields in order, pseudo-fields of HTTP/2 among them, as slices of one
/// buffer that is kept from message to message. Not thread-safe; reading from it allocates nothing, adding does only while it grows.
/// </summary>
internal sealed class HeaderBlock
{
    private const int InitialBytes = 1024;
    private const int InitialFields = 24;

    private byte[] _bytes = new byte[InitialBytes];
    private Entry[] _entries = new Entry[InitialFields];
    private int _used;
    private int _count;
    private ulong _presentLow;
    private ulong _presentHigh;

    public int Count => _count;

    /// <summary>The size of the list by RFC 9113 section 6.5.2: names, values and 32 bytes a field.</summary>
    public int ListSize
    {
        get
        {
            var size = 0;
            for (var i = 0; i < _count; i++) size += NameOf(_entries[i]).Length + _entries[i].ValueLength + 32;
            return size;
        }
    }

    /// <summary>Bytes and fields that this block can hold before it grows: what it costs to keep.</summary>
    public int Capacity => _bytes.Length + _entries.Length * Unsafe.SizeOf<Entry>();

    public Field this[int index]
    {
        get
        {
            if ((uint)index >= (uint)_count) throw new ArgumentOutOfRangeException(nameof(index));
            ref var entry = ref _entries[index];
            return new Field(entry.Known, NameOf(entry), _bytes.AsSpan(entry.ValueOffset, entry.ValueLength), entry.Flags);
        }
    }

    public FieldName Known(int index) => _entries[index].Known;

    public ReadOnlySpan<byte> Value(int index)
    {
        ref var entry = ref _entries[index];
        return _bytes.AsSpan(entry.ValueOffset, entry.ValueLength);
    }

    /// <summary>Whether a field of this name is there; costs no search.</summary>
    public bool Contains(FieldName known) => (Present(known) & Bit(known)) != 0;

    /// <summary>The index of the first field of this name at or after <paramref name="from"/>; -1 when there is none.</summary>
    public int Find(FieldName known, int from = 0)
    {
        if (!Contains(known)) return -1;
        for (var i = from; i < _count; i++)
        {
            if (_entries[i].Known == known) return i;
        }

        return -1;
    }

    /// <summary>The index of the first field with this name in lower case, known or not; -1 when there is none.</summary>
    public int Find(ReadOnlySpan<byte> name)
    {
        var known = FieldNames.Find(name);
        if (known != FieldName.Other) return Find(known);
        for (var i = 0; i < _count; i++)
        {
            if (_entries[i].Known == FieldName.Other && NameOf(_entries[i]).SequenceEqual(name)) return i;
        }

        return -1;
    }

    /// <summary>The value of the first field of this name; empty when there is none.</summary>
    public ReadOnlySpan<byte> ValueOf(FieldName known) => Find(known) is >= 0 and var index ? Value(index) : default;

    public void Clear()
    {
        _used = 0;
        _count = 0;
        _presentLow = 0;
        _presentHigh = 0;
    }

    public void Add(FieldName known, ReadOnlySpan<byte> value, FieldFlags flags = FieldFlags.None)
    {
        if (known == FieldName.Other) throw new ArgumentException("A name that is not known must be given by its bytes.", nameof(known));
        AddEntry(known, 0, 0, Append(value), value.Length, flags);
    }

    /// <summary>Adds a field by its name in lower case.</summary>
    public void Add(ReadOnlySpan<byte> name, ReadOnlySpan<byte> value, FieldFlags flags = FieldFlags.None)
    {
        var known = FieldNames.Find(name);
        if (known != FieldName.Other) Add(known, value, flags);
        else AddOther(name, value, flags);
    }

    /// <summary>Adds a field whose name was found not to be a known one.</summary>
    public void AddOther(ReadOnlySpan<byte> name, ReadOnlySpan<byte> value, FieldFlags flags = FieldFlags.None)
    {
        var nameOffset = Append(name);
        AddEntry(FieldName.Other, nameOffset, name.Length, Append(value), value.Length, flags);
    }

    /// <summary>Puts a pseudo-field before everything else, where RFC 9113 section 8.3 wants it.</summary>
    public void AddFirst(FieldName known, ReadOnlySpan<byte> value)
    {
        Add(known, value);
        var added = _entries[_count - 1];
        Array.Copy(_entries, 0, _entries, 1, _count - 1);
        _entries[0] = added;
    }

    /// <summary>Makes <paramref name="value"/> the only value of this name: in the place of the first one, or at the end.</summary>
    public void Set(FieldName known, ReadOnlySpan<byte> value)
    {
        var first = Find(known);
        if (first < 0)
        {
            Add(known, value);
            return;
        }

        SetValue(first, value);
        if (Find(known, first + 1) >= 0) RemoveAfter(known, first + 1);
    }

    /// <summary>Gives the field at <paramref name="index"/> another value.</summary>
    public void SetValue(int index, ReadOnlySpan<byte> value)
    {
        if ((uint)index >= (uint)_count) throw new ArgumentOutOfRangeException(nameof(index));
        var offset = Append(value);
        ref var entry = ref _entries[index];
        entry.ValueOffset = offset;
        entry.ValueLength = value.Length;
    }

    /// <summary>Removes every field of this name.</summary>
    public void Remove(FieldName known)
    {
        if (!Contains(known)) return;
        RemoveAfter(known, 0);
        if (known != FieldName.Other) Present(known) &= ~Bit(known);
    }

    /// <summary>Removes every field with this name in lower case.</summary>
    public void Remove(ReadOnlySpan<byte> name)
    {
        var known = FieldNames.Find(name);
        if (known != FieldName.Other)
        {
            Remove(known);
            return;
        }

        var kept = 0;
        for (var i = 0; i < _count; i++)
        {
            if (_entries[i].Known == FieldName.Other && NameOf(_entries[i]).SequenceEqual(name)) continue;
            _entries[kept++] = _entries[i];
        }

        _count = kept;
    }

    /// <summary>Removes the first field of this name, and leaves others.</summary>
    public void RemoveFirst(FieldName known)
    {
        var first = Find(known);
        if (first < 0) return;
        Array.Copy(_entries, first + 1, _entries, first, --_count - first);
        if (Find(known) < 0) Present(known) &= ~Bit(known);
    }

    /// <summary>Makes one field of all that have this name, in the place of the first. Empty values leave no trace.</summary>
    public void Join(FieldName known, ReadOnlySpan<byte> separator)
    {
        var first = Find(known);
        if (first < 0 || Find(known, first + 1) < 0) return;
        var most = 0;
        for (var i = first; i >= 0; i = Find(known, i + 1)) most += separator.Length + _entries[i].ValueLength;
        var writer = new ByteWriter(Reserve(most));
        for (var i = first; i >= 0; i = Find(known, i + 1))
        {
            if (_entries[i].ValueLength == 0) continue;
            if (writer.Written > 0) writer.Write(separator);
            writer.Write(Value(i));
        }

        ref var entry = ref _entries[first];
        entry.ValueOffset = Take(writer.Written);
        entry.ValueLength = writer.Written;
        RemoveAfter(known, first + 1);
    }

    /// <summary>Becomes the same as <paramref name="other"/>: two copies of memory, whatever the number of fields.</summary>
    public void CopyFrom(HeaderBlock other)
    {
        if (_bytes.Length < other._used) _bytes = new byte[Math.Max(_bytes.Length * 2, other._used)];
        if (_entries.Length < other._count) _entries = new Entry[Math.Max(_entries.Length * 2, other._count)];
        other._bytes.AsSpan(0, other._used).CopyTo(_bytes);
        other._entries.AsSpan(0, other._count).CopyTo(_entries);
        (_used, _count, _presentLow, _presentHigh) = (other._used, other._count, other._presentLow, other._presentHigh);
    }

    public void CopyTo(HeaderBlock other)
    {
        for (var i = 0; i < _count; i++)
        {
            var field = this[i];
            if (field.Known == FieldName.Other) other.AddOther(field.Name, field.Value, field.Flags);
            else other.Add(field.Known, field.Value, field.Flags);
        }
    }

    // What follows is for the parsers, which write names and values into the buffer where they will stay.

    /// <summary>Bytes in use. A parser notes it before it writes and gives it to <see cref="Release"/> when what it wrote is not wanted.</summary>
    internal int Used => _used;

    /// <summary>Room for <paramref name="size"/> bytes at the end; nothing is taken until <see cref="Take"/>.</summary>
    internal Span<byte> Reserve(int size)
    {
        if (_bytes.Length - _used < size) Grow(size);
        return _bytes.AsSpan(_used, size);
    }

    /// <summary>Takes the first bytes of what was reserved; gives their offset.</summary>
    internal int Take(int size)
    {
        var offset = _used;
        _used += size;
        return offset;
    }

    internal int Append(ReadOnlySpan<byte> bytes)
    {
        bytes.CopyTo(Reserve(bytes.Length));
        return Take(bytes.Length);
    }

    internal void Release(int used) => _used = used;

    internal ReadOnlySpan<byte> Slice(int offset, int length) => _bytes.AsSpan(offset, length);

    internal void AddEntry(FieldName known, int nameOffset, int nameLength, int valueOffset, int valueLength, FieldFlags flags)
    {
        if (_count == _entries.Length) Array.Resize(ref _entries, _count * 2);
        _entries[_count++] = new Entry { Known = known, NameOffset = nameOffset, NameLength = nameLength, ValueOffset = valueOffset, ValueLength = valueLength, Flags = flags };
        Present(known) |= Bit(known);
    }

    private void RemoveAfter(FieldName known, int from)
    {
        var kept = from;
        for (var i = from; i < _count; i++)
        {
            if (_entries[i].Known != known) _entries[kept++] = _entries[i];
        }

        _count = kept;
    }

    private ReadOnlySpan<byte> NameOf(in Entry entry) =>
        entry.Known != FieldName.Other ? FieldNames.Bytes(entry.Known) : _bytes.AsSpan(entry.NameOffset, entry.NameLength);

    private ref ulong Present(FieldName known) => ref (int)known < 64 ? ref _presentLow : ref _presentHigh;

    private static ulong Bit(FieldName known) => 1ul << ((int)known & 63);

    private void Grow(int size) => Array.Resize(ref _bytes, Math.Max(_bytes.Length * 2, _used + size));

    private struct Entry
    {
        public int NameOffset;
        public int NameLength;
        public int ValueOffset;
        public int ValueLength;
        public FieldName Known;
        public FieldFlags Flags;
    }
}
