using System.Globalization;
using System.Text;
using Mesh.Proxy.Http;

namespace Mesh.Proxy.Routing;

/// <summary>Where a client is sent instead. What is not given stays as in the request.</summary>
internal sealed class Redirect
{
    private readonly byte[]? _scheme;
    private readonly byte[]? _host;
    private readonly byte[]? _path;
    private readonly bool _isPrefix;
    private readonly int _port;
    private readonly byte[] _status;

    /// <param name="scheme"><c>http</c> or <c>https</c>, or null.</param>
    /// <param name="host">A name or an address in brackets, or null.</param>
    /// <param name="port">0: that of the request, unless the scheme changes.</param>
    /// <param name="path">Null: that of the request.</param>
    /// <param name="isPrefix">The path takes the place of what the prefix took, which only a rule of prefixes may ask for.</param>
    /// <param name="status">300 to 399.</param>
    public Redirect(string? scheme, string? host, int port, string? path, bool isPrefix, int status) =>
        (_scheme, _host, _port, _path, _isPrefix, _status) =
        (Bytes(scheme), Bytes(host), port, Bytes(path), isPrefix, Encoding.ASCII.GetBytes(status.ToString(CultureInfo.InvariantCulture)));

    public bool IsPrefix => _isPrefix;

    /// <summary>The head of the answer. False, and nothing is written, when it would lead to where the request already is.</summary>
    public bool WriteTo(HeaderBlock request, int prefixLength, HeaderBlock answer)
    {
        Span<byte> space = stackalloc byte[2 * 1024];
        var location = new ByteWriter(space);
        var scheme = _scheme ?? (request.Contains(FieldName.Scheme) ? request.ValueOf(FieldName.Scheme) : "http"u8);
        var authority = request.Contains(FieldName.Authority) ? request.ValueOf(FieldName.Authority) : request.ValueOf(FieldName.Host);
        location.Write(scheme);
        location.Write("://"u8);
        WriteAuthority(ref location, scheme, authority);
        var end = location.Written;
        WritePath(ref location, request, prefixLength);
        // Too long, or a request that says neither where it goes nor how much of it the prefix took: it is refused, not sent somewhere.
        if (location.Overflowed || (authority.IsEmpty && _host is null) || (_isPrefix && prefixLength < 0))
        {
            answer.Add(FieldName.Status, "500"u8);
            answer.Add(FieldName.L5dProxyError, "no location to redirect to"u8);
            return true;
        }

        var written = space[..location.Written];
        if (scheme.SequenceEqual(request.ValueOf(FieldName.Scheme)) && written[(scheme.Length + 3)..end].SequenceEqual(authority) && written[end..].SequenceEqual(request.ValueOf(FieldName.Path)))
            return false;
        answer.Add(FieldName.Status, _status);
        answer.Add(FieldName.Location, written);
        return true;
    }

    private void WriteAuthority(ref ByteWriter location, ReadOnlySpan<byte> scheme, ReadOnlySpan<byte> authority)
    {
        var colon = authority.LastIndexOf((byte)':');
        if (colon >= 0 && authority[colon..].IndexOf((byte)']') >= 0) colon = -1;
        location.Write(_host ?? (colon < 0 ? authority : authority[..colon]));
        var port = _port;
        // The port of the request belongs to its scheme.
        if (port == 0 && _scheme is null && colon >= 0 && FieldSyntax.TryParseNumber(authority[(colon + 1)..], out var own)) port = (int)own;
        if (port == 0 || port == (scheme.SequenceEqual("https"u8) ? 443 : 80)) return;
        location.Write((byte)':');
        location.WriteNumber(port);
    }

    private void WritePath(ref ByteWriter location, HeaderBlock request, int prefixLength)
    {
        RouteTable.SplitPath(request, out var path, out var query);
        if (_path is null) location.Write(path);
        else if (!_isPrefix) location.Write(_path);
        else
        {
            var rest = prefixLength < 0 || prefixLength > path.Length ? default : path[prefixLength..];
            var before = _path.AsSpan();
            // One slash between the two, whichever has it.
            while (before.EndsWith("/"u8) && rest.StartsWith("/"u8)) before = before[..^1];
            location.Write(before);
            location.Write(rest);
            if (before.IsEmpty && rest.IsEmpty) location.Write((byte)'/');
        }

        if (request.ValueOf(FieldName.Path).Length == path.Length) return;
        location.Write((byte)'?');
        location.Write(query);
    }

    private static byte[]? Bytes(string? text) => text is null ? null : Encoding.UTF8.GetBytes(text);
}
