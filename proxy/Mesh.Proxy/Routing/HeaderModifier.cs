using System.Collections.Immutable;
using System.Text;
using Mesh.Proxy.Http;

namespace Mesh.Proxy.Routing;

/// <summary>
/// Adds, sets and removes fields, in this order. It cannot touch what says where a message begins, ends and goes, nor what proxies say to each other
/// (<c>l5d-*</c>): a modifier that names such a field cannot be made.
/// </summary>
internal sealed class HeaderModifier
{
    /// <summary>Longest value, in bytes.</summary>
    public const int MaxValue = 4 * 1024;

    private const int MaxName = 256;
    private const int MaxFields = 64;

    private readonly ImmutableArray<(byte[] Name, byte[] Value)> _add;
    private readonly ImmutableArray<(byte[] Name, byte[] Value)> _set;
    private readonly ImmutableArray<byte[]> _remove;

    private HeaderModifier(ImmutableArray<(byte[] Name, byte[] Value)> add, ImmutableArray<(byte[] Name, byte[] Value)> set, ImmutableArray<byte[]> remove) =>
        (_add, _set, _remove) = (add, set, remove);

    /// <summary>Null when a name or a value is none, when a field may not be touched, or when there are too many.</summary>
    public static HeaderModifier? Create(IEnumerable<(string Name, byte[] Value)> add, IEnumerable<(string Name, byte[] Value)> set, IEnumerable<string> remove)
    {
        ImmutableArray<(byte[] Name, byte[] Value)> added = [.. add.Take(MaxFields + 1).Select(Bytes)], replaced = [.. set.Take(MaxFields + 1).Select(Bytes)];
        ImmutableArray<byte[]> removed = [.. remove.Take(MaxFields + 1).Select(Lower)];
        if (added.Length > MaxFields || replaced.Length > MaxFields || removed.Length > MaxFields) return null;
        if (!added.Concat(replaced).All(f => IsFree(f.Name) && f.Value.Length <= MaxValue && FieldSyntax.IsValue(f.Value)) || !removed.All(IsFree)) return null;
        return new HeaderModifier(added, replaced, removed);

        static (byte[] Name, byte[] Value) Bytes((string Name, byte[] Value) field) => (Lower(field.Name), field.Value);
    }

    public void Apply(HeaderBlock block)
    {
        foreach (var (name, value) in _add) block.Add(name, value);
        foreach (var (name, value) in _set)
        {
            block.Remove(name);
            block.Add(name, value);
        }

        foreach (var name in _remove) block.Remove(name);
    }

    private static byte[] Lower(string name) => Encoding.UTF8.GetBytes(name.ToLowerInvariant());

    private static bool IsFree(byte[] name) =>
        name.Length <= MaxName && FieldSyntax.IsLowerName(name) && !name.AsSpan().StartsWith("l5d-"u8)
        && FieldNames.Find(name) is not (FieldName.Connection or FieldName.KeepAlive or FieldName.ProxyConnection or FieldName.Te or FieldName.Trailer
            or FieldName.TransferEncoding or FieldName.Upgrade or FieldName.Http2Settings or FieldName.ContentLength or FieldName.Host or FieldName.Expect);
}
