using Mesh.Proxy.Http.Http1;

namespace Mesh.Proxy.Http.Translation;

/// <summary>Responses between their versions and the common form, which is that of requests: <c>:status</c> first, no field of a connection.</summary>
internal static class ResponseTranslation
{
    /// <summary>From what <see cref="ResponseHeadParser"/> read to the common form. A 101 keeps its Upgrade field: it goes out as HTTP/1.</summary>
    public static MessageHead FromHttp1(HeaderBlock block, in ResponseHead head)
    {
        HopByHop.Remove(block, head.Options, isUpgrade: head.Status == 101);
        // A length where no body can be is wrong (RFC 9110 section 8.6), and HTTP/2 would hold it against the body.
        if (head.Status is 204 or < 200 || head.Framing.Kind == BodyKind.Tunnel) block.Remove(FieldName.ContentLength);
        return new MessageHead(RequestMethod.Other, head.Status, head.Framing.Kind == BodyKind.Length ? head.Framing.Length : null)
        {
            Version = head.Version,
            IsUpgrade = head.Status == 101,
        };
    }

    /// <summary>
    /// Says how a response in the common form is written to the client whose request was <paramref name="request"/>. <paramref name="keepAlive"/>: the
    /// connection is to serve another request, if the body allows it. <paramref name="end"/>: there is no body and no trailer.
    /// </summary>
    public static HeadForm ToHttp1(HeaderBlock block, in MessageHead head, in RequestHead request, bool keepAlive, bool end)
    {
        var framing = Framing(head, request, end);
        var connection = ConnectionOptions.None;
        if (framing.Kind == BodyKind.UntilClose || (!keepAlive && framing.Kind != BodyKind.Tunnel && head.Status >= 200)) connection = ConnectionOptions.Close;
        else if (request.Version == HttpVersion.Http10) connection = ConnectionOptions.KeepAlive;
        if (framing.Kind == BodyKind.Tunnel) block.Remove(FieldName.ContentLength);
        if (!head.IsUpgrade) block.Remove(FieldName.Upgrade);
        // The server's own version, as RFC 9110 section 6.2 wants it: a client of HTTP/1.0 is answered in HTTP/1.1 that it can read.
        return new HeadForm(HttpVersion.Http11, framing) { Connection = connection };
    }

    private static BodyFraming Framing(in MessageHead head, in RequestHead request, bool end)
    {
        if (head.Status == 101 || (request.Method == RequestMethod.Connect && head.Status is >= 200 and < 300)) return BodyFraming.Tunnel;
        if (request.Method == RequestMethod.Head || head.Status is 204 or 304 or < 200) return BodyFraming.None;
        if (head.ContentLength is { } length) return BodyFraming.OfLength(length);
        if (end) return BodyFraming.OfLength(0);
        return request.Version == HttpVersion.Http11 ? BodyFraming.Chunked : BodyFraming.UntilClose;
    }
}
