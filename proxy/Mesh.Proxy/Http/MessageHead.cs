namespace Mesh.Proxy.Http;

/// <summary>What a message in the common form says beside its fields, whichever version it came in.</summary>
/// <param name="Method">Of a request.</param>
/// <param name="Status">Of a response, 100 to 999; 0 in a request.</param>
/// <param name="ContentLength">Bytes of the body; null when not declared.</param>
internal readonly record struct MessageHead(RequestMethod Method, int Status, long? ContentLength)
{
    /// <summary>An interim response: the real one is still to come. 101 is not one, it is the last that HTTP says on the connection.</summary>
    public bool IsInterim => Status is >= 100 and < 200 and not 101;
}
