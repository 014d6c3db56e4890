namespace Mesh.Proxy.Http.Http1;

/// <summary>The fields that decide where a message ends and what becomes of its connection (RFC 9112 sections 6 and 9.3).</summary>
internal ref struct FramingFields
{
    private int _transferEncodings;
    private int _options;
    private bool _isChunked;

    public ConnectionOptions Options;

    /// <summary>How many Host fields there are.</summary>
    public int Hosts;

    public long? ContentLength;

    public readonly bool HasTransferEncoding => _transferEncodings > 0;

    /// <summary>One pass over the head.</summary>
    public Http1Fault Read(HeaderBlock block)
    {
        for (var i = 0; i < block.Count; i++)
        {
            switch (block.Known(i))
            {
                case FieldName.Host:
                    Hosts++;
                    break;
                case FieldName.Connection:
                    if (!TokenList.TryAddOptions(block.Value(i), ref Options, ref _options)) return Http1Fault.BadConnectionOption;
                    break;
                case FieldName.TransferEncoding:
                    _transferEncodings++;
                    _isChunked = FieldSyntax.EqualsIgnoreCase(block.Value(i), "chunked"u8);
                    break;
                case FieldName.ContentLength:
                    // Equal values would be harmless if every party in the chain saw that they are equal (section 6.3).
                    if (ContentLength is not null || block.Value(i).Contains((byte)',')) return Http1Fault.SeveralContentLengths;
                    if (!FieldSyntax.TryParseNumber(block.Value(i), out var length)) return Http1Fault.BadContentLength;
                    ContentLength = length;
                    break;
            }
        }

        return Http1Fault.None;
    }

    /// <summary>What is wrong with the Transfer-Encoding that is there.</summary>
    public readonly Http1Fault TransferEncodingFault(HttpVersion version)
    {
        if (version == HttpVersion.Http10) return Http1Fault.TransferEncodingInHttp10;
        if (ContentLength is not null) return Http1Fault.ContentLengthWithTransferEncoding;
        return _transferEncodings == 1 && _isChunked ? Http1Fault.None : Http1Fault.UnsupportedTransferEncoding;
    }
}
