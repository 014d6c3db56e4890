namespace Mesh.Proxy.Http.Http2;

/// <summary>What can be said of a frame from its header alone (RFC 9113 sections 4.2 and 6), before any of its payload is read.</summary>
internal static class FrameRules
{
    /// <summary>The SETTINGS_MAX_FRAME_SIZE we keep: the default. Larger frames would hold up other streams.</summary>
    public const int MaxFrameSize = 16 * 1024;

    /// <summary>
    /// Judges a frame of a peer. <paramref name="fieldBlockOf"/> is the stream whose field block has not ended yet, 0 for none. A frame of unknown
    /// type without fault is skipped.
    /// </summary>
    public static Http2Fault Check(in FrameHeader frame, int fieldBlockOf)
    {
        if (frame.Length > MaxFrameSize) return Http2Fault.FrameTooLarge;
        if (fieldBlockOf != 0 && (frame.Type != FrameType.Continuation || frame.StreamId != fieldBlockOf)) return Http2Fault.ContinuationExpected;
        var hasStream = frame.StreamId != 0;
        switch (frame.Type)
        {
            case FrameType.Data:
            case FrameType.Headers:
                return hasStream ? Http2Fault.None : Http2Fault.StreamIdMissing;
            case FrameType.Priority:
                if (!hasStream) return Http2Fault.StreamIdMissing;
                return frame.Length == 5 ? Http2Fault.None : Http2Fault.PriorityFrameSizeWrong;
            case FrameType.RstStream:
                if (!hasStream) return Http2Fault.StreamIdMissing;
                return frame.Length == 4 ? Http2Fault.None : Http2Fault.FrameSizeWrong;
            case FrameType.Settings:
                if (hasStream) return Http2Fault.StreamIdUnexpected;
                return frame.Length % 6 == 0 && (frame.Length == 0 || !frame.Has(FrameFlags.Ack)) ? Http2Fault.None : Http2Fault.FrameSizeWrong;
            case FrameType.PushPromise:
                // Clients never may; servers may not either, because we say ENABLE_PUSH = 0.
                return Http2Fault.PushFromClient;
            case FrameType.Ping:
                if (hasStream) return Http2Fault.StreamIdUnexpected;
                return frame.Length == 8 ? Http2Fault.None : Http2Fault.FrameSizeWrong;
            case FrameType.GoAway:
                if (hasStream) return Http2Fault.StreamIdUnexpected;
                return frame.Length >= 8 ? Http2Fault.None : Http2Fault.FrameSizeWrong;
            case FrameType.WindowUpdate:
                return frame.Length == 4 ? Http2Fault.None : Http2Fault.FrameSizeWrong;
            case FrameType.Continuation:
                if (!hasStream) return Http2Fault.StreamIdMissing;
                return fieldBlockOf != 0 ? Http2Fault.None : Http2Fault.ContinuationUnexpected;
            default:
                return Http2Fault.None;
        }
    }
}
