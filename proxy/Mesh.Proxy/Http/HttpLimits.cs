namespace Mesh.Proxy.Http;

/// <summary>Bounds on what a peer may make this process hold for one message. They are constants: a proxy nobody asked for has no tuning knobs.</summary>
internal static class HttpLimits
{
    /// <summary>Longest request line with its CRLF. RFC 9112 section 3 asks for 8,000 bytes at least; nginx and Apache stop near the same place.</summary>
    public const int MaxRequestLine = 8 * 1024;

    /// <summary>Longest field line with its CRLF, a cookie or a token: what a small buffer of the loop holds, so that no line needs two.</summary>
    public const int MaxFieldLine = 16 * 1024;

    /// <summary>All lines of an HTTP/1 head together. Twice the longest line: one huge cookie and everything else.</summary>
    public const int MaxHead = 32 * 1024;

    /// <summary>Fields of an HTTP/1 head. Browsers send about 20, chains of gateways some 40; each field costs every party behind us work.</summary>
    public const int MaxFields = 100;

    /// <summary>Names in Connection fields: each is looked for among all fields. One or two are usual.</summary>
    public const int MaxConnectionOptions = 32;

    /// <summary>Trailers carry a status, a checksum, a signature. They come after the body, when nobody expects bulk.</summary>
    public const int MaxTrailers = 8 * 1024;

    /// <summary>Chunk size line with its CRLF: 16 digits hold any size that fits 64 bits.</summary>
    public const int MaxChunkSizeDigits = 16;

    /// <summary>
    /// A field list by the count of RFC 9113 section 6.5.2 (name, value and 32 bytes a field), as announced in SETTINGS_MAX_HEADER_LIST_SIZE. What
    /// HTTP/1 lets in here must be let in by the next proxy as well: its bytes, the 32 of each field, and room for the fields that proxies add.
    /// </summary>
    public const int MaxFieldList = MaxHead + 8 * 1024;

    /// <summary>Fields and pseudo-fields of an HTTP/2 list; more than <see cref="MaxFields"/> for the same reason.</summary>
    public const int MaxListFields = MaxFields + 28;

    /// <summary>Bytes of one compressed field block, over all its frames. Compression that makes a list longer than its limit is no compression.</summary>
    public const int MaxFieldBlock = MaxFieldList;
}
