namespace Mesh.Proxy.Http.Http1;

/// <summary>Why a head, a chunk or a trailer is refused. The numbers are labels of metrics and do not change.</summary>
internal enum Http1Fault : byte
{
    None = 0,

    // Lines (RFC 9112 section 2.2).
    BareCarriageReturn = 1,
    BareLineFeed = 2,
    ControlByte = 3,

    // Request line (section 3).
    RequestLineTooLong = 10,
    MalformedRequestLine = 11,
    BadMethod = 12,
    BadTarget = 13,
    TargetFormNotForMethod = 14,
    UnsupportedVersion = 15,

    // Status line (section 4).
    MalformedStatusLine = 20,

    // A response that does not fit the request (RFC 9110 sections 7.8 and 15.2).
    UnexpectedUpgrade = 25,
    TooManyInterim = 26,
    BodyTooLong = 27,

    // Fields (section 5).
    FieldLineTooLong = 30,
    HeadTooLong = 31,
    TooManyFields = 32,
    LineFolding = 33,
    SpaceBeforeColon = 34,
    BadFieldName = 35,

    // Host and Connection (section 3.2, RFC 9110 sections 7.2 and 7.6.1).
    MissingHost = 40,
    SeveralHosts = 41,
    BadHost = 42,
    HostDisagreesWithTarget = 43,
    BadConnectionOption = 44,

    // Length of the body (section 6).
    SeveralContentLengths = 50,
    BadContentLength = 51,
    ContentLengthWithTransferEncoding = 52,
    UnsupportedTransferEncoding = 53,
    TransferEncodingInHttp10 = 54,
    TransferEncodingWithoutBody = 55,
    BodyInConnect = 56,

    // Chunks (section 7.1).
    BadChunkSize = 60,
    ChunkExtension = 61,
    MissingChunkEnd = 62,
    TrailersTooLong = 63,
    TrailerNotAllowed = 64,
}

internal static class Http1Faults
{
    /// <summary>The status a client gets for a request with this fault.</summary>
    public static int Status(Http1Fault fault) => fault switch
    {
        Http1Fault.RequestLineTooLong => 414,
        Http1Fault.FieldLineTooLong or Http1Fault.HeadTooLong or Http1Fault.TooManyFields or Http1Fault.TrailersTooLong => 431,
        Http1Fault.UnsupportedTransferEncoding => 501,
        Http1Fault.UnsupportedVersion => 505,
        _ => 400,
    };

    public static string Sentence(Http1Fault fault) => fault switch
    {
        Http1Fault.None => "The message is well formed.",
        Http1Fault.BareCarriageReturn => "A carriage return is not followed by a line feed.",
        Http1Fault.BareLineFeed => "A line ends with a line feed alone.",
        Http1Fault.ControlByte => "A line has a control byte.",
        Http1Fault.RequestLineTooLong => "The request line is longer than 8 KB.",
        Http1Fault.MalformedRequestLine => "The request line is not a method, a target and a version with one space between them.",
        Http1Fault.BadMethod => "The method is not a token.",
        Http1Fault.BadTarget => "The request target has a byte or a form that is not allowed.",
        Http1Fault.TargetFormNotForMethod => "The form of the request target is not one for this method.",
        Http1Fault.UnsupportedVersion => "The version is neither HTTP/1.1 nor HTTP/1.0.",
        Http1Fault.MalformedStatusLine => "The status line is not a version and a status of three digits.",
        Http1Fault.UnexpectedUpgrade => "The server changes the protocol and was not asked to.",
        Http1Fault.TooManyInterim => "There are more than 64 interim responses.",
        Http1Fault.BodyTooLong => "The body is longer than Content-Length says.",
        Http1Fault.FieldLineTooLong => "A field line is longer than 16 KB.",
        Http1Fault.HeadTooLong => "The head is longer than 32 KB.",
        Http1Fault.TooManyFields => "The head has more than 100 fields.",
        Http1Fault.LineFolding => "A field line begins with a blank.",
        Http1Fault.SpaceBeforeColon => "There is a blank between a field name and its colon.",
        Http1Fault.BadFieldName => "A field name is not a token followed by a colon.",
        Http1Fault.MissingHost => "The request has no Host field.",
        Http1Fault.SeveralHosts => "The request has more than one Host field.",
        Http1Fault.BadHost => "The Host field is not a host with an optional port.",
        Http1Fault.HostDisagreesWithTarget => "The Host field and the request target name different hosts.",
        Http1Fault.BadConnectionOption => "The Connection field is not a list of at most 32 tokens.",
        Http1Fault.SeveralContentLengths => "There is more than one Content-Length.",
        Http1Fault.BadContentLength => "Content-Length is not a decimal number.",
        Http1Fault.ContentLengthWithTransferEncoding => "There are both a Content-Length and a Transfer-Encoding.",
        Http1Fault.UnsupportedTransferEncoding => "Transfer-Encoding is not chunked and nothing else.",
        Http1Fault.TransferEncodingInHttp10 => "An HTTP/1.0 message has a Transfer-Encoding.",
        Http1Fault.TransferEncodingWithoutBody => "A response that has no body has a Transfer-Encoding.",
        Http1Fault.BodyInConnect => "A CONNECT request has a body.",
        Http1Fault.BadChunkSize => "A chunk size is not a hexadecimal number of at most 16 digits.",
        Http1Fault.ChunkExtension => "A chunk has an extension.",
        Http1Fault.MissingChunkEnd => "The bytes of a chunk are not followed by a line end.",
        Http1Fault.TrailersTooLong => "The trailers are longer than 8 KB.",
        Http1Fault.TrailerNotAllowed => "A trailer would change framing, routing or identity of a message already under way.",
        _ => throw new ArgumentOutOfRangeException(nameof(fault)),
    };
}
