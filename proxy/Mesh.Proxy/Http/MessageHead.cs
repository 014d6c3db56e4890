namespace Mesh.Proxy.Http;

internal enum HttpVersion : byte
{
    Http11 = 0,
    Http10 = 1,
    Http2 = 2,
}

/// <summary>What a message in the common form says beside its fields, whichever version it came in.</summary>
/// <param name="Method">Of a request.</param>
/// <param name="Status">Of a response, 100 to 999; 0 in a request.</param>
/// <param name="ContentLength">Bytes of the body; null when not declared.</param>
internal readonly record struct MessageHead(RequestMethod Method, int Status, long? ContentLength)
{
    /// <summary>The version the message had where it was made, so far as we know; what came as HTTP/2 may be restored from <c>l5d-orig-proto</c>.</summary>
    public HttpVersion Version { get; init; }

    /// <summary>The target of an HTTP/1 request had scheme and authority, and is to have them again.</summary>
    public bool AbsoluteForm { get; init; }

    /// <summary>An HTTP/1 request to change the protocol, or the 101 that agrees: it can go on as HTTP/1 only.</summary>
    public bool IsUpgrade { get; init; }

    /// <summary>An interim response: the real one is still to come. 101 is not one, it is the last that HTTP says on the connection.</summary>
    public bool IsInterim => Status is >= 100 and < 200 and not 101;
}
