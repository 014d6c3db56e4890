namespace Mesh.Proxy.Http.Http1;

/// <summary>How a head is to be written; the fields are in the block.</summary>
internal readonly record struct HeadForm(HttpVersion Version, BodyFraming Framing)
{
    /// <summary>Write a request target with scheme and authority.</summary>
    public bool AbsoluteTarget { get; init; }

    /// <summary>Close, or keep alive where the version would not by itself.</summary>
    public ConnectionOptions Connection { get; init; }
}

/// <summary>
/// Writes heads from a block in the common form: pseudo-fields, and no field that belongs to a connection but <c>upgrade</c> and <c>te</c>.
/// The writer adds what the connection needs: Host, Connection, Transfer-Encoding, and Content-Length where the form has one and the block has not.
/// Values are written as they are; both parsers let nothing in that could end a line, and so must whoever adds a field.
/// </summary>
internal static class HeadWriter
{
    /// <summary>Bytes that are enough for the head of this block. The authority may be written twice.</summary>
    public static int MaxSize(HeaderBlock block) => block.ListSize + block.ValueOf(FieldName.Authority).Length + 192;

    /// <summary>Writes a request head; false when <paramref name="destination"/> is too small, what is in it then is of no use.</summary>
    public static bool TryWriteRequest(HeaderBlock block, in HeadForm form, Span<byte> destination, out int written)
    {
        var writer = new ByteWriter(destination);
        var method = block.ValueOf(FieldName.Method);
        var authority = block.ValueOf(FieldName.Authority);
        writer.Write(method);
        writer.Write((byte)' ');
        WriteTarget(ref writer, block, method, authority, form.AbsoluteTarget);
        writer.Write(form.Version == HttpVersion.Http11 ? " HTTP/1.1\r\n"u8 : " HTTP/1.0\r\n"u8);
        // A request of HTTP/1.1 has a Host field even when it has no authority: an empty one (RFC 9112 section 3.2).
        if (block.Contains(FieldName.Authority) || form.Version == HttpVersion.Http11)
        {
            writer.Write("host: "u8);
            writer.Write(authority);
            writer.Write("\r\n"u8);
        }

        return Finish(ref writer, block, form, out written);
    }

    /// <summary>Writes a response head, interim or final; false when <paramref name="destination"/> is too small.</summary>
    public static bool TryWriteResponse(HeaderBlock block, in HeadForm form, Span<byte> destination, out int written)
    {
        var writer = new ByteWriter(destination);
        var status = block.ValueOf(FieldName.Status);
        writer.Write(form.Version == HttpVersion.Http11 ? "HTTP/1.1 "u8 : "HTTP/1.0 "u8);
        writer.Write(status);
        writer.Write((byte)' ');
        writer.Write(ReasonPhrase.Of(status));
        writer.Write("\r\n"u8);
        return Finish(ref writer, block, form, out written);
    }

    private static void WriteTarget(ref ByteWriter writer, HeaderBlock block, ReadOnlySpan<byte> method, ReadOnlySpan<byte> authority, bool absolute)
    {
        var path = block.ValueOf(FieldName.Path);
        if (RequestMethods.Find(method) == RequestMethod.Connect)
        {
            writer.Write(authority);
        }
        else if (absolute && !authority.IsEmpty)
        {
            writer.Write(block.Contains(FieldName.Scheme) ? block.ValueOf(FieldName.Scheme) : "http"u8);
            writer.Write("://"u8);
            writer.Write(authority);
            if (!path.SequenceEqual("*"u8)) writer.Write(path);
        }
        else
        {
            writer.Write(path);
        }
    }

    private static bool Finish(ref ByteWriter writer, HeaderBlock block, in HeadForm form, out int written)
    {
        var lengthAllowed = form.Framing.Kind is BodyKind.None or BodyKind.Length;
        for (var i = 0; i < block.Count; i++)
        {
            var known = block.Known(i);
            if (FieldNames.IsPseudo(known) || known == FieldName.TransferEncoding || (known == FieldName.ContentLength && !lengthAllowed)) continue;
            var field = block[i];
            writer.Write(field.Name);
            writer.Write(": "u8);
            writer.Write(field.Value);
            writer.Write("\r\n"u8);
        }

        if (form.Framing.Kind == BodyKind.Chunked)
        {
            writer.Write("transfer-encoding: chunked\r\n"u8);
        }
        else if (form.Framing.Kind == BodyKind.Length && !block.Contains(FieldName.ContentLength))
        {
            writer.Write("content-length: "u8);
            writer.WriteNumber(form.Framing.Length);
            writer.Write("\r\n"u8);
        }

        WriteConnection(ref writer, block, form.Connection);
        writer.Write("\r\n"u8);
        written = writer.Written;
        return !writer.Overflowed;
    }

    private static void WriteConnection(ref ByteWriter writer, HeaderBlock block, ConnectionOptions options)
    {
        var upgrade = block.Contains(FieldName.Upgrade);
        var te = block.Contains(FieldName.Te);
        options &= ConnectionOptions.Close | ConnectionOptions.KeepAlive;
        if (options == ConnectionOptions.None && !upgrade && !te) return;
        writer.Write("connection: "u8);
        var separator = ReadOnlySpan<byte>.Empty;
        if (options != ConnectionOptions.None) Option(ref writer, ref separator, (options & ConnectionOptions.Close) != 0 ? "close"u8 : "keep-alive"u8);
        if (upgrade) Option(ref writer, ref separator, "upgrade"u8);
        if (te) Option(ref writer, ref separator, "te"u8);
        writer.Write("\r\n"u8);

        static void Option(ref ByteWriter writer, ref ReadOnlySpan<byte> separator, ReadOnlySpan<byte> option)
        {
            writer.Write(separator);
            writer.Write(option);
            separator = ", "u8;
        }
    }
}
