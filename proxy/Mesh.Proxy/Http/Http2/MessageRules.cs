namespace Mesh.Proxy.Http.Http2;

/// <summary>Which extensions a request may use.</summary>
internal enum ConnectForm : byte
{
    /// <summary>RFC 9113 section 8.5 only.</summary>
    Plain = 0,

    /// <summary>Also <c>:protocol</c> (RFC 8441): we have said SETTINGS_ENABLE_CONNECT_PROTOCOL.</summary>
    Extended = 1,
}

/// <summary>
/// What makes a list of fields a message (RFC 9113 sections 8.1 to 8.5), and nothing in it that HTTP/1 would read in another way: what these rules let
/// through can be written as HTTP/1 as it is.
/// </summary>
internal static class MessageRules
{
    public static Http2Fault CheckRequest(HeaderBlock fields, ConnectForm connect, out MessageHead head)
    {
        head = default;
        var fault = CheckFields(fields, isRequest: true, out var pseudo, out var contentLength);
        if (fault != Http2Fault.None) return fault;
        if (pseudo < fields.Count && fields.Contains(FieldName.Host) && fields.Find(FieldName.Host, fields.Find(FieldName.Host) + 1) >= 0) return Http2Fault.HostDisagreesWithAuthority;

        if (!fields.Contains(FieldName.Method)) return Http2Fault.MissingPseudoField;
        var name = fields.ValueOf(FieldName.Method);
        if (!FieldSyntax.IsToken(name)) return Http2Fault.BadMethod;
        var method = RequestMethods.Find(name);
        var hasAuthority = fields.Contains(FieldName.Authority);
        var authority = fields.ValueOf(FieldName.Authority);
        if (hasAuthority && !FieldSyntax.IsAuthority(authority)) return Http2Fault.BadAuthority;
        if (fields.Contains(FieldName.Host))
        {
            var host = fields.ValueOf(FieldName.Host);
            if (hasAuthority ? !FieldSyntax.EqualsIgnoreCase(host, authority) : !host.IsEmpty && !FieldSyntax.IsAuthority(host)) return Http2Fault.HostDisagreesWithAuthority;
        }

        fault = method == RequestMethod.Connect && !fields.Contains(FieldName.Protocol) ? CheckConnect(fields, authority) : CheckTarget(fields, method, connect);
        if (fault == Http2Fault.None) head = new MessageHead(method, 0, contentLength);
        return fault;
    }

    public static Http2Fault CheckResponse(HeaderBlock fields, out MessageHead head)
    {
        head = default;
        var fault = CheckFields(fields, isRequest: false, out _, out var contentLength);
        if (fault != Http2Fault.None) return fault;
        if (!fields.Contains(FieldName.Status)) return Http2Fault.MissingPseudoField;
        var digits = fields.ValueOf(FieldName.Status);
        // 101 does not exist here (section 8.6).
        if (digits.Length != 3 || digits[0] == '0' || !FieldSyntax.TryParseNumber(digits, out var status) || status == 101) return Http2Fault.BadStatus;
        head = new MessageHead(RequestMethod.Other, (int)status, contentLength);
        return Http2Fault.None;
    }

    /// <summary>Fields after a body (section 8.1): no pseudo-fields, and nothing that should have come before it.</summary>
    public static Http2Fault CheckTrailers(HeaderBlock fields)
    {
        var fault = CheckFields(fields, isRequest: true, out var pseudo, out _);
        if (pseudo > 0) return Http2Fault.UnknownPseudoField;
        if (fault != Http2Fault.None) return fault;
        return TrailerFields.Check(fields) ? Http2Fault.None : Http2Fault.BadTrailer;
    }

    /// <summary>Names, values, and the fields that are refused or looked at in any message (section 8.2).</summary>
    private static Http2Fault CheckFields(HeaderBlock fields, bool isRequest, out int pseudo, out long? contentLength)
    {
        pseudo = 0;
        contentLength = null;
        var seen = 0;
        for (var i = 0; i < fields.Count; i++)
        {
            var known = fields.Known(i);
            var value = fields.Value(i);
            if (FieldNames.IsPseudo(known))
            {
                if (pseudo != i) return Http2Fault.PseudoFieldAfterFields;
                pseudo++;
                if ((known == FieldName.Status) == isRequest) return Http2Fault.UnknownPseudoField;
                if ((seen & 1 << (int)known) != 0) return Http2Fault.DuplicatePseudoField;
                seen |= 1 << (int)known;
            }

            if (!FieldSyntax.IsValue(value)) return Http2Fault.BadFieldValue;
            switch (known)
            {
                case FieldName.Other:
                    var name = fields[i].Name;
                    if (!FieldSyntax.IsLowerName(name)) return !name.IsEmpty && name[0] == ':' ? Http2Fault.UnknownPseudoField : Http2Fault.BadFieldName;
                    break;
                case FieldName.Connection:
                case FieldName.KeepAlive:
                case FieldName.ProxyConnection:
                case FieldName.TransferEncoding:
                case FieldName.Upgrade:
                    return Http2Fault.ConnectionSpecificField;
                case FieldName.Te:
                    if (!FieldSyntax.EqualsIgnoreCase(value, "trailers"u8)) return Http2Fault.BadTe;
                    break;
                case FieldName.ContentLength:
                    if (contentLength is not null || !FieldSyntax.TryParseNumber(value, out var length)) return Http2Fault.BadContentLength;
                    contentLength = length;
                    break;
            }
        }

        return Http2Fault.None;
    }

    /// <summary>Section 8.5: an authority with a port, and neither scheme nor path.</summary>
    private static Http2Fault CheckConnect(HeaderBlock fields, ReadOnlySpan<byte> authority)
    {
        if (fields.Contains(FieldName.Scheme) || fields.Contains(FieldName.Path)) return Http2Fault.BadConnect;
        if (!fields.Contains(FieldName.Authority)) return Http2Fault.MissingPseudoField;
        return FieldSyntax.IsHostAndPort(authority) ? Http2Fault.None : Http2Fault.BadAuthority;
    }

    private static Http2Fault CheckTarget(HeaderBlock fields, RequestMethod method, ConnectForm connect)
    {
        if (fields.Contains(FieldName.Protocol))
        {
            if (connect == ConnectForm.Plain) return Http2Fault.UnknownPseudoField;
            if (method != RequestMethod.Connect || !FieldSyntax.IsToken(fields.ValueOf(FieldName.Protocol))) return Http2Fault.BadConnect;
        }

        if (!fields.Contains(FieldName.Scheme) || !fields.Contains(FieldName.Path)) return Http2Fault.MissingPseudoField;
        var scheme = fields.ValueOf(FieldName.Scheme);
        if (!scheme.SequenceEqual("http"u8) && !scheme.SequenceEqual("https"u8)) return Http2Fault.BadScheme;
        var path = fields.ValueOf(FieldName.Path);
        if (path.IsEmpty) return Http2Fault.BadPath;
        if (path[0] != '/') return path.SequenceEqual("*"u8) && method == RequestMethod.Options ? Http2Fault.None : Http2Fault.BadPath;
        // A blank would end the target in an HTTP/1 request line.
        return path.ContainsAny(FieldSyntax.ControlsAndBlanks) || path.Contains((byte)'#') ? Http2Fault.BadPath : Http2Fault.None;
    }
}

/// <summary>Holds the bytes of DATA against content-length (RFC 9113 section 8.1.1). <paramref name="declared"/> is null when there is nothing to hold them against.</summary>
internal struct BodyLength(long? declared)
{
    private readonly long? _declared = declared;

    /// <summary>For the answer to a request: where there can be no body, content-length says what a body would have had (RFC 9110 section 8.6).</summary>
    public static BodyLength OfResponse(in MessageHead response, RequestMethod request) =>
        new(request == RequestMethod.Head || response.Status == 304 ? null : response.ContentLength);

    /// <summary>Bytes so far, without padding.</summary>
    public long Received { get; private set; }

    public Http2Fault Receive(int bytes)
    {
        Received += bytes;
        return Received > _declared ? Http2Fault.ContentLengthDisagreesWithBody : Http2Fault.None;
    }

    /// <summary>The stream has ended.</summary>
    public readonly Http2Fault End() => _declared is { } declared && declared != Received ? Http2Fault.ContentLengthDisagreesWithBody : Http2Fault.None;
}
