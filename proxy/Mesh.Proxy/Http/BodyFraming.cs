namespace Mesh.Proxy.Http;

internal enum BodyKind : byte
{
    /// <summary>The message ends with its head.</summary>
    None = 0,

    /// <summary>As many bytes as Content-Length says.</summary>
    Length = 1,

    /// <summary>Chunks, then trailers. Also what HTTP/2 gives when no length is declared.</summary>
    Chunked = 2,

    /// <summary>All bytes until the server closes.</summary>
    UntilClose = 3,

    /// <summary>What follows is no longer HTTP: after CONNECT or an upgrade.</summary>
    Tunnel = 4,
}

/// <summary>How the end of a body is found. <see cref="Length"/> is 0 unless the kind is <see cref="BodyKind.Length"/>.</summary>
internal readonly record struct BodyFraming
{
    private BodyFraming(BodyKind kind, long length) => (Kind, Length) = (kind, length);

    public BodyKind Kind { get; }

    /// <summary>Bytes.</summary>
    public long Length { get; }

    public static BodyFraming None => default;

    public static BodyFraming Chunked => new(BodyKind.Chunked, 0);

    public static BodyFraming UntilClose => new(BodyKind.UntilClose, 0);

    public static BodyFraming Tunnel => new(BodyKind.Tunnel, 0);

    public static BodyFraming OfLength(long length) => new(BodyKind.Length, length);
}
