using Mesh.Proxy.Http.Http1;

namespace Mesh.Proxy.Http.Translation;

/// <summary>
/// The version an HTTP/1 message had before a proxy sent it on as HTTP/2: the <c>l5d-orig-proto</c> field, in Linkerd's form. The other proxy restores
/// the version and the form of the target from it, and says in its answer which version that had.
/// </summary>
internal readonly record struct OrigProto(Http1Version Version, bool AbsoluteForm)
{
    private static ReadOnlySpan<byte> Http11 => "HTTP/1.1"u8;

    private static ReadOnlySpan<byte> Http10 => "HTTP/1.0"u8;

    private static ReadOnlySpan<byte> Absolute => "; absolute-form"u8;

    public static OrigProto Of(in RequestHead head) => new(head.Version, head.Form == TargetForm.Absolute);

    public static OrigProto Of(in ResponseHead head) => new(head.Version, AbsoluteForm: false);

    /// <summary>Says it in <paramref name="block"/>, in place of what a peer may have said there.</summary>
    public void WriteTo(HeaderBlock block) => block.Set(FieldName.L5dOrigProto, (Version, AbsoluteForm) switch
    {
        (Http1Version.Http11, false) => Http11,
        (Http1Version.Http11, true) => "HTTP/1.1; absolute-form"u8,
        (Http1Version.Http10, false) => Http10,
        _ => "HTTP/1.0; absolute-form"u8,
    });

    /// <summary>
    /// Takes the field out of <paramref name="block"/>: it is between proxies, and never for applications. False when there was none, or none that
    /// says a version; the message is HTTP/2 then.
    /// </summary>
    public static bool TryTake(HeaderBlock block, out OrigProto origin)
    {
        origin = default;
        if (!block.Contains(FieldName.L5dOrigProto)) return false;
        var value = block.ValueOf(FieldName.L5dOrigProto);
        var is11 = value.StartsWith(Http11);
        var taken = is11 || value.StartsWith(Http10);
        if (taken) origin = new OrigProto(is11 ? Http1Version.Http11 : Http1Version.Http10, value[Http11.Length..].SequenceEqual(Absolute));
        block.Remove(FieldName.L5dOrigProto);
        return taken;
    }
}
