using System.Text;

namespace Mesh.Proxy.Http.Hpack;

/// <summary>The table of RFC 7541 appendix A. Indices begin at 1.</summary>
internal static class StaticTable
{
    public const int Count = 61;

    private static readonly (FieldName Name, byte[] Value)[] _entries = new (FieldName, byte[])[Count + 1];

    // The first entry of each name; 0 for names that are not in the table.
    private static readonly byte[] _firstByName = new byte[256];

    static StaticTable()
    {
        var index = 1;
        Add(FieldName.Authority, "");
        Add(FieldName.Method, "GET", "POST");
        Add(FieldName.Path, "/", "/index.html");
        Add(FieldName.Scheme, "http", "https");
        Add(FieldName.Status, "200", "204", "206", "304", "400", "404", "500");
        Add(FieldName.AcceptCharset, "");
        Add(FieldName.AcceptEncoding, "gzip, deflate");
        // From here the enum has the table's order, and no name has a second entry.
        for (var name = FieldName.AcceptLanguage; name <= FieldName.WwwAuthenticate; name++) Add(name, "");

        void Add(FieldName name, params ReadOnlySpan<string> values)
        {
            _firstByName[(int)name] = (byte)index;
            foreach (var value in values) _entries[index++] = (name, Encoding.ASCII.GetBytes(value));
        }
    }

    public static FieldName Name(int index) => _entries[index].Name;

    public static ReadOnlySpan<byte> Value(int index) => _entries[index].Value;

    /// <summary>The first index with this name; 0 when there is none.</summary>
    public static int Find(FieldName name) => _firstByName[(int)name];

    /// <summary>The index with this name and value; 0 when there is none. Only names with values in the table are worth the question.</summary>
    public static int Find(FieldName name, ReadOnlySpan<byte> value)
    {
        for (int index = _firstByName[(int)name]; index is > 0 and <= Count && _entries[index].Name == name; index++)
        {
            if (value.SequenceEqual(_entries[index].Value)) return index;
        }

        return 0;
    }
}
