using System.Text;
using Mesh.Proxy.Http;

namespace Mesh.Proxy.Routing;

/// <summary>A hostname, or <c>*.</c> and the end of one. Any case; ports do not matter.</summary>
internal sealed class HostPattern
{
    private readonly byte[] _name;
    private readonly bool _isSuffix;

    private HostPattern(string name, bool isSuffix) => (_name, _isSuffix) = (Encoding.ASCII.GetBytes(name), isSuffix);

    /// <summary>Takes every host, none included.</summary>
    public static HostPattern Any { get; } = new("", isSuffix: true);

    /// <summary>Names before wildcards, then the longer before the shorter.</summary>
    public (int Kind, int Length) Rank => (_isSuffix ? 0 : 1, _name.Length);

    public static HostPattern Exact(string name) => new(name.TrimEnd('.').ToLowerInvariant(), isSuffix: false);

    /// <summary><paramref name="suffix"/> is what follows the star, with its dot: one label or more must stand before it.</summary>
    public static HostPattern Suffix(string suffix) => new(suffix.TrimEnd('.').ToLowerInvariant(), isSuffix: true);

    /// <param name="host">Without port.</param>
    public bool IsMatch(ReadOnlySpan<byte> host) =>
        _isSuffix
            ? _name.Length == 0 || (host.Length > _name.Length && FieldSyntax.EqualsIgnoreCase(host[^_name.Length..], _name))
            : FieldSyntax.EqualsIgnoreCase(host, _name);

    public bool Equals(HostPattern other) => _isSuffix == other._isSuffix && _name.AsSpan().SequenceEqual(other._name);

    /// <summary>The host of a request, without port and without the dot of an absolute name.</summary>
    public static ReadOnlySpan<byte> Of(HeaderBlock request)
    {
        var authority = request.Contains(FieldName.Authority) ? request.ValueOf(FieldName.Authority) : request.ValueOf(FieldName.Host);
        var colon = authority.LastIndexOf((byte)':');
        // A colon within brackets is an address's.
        if (colon >= 0 && authority[colon..].IndexOf((byte)']') < 0) authority = authority[..colon];
        return authority.EndsWith("."u8) ? authority[..^1] : authority;
    }
}
