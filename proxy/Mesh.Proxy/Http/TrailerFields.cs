namespace Mesh.Proxy.Http;

/// <summary>Which fields may come after a body (RFC 9110 section 6.5.1).</summary>
internal static class TrailerFields
{
    /// <summary>False when a field is there that framing, routing or the peer's identity would have needed before the body; others are the applications' business.</summary>
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
        or FieldName.Te or FieldName.Upgrade or FieldName.Http2Settings or FieldName.L5dClientId or FieldName.L5dOrigProto);
}
