namespace Mesh.Proxy.Http.Http1;

/// <summary>The forms of RFC 9112 section 3.2.</summary>
internal enum TargetForm : byte
{
    Origin = 0,
    Absolute = 1,
    Authority = 2,
    Asterisk = 3,
}

/// <summary>
/// What a request head says beside its fields. <paramref name="AsksForUpgrade"/>: only without a body, since what follows must be the new protocol's;
/// a server may ignore the wish (RFC 9110 section 7.8), and with a body it does.
/// </summary>
internal readonly record struct RequestHead(
    HttpVersion Version,
    RequestMethod Method,
    TargetForm Form,
    BodyFraming Framing,
    ConnectionOptions Options,
    bool ExpectsContinue,
    bool AsksForUpgrade)
{
    /// <summary>What comes after the head is not HTTP if the server agrees, and another request if it does not.</summary>
    public bool AsksForTunnel => AsksForUpgrade || Method == RequestMethod.Connect;

    /// <summary>Whether the client may send another request on this connection (RFC 9112 section 9.3).</summary>
    public bool KeepsAlive => (Options & ConnectionOptions.Close) == 0 && (Version == HttpVersion.Http11 || (Options & ConnectionOptions.KeepAlive) != 0);
}

/// <summary>
/// Reads request heads (RFC 9112 sections 2 to 6), one after the other. Fields go into a <see cref="HeaderBlock"/> as they came, names in lower case;
/// the request line goes there as pseudo-fields: <c>:method</c>, <c>:path</c> (not for CONNECT), for the absolute form <c>:scheme</c>, and
/// <c>:authority</c> where the target has one. What could be understood in two ways is refused.
/// </summary>
internal sealed class RequestHeadParser : HeadParser
{
    private HttpVersion _version;
    private RequestMethod _method;
    private TargetForm _form;

    /// <summary>Valid after <see cref="HeadStatus.Complete"/>.</summary>
    public RequestHead Head { get; private set; }

    protected override bool MaySkipEmptyLine => true;

    protected override Http1Fault FirstLineTooLong => Http1Fault.RequestLineTooLong;

    /// <inheritdoc cref="HeadParser.Read"/>
    public HeadStatus Parse(ReadOnlySpan<byte> input, HeaderBlock block, out int consumed) => Read(input, block, out consumed);

    protected override Http1Fault ReadFirstLine(ReadOnlySpan<byte> line, HeaderBlock block)
    {
        var space = line.IndexOf((byte)' ');
        var lastSpace = line.LastIndexOf((byte)' ');
        if (space <= 0 || lastSpace <= space + 1) return Http1Fault.MalformedRequestLine;
        var version = line[(lastSpace + 1)..];
        if (version.SequenceEqual("HTTP/1.1"u8)) _version = HttpVersion.Http11;
        else if (version.SequenceEqual("HTTP/1.0"u8)) _version = HttpVersion.Http10;
        else return version.StartsWith("HTTP/"u8) ? Http1Fault.UnsupportedVersion : Http1Fault.MalformedRequestLine;

        var method = line[..space];
        if (!FieldSyntax.IsToken(method)) return Http1Fault.BadMethod;
        _method = RequestMethods.Find(method);
        block.Add(FieldName.Method, method);
        return ParseTarget(line[(space + 1)..lastSpace], block);
    }

    private Http1Fault ParseTarget(ReadOnlySpan<byte> target, HeaderBlock block)
    {
        // Bytes above 127 are let through: careless clients send them, and no parser takes them for a delimiter. A fragment is never sent.
        if (target.ContainsAny(FieldSyntax.ControlsAndBlanks) || target.Contains((byte)'#')) return Http1Fault.BadTarget;
        if (_method == RequestMethod.Connect)
        {
            _form = TargetForm.Authority;
            if (!FieldSyntax.IsHostAndPort(target)) return target[0] == '/' ? Http1Fault.TargetFormNotForMethod : Http1Fault.BadTarget;
            block.Add(FieldName.Authority, target);
            return Http1Fault.None;
        }

        if (target[0] == '/')
        {
            _form = TargetForm.Origin;
            block.Add(FieldName.Path, target);
            return Http1Fault.None;
        }

        if (target.Length == 1 && target[0] == '*')
        {
            _form = TargetForm.Asterisk;
            block.Add(FieldName.Path, target);
            return _method == RequestMethod.Options ? Http1Fault.None : Http1Fault.TargetFormNotForMethod;
        }

        return ParseAbsoluteForm(target, block);
    }

    private Http1Fault ParseAbsoluteForm(ReadOnlySpan<byte> target, HeaderBlock block)
    {
        _form = TargetForm.Absolute;
        var colon = target.IndexOf("://"u8);
        if (colon <= 0) return Http1Fault.BadTarget;
        var scheme = target[..colon];
        if (FieldSyntax.EqualsIgnoreCase(scheme, "http"u8)) block.Add(FieldName.Scheme, "http"u8);
        else if (FieldSyntax.EqualsIgnoreCase(scheme, "https"u8)) block.Add(FieldName.Scheme, "https"u8);
        else return Http1Fault.BadTarget;

        var rest = target[(colon + 3)..];
        var end = rest.IndexOfAny((byte)'/', (byte)'?');
        var authority = end < 0 ? rest : rest[..end];
        if (!FieldSyntax.IsAuthority(authority)) return Http1Fault.BadTarget;
        block.Add(FieldName.Authority, authority);
        var path = end < 0 ? default : rest[end..];
        if (path.IsEmpty)
        {
            // OPTIONS without a path asks the server itself (section 3.2.4).
            block.Add(FieldName.Path, _method == RequestMethod.Options ? "*"u8 : "/"u8);
        }
        else if (path[0] == '/')
        {
            block.Add(FieldName.Path, path);
        }
        else
        {
            var room = block.Reserve(path.Length + 1);
            room[0] = (byte)'/';
            path.CopyTo(room[1..]);
            block.AddEntry(FieldName.Path, 0, 0, block.Take(path.Length + 1), path.Length + 1, FieldFlags.None);
        }

        return Http1Fault.None;
    }

    protected override Http1Fault Conclude(HeaderBlock block)
    {
        var reader = new FramingFields();
        var fault = reader.Read(block);
        if (fault != Http1Fault.None) return fault;
        fault = CheckHost(block, reader.Hosts);
        if (fault != Http1Fault.None) return fault;

        BodyFraming framing;
        if (reader.HasTransferEncoding)
        {
            fault = reader.TransferEncodingFault(_version);
            if (fault != Http1Fault.None) return fault;
            framing = BodyFraming.Chunked;
        }
        else
        {
            framing = reader.ContentLength is { } length ? BodyFraming.OfLength(length) : BodyFraming.None;
        }

        // What follows the head of a CONNECT is the tunnel's; a body would be ambiguous (RFC 9110 section 9.3.6 gives it no meaning).
        if (_method == RequestMethod.Connect && HasBody(framing)) return Http1Fault.BodyInConnect;
        Head = new RequestHead(
            _version,
            _method,
            _form,
            framing,
            reader.Options,
            ExpectsContinue: _version == HttpVersion.Http11 && block.Contains(FieldName.Expect) && FieldSyntax.EqualsIgnoreCase(block.ValueOf(FieldName.Expect), "100-continue"u8),
            AsksForUpgrade: _version == HttpVersion.Http11 && (reader.Options & ConnectionOptions.Upgrade) != 0 && !HasBody(framing) && IsUpgrade(block));
        return Http1Fault.None;
    }

    private static bool HasBody(BodyFraming framing) => framing.Kind == BodyKind.Chunked || framing.Length > 0;

    /// <summary>Upgrading to HTTP/2 in the clear was given up (RFC 9113 section 3.1); such a request goes on as what it is.</summary>
    private static bool IsUpgrade(HeaderBlock block) => block.Contains(FieldName.Upgrade) && !FieldSyntax.EqualsIgnoreCase(block.ValueOf(FieldName.Upgrade), "h2c"u8);

    private Http1Fault CheckHost(HeaderBlock block, int hosts)
    {
        if (hosts > 1) return Http1Fault.SeveralHosts;
        if (hosts == 0) return _version == HttpVersion.Http11 ? Http1Fault.MissingHost : Http1Fault.None;
        var host = block.ValueOf(FieldName.Host);
        // An empty Host says that the target has no authority (RFC 9110 section 7.2).
        if (!host.IsEmpty && !FieldSyntax.IsAuthority(host)) return Http1Fault.BadHost;
        if (_form is not (TargetForm.Absolute or TargetForm.Authority)) return Http1Fault.None;
        var authority = block.ValueOf(FieldName.Authority);
        if (FieldSyntax.EqualsIgnoreCase(host, authority)) return Http1Fault.None;
        // For CONNECT many clients send the host without its port.
        var hostOnly = _form == TargetForm.Authority && authority.Length > host.Length && authority[host.Length] == ':' && FieldSyntax.EqualsIgnoreCase(host, authority[..host.Length]);
        return hostOnly ? Http1Fault.None : Http1Fault.HostDisagreesWithTarget;
    }
}
