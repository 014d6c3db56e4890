namespace Mesh.Proxy.Http.Http2;

/// <summary>The states of RFC 9113 section 5.1. There is no reserved state, as push is refused; closed has the reasons that make a difference.</summary>
internal enum StreamState : byte
{
    Idle = 0,
    Open = 1,

    /// <summary>We have sent END_STREAM.</summary>
    HalfClosedLocal = 2,

    /// <summary>The peer has sent END_STREAM.</summary>
    HalfClosedRemote = 3,

    /// <summary>Both sides have sent END_STREAM.</summary>
    Ended = 4,

    /// <summary>We have sent RST_STREAM; the peer may not have seen it yet.</summary>
    ResetByUs = 5,

    /// <summary>The peer has sent RST_STREAM.</summary>
    ResetByPeer = 6,

    /// <summary>Closed so long ago that nobody remembers how, or never used and skipped.</summary>
    Forgotten = 7,
}

/// <summary>What becomes of a frame: <see cref="Fault"/>, or it is accepted, or ignored, and the state the stream has then.</summary>
internal readonly record struct StreamStep(StreamState Next, Http2Fault Fault, bool IsIgnored)
{
    public bool IsAccepted => Fault == Http2Fault.None && !IsIgnored;
}

/// <summary>
/// Every frame in every state. An ignored DATA frame still counts against the window of the connection, and an ignored field block must still be
/// decoded: both are shared with other streams.
/// </summary>
internal static class StreamRules
{
    private const int States = 8;
    private const int Frames = 10;

    private static readonly Verdict[] _received = Table();

    private enum Verdict : byte
    {
        Accept = 0,
        Ignore,
        Idle,
        Ended,
        Closed,
        BadId,
    }

    /// <summary>A frame of a peer that belongs to a stream: DATA, HEADERS, PRIORITY, RST_STREAM or WINDOW_UPDATE (CONTINUATION is part of HEADERS).</summary>
    public static StreamStep Receive(StreamState state, FrameType frame, FrameFlags flags)
    {
        switch (_received[(int)state * Frames + (int)frame])
        {
            case Verdict.Accept:
                return new StreamStep(Next(state, frame, flags), Http2Fault.None, IsIgnored: false);
            case Verdict.Ignore:
                return new StreamStep(state, Http2Fault.None, IsIgnored: true);
            case Verdict.Idle:
                return new StreamStep(state, Http2Fault.FrameOnIdleStream, IsIgnored: false);
            case Verdict.Ended:
                return new StreamStep(state, Http2Fault.FrameOnEndedStream, IsIgnored: false);
            case Verdict.Closed:
                return new StreamStep(state, Http2Fault.FrameOnClosedStream, IsIgnored: false);
            default:
                return new StreamStep(state, Http2Fault.BadStreamId, IsIgnored: false);
        }
    }

    /// <summary>The state after we send a frame. What may not be sent in a state is a bug of ours.</summary>
    public static StreamState Send(StreamState state, FrameType frame, FrameFlags flags)
    {
        if (frame == FrameType.RstStream && state != StreamState.Idle) return state is StreamState.ResetByPeer or StreamState.Ended ? state : StreamState.ResetByUs;
        if (frame == FrameType.WindowUpdate && state is StreamState.Open or StreamState.HalfClosedLocal) return state;
        var ends = frame is FrameType.Data or FrameType.Headers && (flags & FrameFlags.EndStream) != 0;
        return (state, frame) switch
        {
            (StreamState.Idle, FrameType.Headers) => ends ? StreamState.HalfClosedLocal : StreamState.Open,
            (StreamState.Open, FrameType.Headers or FrameType.Data) => ends ? StreamState.HalfClosedLocal : state,
            (StreamState.HalfClosedRemote, FrameType.Headers or FrameType.Data) => ends ? StreamState.Ended : state,
            _ => throw new InvalidOperationException($"{frame} was to be sent on a stream that is {state}."),
        };
    }

    private static StreamState Next(StreamState state, FrameType frame, FrameFlags flags)
    {
        if (frame == FrameType.RstStream) return StreamState.ResetByPeer;
        if (frame is not (FrameType.Data or FrameType.Headers)) return state;
        if (state == StreamState.Idle) state = StreamState.Open;
        if ((flags & FrameFlags.EndStream) == 0) return state;
        return state == StreamState.Open ? StreamState.HalfClosedRemote : StreamState.Ended;
    }

    private static Verdict[] Table()
    {
        var table = new Verdict[States * Frames];
        Row(StreamState.Idle, data: Verdict.Idle, headers: Verdict.Accept, rst: Verdict.Idle, window: Verdict.Idle);
        Row(StreamState.Open, Verdict.Accept, Verdict.Accept, Verdict.Accept, Verdict.Accept);
        Row(StreamState.HalfClosedLocal, Verdict.Accept, Verdict.Accept, Verdict.Accept, Verdict.Accept);
        Row(StreamState.HalfClosedRemote, Verdict.Closed, Verdict.Closed, Verdict.Accept, Verdict.Accept);
        // Late WINDOW_UPDATE and RST_STREAM are in the nature of things; data after the end is not.
        Row(StreamState.Ended, Verdict.Ended, Verdict.Ended, Verdict.Ignore, Verdict.Ignore);
        Row(StreamState.ResetByUs, Verdict.Ignore, Verdict.Ignore, Verdict.Ignore, Verdict.Ignore);
        Row(StreamState.ResetByPeer, Verdict.Closed, Verdict.Closed, Verdict.Ignore, Verdict.Ignore);
        // Data may be late after a burst of resets that was longer than our memory; a head on such a stream is a head on a used id (section 5.1.1).
        Row(StreamState.Forgotten, Verdict.Closed, Verdict.BadId, Verdict.Ignore, Verdict.Ignore);
        return table;

        void Row(StreamState state, Verdict data, Verdict headers, Verdict rst, Verdict window)
        {
            var row = table.AsSpan((int)state * Frames, Frames);
            row.Fill(Verdict.BadId);
            row[(int)FrameType.Data] = data;
            row[(int)FrameType.Headers] = headers;
            row[(int)FrameType.Priority] = Verdict.Ignore;
            row[(int)FrameType.RstStream] = rst;
            row[(int)FrameType.WindowUpdate] = window;
        }
    }
}
