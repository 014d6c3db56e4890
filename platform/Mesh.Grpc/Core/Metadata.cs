using System.Collections.ObjectModel;
using System.Text;

namespace Grpc.Core;

/// <summary>
/// Headers or trailers of a call, in order, keys lower case. A key that ends in <c>-bin</c> carries bytes, every other one printable ASCII
/// (gRPC over HTTP2, "Custom-Metadata").
/// </summary>
public sealed class Metadata : Collection<Metadata.Entry>
{
    /// <summary>The end of every key whose value is binary.</summary>
    public const string BinaryHeaderSuffix = "-bin";

    /// <summary>No entries, and none can be added.</summary>
    public static readonly Metadata Empty = new(frozen: true);

    private readonly bool _frozen;

    public Metadata() { }

    private Metadata(bool frozen) => _frozen = frozen;

    /// <exception cref="ArgumentException">The key or the value has a character that the wire does not allow, or the key ends in <c>-bin</c>.</exception>
    public void Add(string key, string value) => Add(new Entry(key, value));

    /// <exception cref="ArgumentException">The key has a character that the wire does not allow, or does not end in <c>-bin</c>.</exception>
    public void Add(string key, byte[] valueBytes) => Add(new Entry(key, valueBytes));

    /// <summary>The last entry with this key (any case), or null.</summary>
    public Entry? Get(string key)
    {
        for (var i = Count - 1; i >= 0; i--)
            if (string.Equals(this[i].Key, key, StringComparison.OrdinalIgnoreCase)) return this[i];
        return null;
    }

    /// <summary>The text of the last entry with this key, or null.</summary>
    public string? GetValue(string key) => Get(key)?.Value;

    /// <summary>The bytes of the last entry with this key, or null.</summary>
    public byte[]? GetValueBytes(string key) => Get(key)?.ValueBytes;

    public IEnumerable<Entry> GetAll(string key)
    {
        foreach (var entry in this)
            if (string.Equals(entry.Key, key, StringComparison.OrdinalIgnoreCase)) yield return entry;
    }

    protected override void InsertItem(int index, Entry item)
    {
        ArgumentNullException.ThrowIfNull(item);
        ThrowIfFrozen();
        base.InsertItem(index, item);
    }

    protected override void SetItem(int index, Entry item)
    {
        ArgumentNullException.ThrowIfNull(item);
        ThrowIfFrozen();
        base.SetItem(index, item);
    }

    protected override void RemoveItem(int index)
    {
        ThrowIfFrozen();
        base.RemoveItem(index);
    }

    protected override void ClearItems()
    {
        ThrowIfFrozen();
        base.ClearItems();
    }

    private void ThrowIfFrozen()
    {
        if (_frozen) throw new InvalidOperationException("This metadata is read-only.");
    }

    /// <summary>One header or trailer.</summary>
    public sealed class Entry
    {
        private readonly string? _text;
        private readonly byte[]? _bytes;

        public Entry(string key, string value)
        {
            ArgumentNullException.ThrowIfNull(value);
            Key = CheckKey(key, binary: false);
            foreach (var c in value)
                if (c is < ' ' or > '~') throw new ArgumentException("A metadata value holds printable ASCII only; use a key that ends in -bin for anything else.", nameof(value));
            _text = value;
        }

        public Entry(string key, byte[] valueBytes)
        {
            ArgumentNullException.ThrowIfNull(valueBytes);
            Key = CheckKey(key, binary: true);
            _bytes = valueBytes;
        }

        public string Key { get; }

        public bool IsBinary => _bytes is not null;

        /// <exception cref="InvalidOperationException">The entry is binary.</exception>
        public string Value => _text ?? throw new InvalidOperationException("The entry is binary.");

        /// <summary>The bytes; of a text entry, its ASCII form.</summary>
        public byte[] ValueBytes => _bytes ?? Encoding.ASCII.GetBytes(_text!);

        // Values may be credentials.
        public override string ToString() => $"[Entry: key={Key}, {(IsBinary ? "binary" : "text")}]";

        private static string CheckKey(string key, bool binary)
        {
            ArgumentException.ThrowIfNullOrEmpty(key);
            foreach (var c in key)
                if (!char.IsAsciiLetterOrDigit(c) && c is not ('_' or '-' or '.')) throw new ArgumentException("A metadata key holds letters, digits, '_', '-' and '.' only.", nameof(key));
            if (key.EndsWith(BinaryHeaderSuffix, StringComparison.OrdinalIgnoreCase) != binary)
                throw new ArgumentException("Exactly the keys that end in -bin carry bytes.", nameof(key));
            // HTTP/2 field names are lower case (RFC 9113 section 8.2.1).
#pragma warning disable CA1308
            return key.ToLowerInvariant();
#pragma warning restore CA1308
        }
    }
}
