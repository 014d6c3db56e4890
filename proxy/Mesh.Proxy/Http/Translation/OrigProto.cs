namespace Mesh.Proxy.Http.Translation;

/// <summary>
/// The version an HTTP/1 message had before a proxy sent it on as HTTP/2: the <c>l5d-orig-proto</c> field, in Linkerd's form. The other proxy restores
/// the version and the form of the target from it, and says in its answer which version that had.
/// </summary>
internal static class OrigProto
{
    private static ReadOnlySpan<byte> Http11 => "HTTP/1.1"u8;

    private static ReadOnlySpan<byte> Http10 => "HTTP/1.0"u8;

    private static ReadOnlySpan<byte> Absolute => "; absolute-form"u8;

    /// <summary>Says in <paramref name="block"/> what <paramref name="head"/> was, in place of what a peer may have said there; of HTTP/2 nothing is said.</summary>
    public static void Write(HeaderBlock block, in MessageHead head)
    {
        if (head.Version == HttpVersion.Http2)
        {
            block.Remove(FieldName.L5dOrigProto);
            return;
        }

        block.Set(FieldName.L5dOrigProto, (head.Version, head.AbsoluteForm) switch
        {
            (HttpVersion.Http11, false) => Http11,
            (HttpVersion.Http11, true) => "HTTP/1.1; absolute-form"u8,
            (_, false) => Http10,
            _ => "HTTP/1.0; absolute-form"u8,
        });
    }

    /// <summary>
    /// Takes the field out of <paramref name="block"/>, since it is between proxies and never for applications, and restores in <paramref name="head"/>
    /// what it says. False when there was none, or none that says a version; <paramref name="head"/> is as it was then.
    /// </summary>
    public static bool TryTake(HeaderBlock block, ref MessageHead head)
    {
        if (!block.Contains(FieldName.L5dOrigProto)) return false;
        var value = block.ValueOf(FieldName.L5dOrigProto);
        var is11 = value.StartsWith(Http11);
        var taken = is11 || value.StartsWith(Http10);
        if (taken) head = head with { Version = is11 ? HttpVersion.Http11 : HttpVersion.Http10, AbsoluteForm = value[Http11.Length..].SequenceEqual(Absolute) };
        block.Remove(FieldName.L5dOrigProto);
        return taken;
    }
}
