using Mesh.Proxy.Http.Http1;
using Mesh.Proxy.Http.Http2;

namespace Mesh.Proxy.Http.Translation;

/// <summary>
/// Requests between their versions and the common form: pseudo-fields first, no Host, no field of a connection. What is in the common form can be
/// encoded as HTTP/2 as it is and written as HTTP/1 by <see cref="HeadWriter"/>.
/// </summary>
internal static class RequestTranslation
{
    /// <summary>
    /// From what <see cref="RequestHeadParser"/> read to the common form. An upgrade keeps its Upgrade field: it must go out as HTTP/1, or be sent by
    /// somebody who removes it.
    /// </summary>
    public static MessageHead FromHttp1(HeaderBlock block, in RequestHead head)
    {
        HopByHop.Remove(block, head.Options, head.AsksForUpgrade);
        if (head.Method != RequestMethod.Connect && !block.Contains(FieldName.Scheme)) block.AddFirst(FieldName.Scheme, "http"u8);
        TakeHost(block);
        return new MessageHead(head.Method, 0, head.Framing.Kind == BodyKind.Length ? head.Framing.Length : null)
        {
            Version = head.Version,
            AbsoluteForm = head.Form == TargetForm.Absolute,
            IsUpgrade = head.AsksForUpgrade,
        };
    }

    /// <summary>From what <see cref="MessageRules.CheckRequest"/> let through to the common form.</summary>
    public static void FromHttp2(HeaderBlock block) => TakeHost(block);

    /// <summary>
    /// Makes a request in the common form ready to be written as HTTP/1 and says how. <paramref name="end"/>: there is no body and no trailer.
    /// </summary>
    public static HeadForm ToHttp1(HeaderBlock block, in MessageHead head, bool end)
    {
        // HTTP/2 may have cut the cookie into crumbs (RFC 9113 section 8.2.3).
        block.Join(FieldName.Cookie, "; "u8);
        if (!head.IsUpgrade) block.Remove(FieldName.Upgrade);
        BodyFraming framing;
        if (head.Method == RequestMethod.Connect) framing = BodyFraming.Tunnel;
        else if (head.ContentLength is { } length) framing = BodyFraming.OfLength(length);
        else framing = end || head.IsUpgrade ? BodyFraming.None : BodyFraming.Chunked;

        // HTTP/1.0 has no chunks. A request of it that has a body has its length too, unless somebody in between removed it.
        var version = head.Version == HttpVersion.Http10 && framing.Kind != BodyKind.Chunked ? HttpVersion.Http10 : HttpVersion.Http11;
        return new HeadForm(version, framing) { AbsoluteTarget = head.AbsoluteForm };
    }

    /// <summary>The authority in its one place; a Host that says the same, or nothing, is not needed.</summary>
    private static void TakeHost(HeaderBlock block)
    {
        if (!block.Contains(FieldName.Host)) return;
        var host = block.ValueOf(FieldName.Host);
        if (!block.Contains(FieldName.Authority) && !host.IsEmpty) block.AddFirst(FieldName.Authority, host);
        block.Remove(FieldName.Host);
    }
}
