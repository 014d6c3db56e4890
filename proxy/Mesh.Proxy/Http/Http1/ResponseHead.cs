namespace Mesh.Proxy.Http.Http1;

/// <summary>What a response head says beside its fields.</summary>
/// <param name="Status">100 to 999.</param>
internal readonly record struct ResponseHead(HttpVersion Version, int Status, BodyFraming Framing, ConnectionOptions Options)
{
    /// <summary>An interim response: the real one is still to come. 101 is not one, it is the last that HTTP says on the connection.</summary>
    public bool IsInterim => Status is >= 100 and < 200 and not 101;

    /// <summary>Whether the connection can carry another request when this response has been read.</summary>
    public bool KeepsAlive => Framing.Kind is not (BodyKind.UntilClose or BodyKind.Tunnel) && (Options & ConnectionOptions.Close) == 0
        && (Version == HttpVersion.Http11 || (Options & ConnectionOptions.KeepAlive) != 0);
}

/// <summary>
/// Reads response heads (RFC 9112 sections 4 to 6). Fields go into a <see cref="HeaderBlock"/> as they came, names in lower case, the status as
/// <c>:status</c>; the reason phrase is dropped, as HTTP/2 has none. Strict as the request parser is: what a server says twice and differently is no answer.
/// </summary>
internal sealed class ResponseHeadParser : HeadParser
{
    private HttpVersion _version;
    private RequestMethod _request;
    private int _status;

    /// <summary>Valid after <see cref="HeadStatus.Complete"/>.</summary>
    public ResponseHead Head { get; private set; }

    protected override bool MaySkipEmptyLine => false;

    protected override Http1Fault FirstLineTooLong => Http1Fault.MalformedStatusLine;

    /// <summary>As <see cref="HeadParser.Read"/>. <paramref name="request"/> is the method that is answered: it decides whether there is a body.</summary>
    public HeadStatus Parse(ReadOnlySpan<byte> input, RequestMethod request, HeaderBlock block, out int consumed)
    {
        _request = request;
        return Read(input, block, out consumed);
    }

    protected override Http1Fault ReadFirstLine(ReadOnlySpan<byte> line, HeaderBlock block) =>
        TryParseStatusLine(line, block) ? Http1Fault.None : Http1Fault.MalformedStatusLine;

    private bool TryParseStatusLine(ReadOnlySpan<byte> line, HeaderBlock block)
    {
        // "HTTP/1.x SP 3DIGIT" and, unless the server forgot it, "SP reason".
        if (line.Length < 12 || (line.Length > 12 && line[12] != ' ') || !line.StartsWith("HTTP/1."u8) || line[8] != ' ') return false;
        if (line[7] is not ((byte)'1' or (byte)'0')) return false;
        _version = line[7] == '1' ? HttpVersion.Http11 : HttpVersion.Http10;
        var digits = line.Slice(9, 3);
        if (digits.ContainsAnyExceptInRange((byte)'0', (byte)'9') || digits[0] == '0') return false;
        _status = (digits[0] - '0') * 100 + (digits[1] - '0') * 10 + digits[2] - '0';
        block.Add(FieldName.Status, digits);
        return true;
    }

    protected override Http1Fault Conclude(HeaderBlock block)
    {
        var reader = new FramingFields();
        var fault = reader.Read(block);
        if (fault != Http1Fault.None) return fault;
        if (reader.HasTransferEncoding) fault = reader.TransferEncodingFault(_version);
        if (fault != Http1Fault.None) return fault;

        // In the order of section 6.3.
        BodyFraming framing;
        if (_status == 101 || (_request == RequestMethod.Connect && _status is >= 200 and < 300)) framing = BodyFraming.Tunnel;
        else if (_request == RequestMethod.Head || _status is 204 or 304 or < 200) framing = BodyFraming.None;
        else if (reader.HasTransferEncoding) framing = BodyFraming.Chunked;
        else if (reader.ContentLength is { } length) framing = BodyFraming.OfLength(length);
        else framing = BodyFraming.UntilClose;

        // Section 6.1: never in these, and who expects chunks after them reads the next response as a body.
        if (reader.HasTransferEncoding && (framing.Kind == BodyKind.Tunnel || _status is 204 or < 200)) return Http1Fault.TransferEncodingWithoutBody;
        Head = new ResponseHead(_version, _status, framing, reader.Options);
        return Http1Fault.None;
    }
}
