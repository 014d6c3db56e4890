using System.Text;

namespace Mesh.Proxy.Http;

/// <summary>The bytes of known field names, and the way back: one hash over four bytes, then one comparison.</summary>
internal static class FieldNames
{
    private const int Buckets = 512;

    // In the order of the enum; a test compares the two.
    private static readonly byte[][] _bytes = [.. new[]
    {
        "", ":method", ":scheme", ":authority", ":path", ":status", ":protocol",
        "accept-charset", "accept-encoding", "accept-language", "accept-ranges", "accept", "access-control-allow-origin", "age", "allow", "authorization",
        "cache-control", "content-disposition", "content-encoding", "content-language", "content-length", "content-location", "content-range",
        "content-type", "cookie", "date", "etag", "expect", "expires", "from", "host", "if-match", "if-modified-since", "if-none-match", "if-range",
        "if-unmodified-since", "last-modified", "link", "location", "max-forwards", "proxy-authenticate", "proxy-authorization", "range", "referer",
        "refresh", "retry-after", "server", "set-cookie", "strict-transport-security", "transfer-encoding", "user-agent", "vary", "via", "www-authenticate",
        "connection", "keep-alive", "proxy-connection", "te", "trailer", "upgrade", "http2-settings", "origin",
        "grpc-accept-encoding", "grpc-encoding", "grpc-message", "grpc-status", "grpc-status-details-bin", "grpc-timeout",
        "sec-websocket-accept", "sec-websocket-extensions", "sec-websocket-key", "sec-websocket-protocol", "sec-websocket-version",
        "forwarded", "x-forwarded-client-cert", "x-forwarded-for", "x-forwarded-host", "x-forwarded-proto", "x-request-id",
        "traceparent", "tracestate", "baggage", "b3", "x-b3-flags", "x-b3-parentspanid", "x-b3-sampled", "x-b3-spanid", "x-b3-traceid",
        "l5d-client-id", "l5d-dst-override", "l5d-orig-proto", "l5d-proxy-connection", "l5d-proxy-error", "l5d-require-id",
    }.Select(Encoding.ASCII.GetBytes)];

    private static readonly byte[] _first = new byte[Buckets];
    private static readonly byte[] _next = new byte[_bytes.Length];

    static FieldNames()
    {
        for (var name = 1; name < _bytes.Length; name++)
        {
            var bucket = Bucket(_bytes[name]);
            _next[name] = _first[bucket];
            _first[bucket] = (byte)name;
        }
    }

    /// <summary>How many names there are, <see cref="FieldName.Other"/> included.</summary>
    public static int Count => _bytes.Length;

    /// <summary>The name in lower case; empty for <see cref="FieldName.Other"/>.</summary>
    public static ReadOnlySpan<byte> Bytes(FieldName name) => _bytes[(int)name];

    public static bool IsPseudo(FieldName name) => name is >= FieldName.Method and <= FieldName.Protocol;

    /// <summary>The known name with these bytes, in lower case; <see cref="FieldName.Other"/> when there is none.</summary>
    public static FieldName Find(ReadOnlySpan<byte> name)
    {
        if (name.IsEmpty) return FieldName.Other;
        for (int known = _first[Bucket(name)]; known != 0; known = _next[known])
        {
            if (name.SequenceEqual(_bytes[known])) return (FieldName)known;
        }

        return FieldName.Other;
    }

    private static int Bucket(ReadOnlySpan<byte> name) =>
        (name.Length * 7 + name[0] * 31 + name[name.Length / 2] * 101 + name[^1] * 211) & (Buckets - 1);
}
