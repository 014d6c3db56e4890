using Mesh.Proxy.Http.Http1;

namespace Mesh.Proxy.Http.Translation;

/// <summary>Takes out of a head what is about one connection only (RFC 9110 section 7.6.1), so that the rest can go over another.</summary>
internal static class HopByHop
{
    private const int LongestName = 64;

    /// <summary>
    /// Removes Connection, what it names, and the fields that belong to connections without being named. <c>te: trailers</c> stays, because HTTP/2 lets
    /// it; Upgrade stays for <paramref name="isUpgrade"/> only, a message that will go out as HTTP/1.
    /// </summary>
    public static void Remove(HeaderBlock block, ConnectionOptions options, bool isUpgrade)
    {
        if ((options & ConnectionOptions.Fields) != 0) RemoveNamed(block);
        block.Remove(FieldName.Connection);
        block.Remove(FieldName.KeepAlive);
        block.Remove(FieldName.ProxyConnection);
        block.Remove(FieldName.TransferEncoding);
        block.Remove(FieldName.Http2Settings);
        if (!isUpgrade) block.Remove(FieldName.Upgrade);
        if (block.Contains(FieldName.Te)) KeepTrailersOnly(block);
    }

    private static void RemoveNamed(HeaderBlock block)
    {
        Span<byte> name = stackalloc byte[LongestName];
        for (var i = block.Find(FieldName.Connection); i >= 0;)
        {
            // The value's bytes stay where they are when fields are removed; indices do not.
            var value = block.Value(i);
            foreach (var token in new TokenList(value))
            {
                // Nobody names a field as long as that; one that were would go on to where it came from before us.
                if (token.Length > LongestName) continue;
                for (var at = 0; at < token.Length; at++) name[at] = FieldSyntax.LowerName(token[at]);
                var lower = name[..token.Length];
                if (MayBeNamed(FieldNames.Find(lower))) block.Remove(lower);
            }

            // Each field is read once: what was read is removed.
            block.RemoveFirst(FieldName.Connection);
            i = block.Find(FieldName.Connection);
        }
    }

    /// <summary>Framing, routing and what proxies say to each other cannot be taken away by a client that names it.</summary>
    private static bool MayBeNamed(FieldName name) => name is not (
        FieldName.Connection or FieldName.Host or FieldName.ContentLength or FieldName.TransferEncoding or FieldName.Te or FieldName.Upgrade
        or FieldName.L5dClientId or FieldName.L5dOrigProto or FieldName.L5dRequireId or FieldName.L5dProxyError or FieldName.L5dProxyConnection);

    private static void KeepTrailersOnly(HeaderBlock block)
    {
        var trailers = false;
        for (var i = block.Find(FieldName.Te); i >= 0; i = block.Find(FieldName.Te, i + 1)) trailers |= TokenList.Contains(block.Value(i), "trailers"u8);
        if (trailers) block.Set(FieldName.Te, "trailers"u8);
        else block.Remove(FieldName.Te);
    }
}
