namespace Mesh.Proxy.Http.Http2;

/// <summary>RFC 9113 section 7.</summary>
internal enum Http2ErrorCode : uint
{
    NoError = 0,
    ProtocolError = 1,
    InternalError = 2,
    FlowControlError = 3,
    SettingsTimeout = 4,
    StreamClosed = 5,
    FrameSizeError = 6,
    RefusedStream = 7,
    Cancel = 8,
    CompressionError = 9,
    ConnectError = 10,
    EnhanceYourCalm = 11,
    InadequateSecurity = 12,
    Http11Required = 13,
}

/// <summary>What a peer did against RFC 9113 or against our bounds. The numbers are labels of metrics and do not change.</summary>
internal enum Http2Fault : byte
{
    None = 0,

    // Frames (sections 4 and 6): the connection ends.
    FrameTooLarge = 1,
    FrameSizeWrong = 2,
    StreamIdMissing = 3,
    StreamIdUnexpected = 4,
    PaddingTooLong = 5,
    ContinuationExpected = 6,
    ContinuationUnexpected = 7,
    PushFromClient = 8,
    BadPreface = 9,
    BadSetting = 10,
    BadWindowSetting = 11,
    ConnectionWindowIncrementZero = 12,
    ConnectionWindowOverflow = 13,
    ConnectionWindowExceeded = 14,
    FrameTooSlow = 15,

    // Streams (section 5): the connection ends.
    FrameOnIdleStream = 20,
    FrameOnEndedStream = 21,
    BadStreamId = 22,

    // Field blocks and floods: the connection ends.
    CompressionFailed = 30,
    FieldBlockTooLarge = 31,
    TooManyContinuations = 32,
    Flood = 33,

    // One stream ends.
    PriorityFrameSizeWrong = 40,
    PriorityOnItself = 41,
    FrameOnClosedStream = 42,
    TooManyStreams = 43,
    StreamWindowIncrementZero = 44,
    StreamWindowOverflow = 45,
    StreamWindowExceeded = 46,

    // Malformed messages (section 8.1.1): one stream ends.
    BadFieldName = 60,
    BadFieldValue = 61,
    ConnectionSpecificField = 62,
    BadTe = 63,
    UnknownPseudoField = 64,
    DuplicatePseudoField = 65,
    PseudoFieldAfterFields = 66,
    MissingPseudoField = 67,
    BadMethod = 68,
    BadScheme = 69,
    BadAuthority = 70,
    BadPath = 71,
    BadStatus = 72,
    BadConnect = 73,
    HostDisagreesWithAuthority = 74,
    BadContentLength = 75,
    ContentLengthDisagreesWithBody = 76,
    BadTrailer = 77,
    TrailersWithoutEnd = 78,
    FieldListTooLarge = 79,
}

internal static class Http2Faults
{
    /// <summary>Whether GOAWAY answers it; otherwise RST_STREAM does and the connection goes on.</summary>
    public static bool EndsConnection(Http2Fault fault) => fault is > Http2Fault.None and < Http2Fault.PriorityFrameSizeWrong;

    public static Http2ErrorCode Code(Http2Fault fault) => fault switch
    {
        Http2Fault.None => Http2ErrorCode.NoError,
        Http2Fault.FrameTooLarge or Http2Fault.FrameSizeWrong or Http2Fault.PriorityFrameSizeWrong => Http2ErrorCode.FrameSizeError,
        Http2Fault.BadWindowSetting or Http2Fault.ConnectionWindowOverflow or Http2Fault.ConnectionWindowExceeded
            or Http2Fault.StreamWindowOverflow or Http2Fault.StreamWindowExceeded => Http2ErrorCode.FlowControlError,
        Http2Fault.FrameOnEndedStream or Http2Fault.FrameOnClosedStream => Http2ErrorCode.StreamClosed,
        Http2Fault.CompressionFailed => Http2ErrorCode.CompressionError,
        Http2Fault.FieldBlockTooLarge or Http2Fault.TooManyContinuations or Http2Fault.Flood or Http2Fault.FrameTooSlow => Http2ErrorCode.EnhanceYourCalm,
        Http2Fault.TooManyStreams => Http2ErrorCode.RefusedStream,
        _ => Http2ErrorCode.ProtocolError,
    };

    public static string Sentence(Http2Fault fault) => fault switch
    {
        Http2Fault.None => "The peer keeps to the protocol.",
        Http2Fault.FrameTooLarge => "A frame is larger than the settings allow.",
        Http2Fault.FrameSizeWrong => "A frame does not have the size of its type.",
        Http2Fault.StreamIdMissing => "A frame that belongs to a stream names none.",
        Http2Fault.StreamIdUnexpected => "A frame that belongs to the connection names a stream.",
        Http2Fault.PaddingTooLong => "The padding of a frame is longer than the frame.",
        Http2Fault.ContinuationExpected => "Another frame came within a field block.",
        Http2Fault.ContinuationUnexpected => "A CONTINUATION came without a field block to continue.",
        Http2Fault.PushFromClient => "The peer sent PUSH_PROMISE, which it may not.",
        Http2Fault.BadPreface => "The connection does not begin with the HTTP/2 preface and SETTINGS.",
        Http2Fault.BadSetting => "A setting has a value that it cannot have.",
        Http2Fault.BadWindowSetting => "A change of the initial window makes a window larger than 2^31-1.",
        Http2Fault.ConnectionWindowIncrementZero => "A WINDOW_UPDATE for the connection has an increment of 0.",
        Http2Fault.ConnectionWindowOverflow => "A WINDOW_UPDATE makes the window of the connection larger than 2^31-1.",
        Http2Fault.ConnectionWindowExceeded => "The peer sent more data than the window of the connection allows.",
        Http2Fault.FrameTooSlow => "A frame or a field block was begun and not finished within 30 seconds.",
        Http2Fault.FrameOnIdleStream => "A frame came for a stream that was never opened.",
        Http2Fault.FrameOnEndedStream => "A frame came for a stream that had ended.",
        Http2Fault.BadStreamId => "A stream was opened with an id that was used, skipped or not the peer's to use.",
        Http2Fault.CompressionFailed => "A field block cannot be decoded.",
        Http2Fault.FieldBlockTooLarge => "A field block is larger than 40 KB.",
        Http2Fault.TooManyContinuations => "A field block came in more than 32 pieces.",
        Http2Fault.Flood => "The peer sent too many frames that do no work.",
        Http2Fault.PriorityFrameSizeWrong => "A PRIORITY frame does not have 5 bytes.",
        Http2Fault.PriorityOnItself => "A stream is made to depend on itself.",
        Http2Fault.FrameOnClosedStream => "A frame came for a stream that its sender had closed.",
        Http2Fault.TooManyStreams => "The peer opened more streams than the settings allow.",
        Http2Fault.StreamWindowIncrementZero => "A WINDOW_UPDATE for a stream has an increment of 0.",
        Http2Fault.StreamWindowOverflow => "A WINDOW_UPDATE makes the window of a stream larger than 2^31-1.",
        Http2Fault.StreamWindowExceeded => "The peer sent more data than the window of the stream allows.",
        Http2Fault.BadFieldName => "A field name is not a token in lower case.",
        Http2Fault.BadFieldValue => "A field value has a control byte, or a blank at an end.",
        Http2Fault.ConnectionSpecificField => "A field is there that belongs to HTTP/1 connections.",
        Http2Fault.BadTe => "The te field has a value other than trailers.",
        Http2Fault.UnknownPseudoField => "A pseudo-field is there that this kind of message does not have.",
        Http2Fault.DuplicatePseudoField => "A pseudo-field is there twice.",
        Http2Fault.PseudoFieldAfterFields => "A pseudo-field comes after a field.",
        Http2Fault.MissingPseudoField => "A pseudo-field is missing.",
        Http2Fault.BadMethod => "The method is not a token.",
        Http2Fault.BadScheme => "The scheme is neither http nor https.",
        Http2Fault.BadAuthority => "The authority is not a host with an optional port.",
        Http2Fault.BadPath => "The path does not begin with a slash or has a byte that is not allowed.",
        Http2Fault.BadStatus => "The status is not a number that HTTP/2 has.",
        Http2Fault.BadConnect => "A CONNECT request has other pseudo-fields than it may have.",
        Http2Fault.HostDisagreesWithAuthority => "The host field and the authority are different.",
        Http2Fault.BadContentLength => "There is more than one content-length, or it is not a decimal number.",
        Http2Fault.ContentLengthDisagreesWithBody => "The body is longer or shorter than content-length says.",
        Http2Fault.BadTrailer => "A trailer would change framing, routing or identity of a message already under way.",
        Http2Fault.TrailersWithoutEnd => "Trailers do not end the stream.",
        Http2Fault.FieldListTooLarge => "The fields are more, or larger, than the limit that was announced.",
        _ => throw new ArgumentOutOfRangeException(nameof(fault)),
    };
}
