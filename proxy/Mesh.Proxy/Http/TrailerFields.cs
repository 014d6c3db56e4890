namespace Mesh.Proxy.Http;

/// <summary>Which fields may come after a body (RFC 9110 section 6.5.1).</summary>
internal static class TrailerFields
{
    /// <summary>False when a field is there that framing, routing, authentication or the connection would have needed before the body.</summary>
    public static bool Check(HeaderBlock trailers)
    {
        for (var i = 0; i < trailers.Count; i++)
        {
            if (!IsAllowed(trailers.Known(i))) return false;
        }

        return true;
    }

    private static bool IsAllowed(FieldName name) => !FieldNames.IsPseudo(name) && name is not (
        FieldName.ContentLength or FieldName.TransferEncoding or FieldName.Host or FieldName.Connection or FieldName.KeepAlive or FieldName.ProxyConnection
        or FieldName.Te or FieldName.Trailer or FieldName.Upgrade or FieldName.Http2Settings or FieldName.Expect or FieldName.MaxForwards
        or FieldName.Authorization or FieldName.ProxyAuthorization or FieldName.Cookie or FieldName.SetCookie
        or FieldName.ContentEncoding or FieldName.ContentType or FieldName.ContentRange
        or FieldName.L5dClientId or FieldName.L5dOrigProto);
}
