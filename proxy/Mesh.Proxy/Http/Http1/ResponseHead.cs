namespace Mesh.Proxy.Http.Http1;

/// <summary>What a response head says beside its fields.</summary>
/// <param name="Status">100 to 999.</param>
internal readonly record struct ResponseHead(Http1Version Version, int Status, BodyFraming Framing, ConnectionOptions Options)
{
    /// <summary>An interim response: the real one is still to come. 101 is not one, it is the last that HTTP says on the connection.</summary>
    public bool IsInterim => Status is >= 100 and < 200 and not 101;

    /// <summary>Whether the connection can carry another request when this response has been read.</summary>
    public bool KeepsAlive => Framing.Kind is not (BodyKind.UntilClose or BodyKind.Tunnel) && (Options & ConnectionOptions.Close) == 0
        && (Version == Http1Version.Http11 || (Options & ConnectionOptions.KeepAlive) != 0);
}

/// <summary>
/// Reads response heads (RFC 9112 sections 4 to 6). Fields go into a <see cref="HeaderBlock"/> as they came, names in lower case, the status as
/// <c>:status</c>; the reason phrase is dropped, as HTTP/2 has none. Strict as the request parser is: what a server says twice and differently is no answer.
/// </summary>
internal sealed class ResponseHeadParser
{
    private LineReader _firstLine;
    private FieldLines _fields;
    private Stage _stage;
    private Http1Version _version;
    private int _status;

    public ResponseHeadParser() => Reset();

    private enum Stage : byte
    {
        StatusLine,
        Fields,
        Done,
    }

    /// <summary>Why the last call refused.</summary>
    public Http1Fault Fault { get; private set; }

    /// <summary>Valid after <see cref="HeadStatus.Complete"/>.</summary>
    public ResponseHead Head { get; private set; }

    /// <summary>Whether the status line has been read.</summary>
    public bool HasStarted => _stage != Stage.StatusLine;

    /// <summary>Gets ready for the next head: the one after an interim response, or that of the next request.</summary>
    public void Reset()
    {
        _firstLine = default;
        _fields = new FieldLines(HttpLimits.MaxHead, Http1Fault.HeadTooLong);
        _stage = Stage.StatusLine;
        Fault = Http1Fault.None;
    }

    /// <summary>As <see cref="RequestHeadParser.Parse"/>. <paramref name="request"/> is the method that is answered: it decides whether there is a body.</summary>
    public HeadStatus Parse(ReadOnlySpan<byte> input, RequestMethod request, HeaderBlock block, out int consumed)
    {
        consumed = 0;
        if (_stage == Stage.StatusLine)
        {
            var status = _firstLine.Next(input, HttpLimits.MaxRequestLine, out var line);
            if (status == LineStatus.NeedMore) return HeadStatus.NeedMore;
            if (status != LineStatus.Line) return Refuse(status == LineStatus.TooLong ? Http1Fault.MalformedStatusLine : _firstLine.Fault);
            consumed = line.Length + 2;
            _fields.Count(consumed);
            if (!TryParseStatusLine(line, block)) return Refuse(Http1Fault.MalformedStatusLine);
            _stage = Stage.Fields;
        }

        if (_stage == Stage.Fields)
        {
            var status = _fields.Read(input[consumed..], block, out var more);
            consumed += more;
            if (status == HeadStatus.NeedMore) return status;
            if (status == HeadStatus.Refused) return Refuse(_fields.Fault);
            _stage = Stage.Done;
            var fault = Conclude(request, block);
            return fault == Http1Fault.None ? HeadStatus.Complete : Refuse(fault);
        }

        throw new InvalidOperationException("The response head is complete; the parser must be reset before the next.");
    }

    private bool TryParseStatusLine(ReadOnlySpan<byte> line, HeaderBlock block)
    {
        // "HTTP/1.x SP 3DIGIT" and, unless the server forgot it, "SP reason".
        if (line.Length < 12 || (line.Length > 12 && line[12] != ' ') || !line.StartsWith("HTTP/1."u8) || line[8] != ' ') return false;
        if (line[7] is not ((byte)'1' or (byte)'0')) return false;
        _version = line[7] == '1' ? Http1Version.Http11 : Http1Version.Http10;
        var digits = line.Slice(9, 3);
        if (digits.ContainsAnyExceptInRange((byte)'0', (byte)'9') || digits[0] == '0') return false;
        _status = (digits[0] - '0') * 100 + (digits[1] - '0') * 10 + digits[2] - '0';
        block.Add(FieldName.Status, digits);
        return true;
    }

    private Http1Fault Conclude(RequestMethod request, HeaderBlock block)
    {
        var reader = new FramingFields();
        var fault = reader.Read(block);
        if (fault != Http1Fault.None) return fault;
        if (reader.HasTransferEncoding) fault = reader.TransferEncodingFault(_version);
        if (fault != Http1Fault.None) return fault;

        // In the order of section 6.3.
        BodyFraming framing;
        if (_status == 101 || (request == RequestMethod.Connect && _status is >= 200 and < 300)) framing = BodyFraming.Tunnel;
        else if (request == RequestMethod.Head || _status is 204 or 304 or < 200) framing = BodyFraming.None;
        else if (reader.HasTransferEncoding) framing = BodyFraming.Chunked;
        else if (reader.ContentLength is { } length) framing = BodyFraming.OfLength(length);
        else framing = BodyFraming.UntilClose;

        // Section 6.1: never in these, and who expects chunks after them reads the next response as a body.
        if (reader.HasTransferEncoding && (framing.Kind == BodyKind.Tunnel || _status is 204 or < 200)) return Http1Fault.TransferEncodingWithoutBody;
        Head = new ResponseHead(_version, _status, framing, reader.Options);
        return Http1Fault.None;
    }

    private HeadStatus Refuse(Http1Fault fault)
    {
        Fault = fault;
        return HeadStatus.Refused;
    }
}
