namespace Mesh.Proxy.Http;

/// <summary>The methods of RFC 9110 section 9.3 and PATCH; the bytes are in the <c>:method</c> field.</summary>
internal enum RequestMethod : byte
{
    Other = 0,
    Get,
    Head,
    Post,
    Put,
    Delete,
    Connect,
    Options,
    Trace,
    Patch,
}

internal static class RequestMethods
{
    /// <summary>The method with this name. Names are case-sensitive: "get" is another method.</summary>
    public static RequestMethod Find(ReadOnlySpan<byte> name) => name.Length switch
    {
        3 => name.SequenceEqual("GET"u8) ? RequestMethod.Get : name.SequenceEqual("PUT"u8) ? RequestMethod.Put : RequestMethod.Other,
        4 => name.SequenceEqual("POST"u8) ? RequestMethod.Post : name.SequenceEqual("HEAD"u8) ? RequestMethod.Head : RequestMethod.Other,
        5 => name.SequenceEqual("PATCH"u8) ? RequestMethod.Patch : name.SequenceEqual("TRACE"u8) ? RequestMethod.Trace : RequestMethod.Other,
        6 => name.SequenceEqual("DELETE"u8) ? RequestMethod.Delete : RequestMethod.Other,
        7 => name.SequenceEqual("OPTIONS"u8) ? RequestMethod.Options : name.SequenceEqual("CONNECT"u8) ? RequestMethod.Connect : RequestMethod.Other,
        _ => RequestMethod.Other,
    };

    /// <summary>Whether sending the request twice does no more than sending it once (RFC 9110 section 9.2.2).</summary>
    public static bool IsIdempotent(RequestMethod method) => method is RequestMethod.Get or RequestMethod.Head or RequestMethod.Put
        or RequestMethod.Delete or RequestMethod.Options or RequestMethod.Trace;
}
