using Mesh.Proxy.Http;
using Mesh.Proxy.Http.Http2;

namespace Mesh.Proxy.Tests.Http.Http2;

public sealed class StreamTests
{
    [Theory]
    // Every frame in every state of RFC 9113 section 5.1: A accepted, i ignored, otherwise the fault.
    [InlineData("Idle", "FrameOnIdleStream", "A", "i", "FrameOnIdleStream", "FrameOnIdleStream")]
    [InlineData("Open", "A", "A", "i", "A", "A")]
    [InlineData("HalfClosedLocal", "A", "A", "i", "A", "A")]
    [InlineData("HalfClosedRemote", "FrameOnClosedStream", "FrameOnClosedStream", "i", "A", "A")]
    [InlineData("Ended", "FrameOnEndedStream", "FrameOnEndedStream", "i", "i", "i")]
    [InlineData("ResetByUs", "i", "i", "i", "i", "i")]
    [InlineData("ResetByPeer", "FrameOnClosedStream", "FrameOnClosedStream", "i", "i", "i")]
    [InlineData("Forgotten", "FrameOnClosedStream", "BadStreamId", "i", "i", "i")]
    public void Every_frame_in_every_state(string state, string data, string headers, string priority, string rst, string window)
    {
        var from = Enum.Parse<StreamState>(state);
        FrameType[] frames = [FrameType.Data, FrameType.Headers, FrameType.Priority, FrameType.RstStream, FrameType.WindowUpdate];
        string[] expected = [data, headers, priority, rst, window];
        foreach (var (frame, answer) in frames.Zip(expected))
        {
            foreach (var flags in new[] { FrameFlags.None, FrameFlags.EndStream })
            {
                var step = StreamRules.Receive(from, frame, flags);
                Assert.Equal(answer, step.IsAccepted ? "A" : step.IsIgnored ? "i" : step.Fault.ToString());
                if (!step.IsAccepted) Assert.Equal(from, step.Next);
            }
        }
    }

    [Fact]
    public void A_request_and_its_answer_walk_through_the_states()
    {
        // Seen by the server: head, body, end; then ours.
        var state = Received(StreamState.Idle, FrameType.Headers, FrameFlags.None, StreamState.Open);
        state = Received(state, FrameType.Data, FrameFlags.None, StreamState.Open);
        state = Received(state, FrameType.Headers, FrameFlags.EndStream, StreamState.HalfClosedRemote);
        state = Sent(state, FrameType.Headers, FrameFlags.None, StreamState.HalfClosedRemote);
        Sent(state, FrameType.Data, FrameFlags.EndStream, StreamState.Ended);

        // Seen by the client.
        state = Sent(StreamState.Idle, FrameType.Headers, FrameFlags.EndStream, StreamState.HalfClosedLocal);
        state = Received(state, FrameType.Headers, FrameFlags.None, StreamState.HalfClosedLocal);
        Received(state, FrameType.Data, FrameFlags.EndStream, StreamState.Ended);

        Received(StreamState.Idle, FrameType.Headers, FrameFlags.EndStream, StreamState.HalfClosedRemote);
        Received(StreamState.Open, FrameType.RstStream, FrameFlags.None, StreamState.ResetByPeer);
        Sent(StreamState.Open, FrameType.RstStream, FrameFlags.None, StreamState.ResetByUs);
        Sent(StreamState.HalfClosedRemote, FrameType.RstStream, FrameFlags.None, StreamState.ResetByUs);

        static StreamState Received(StreamState from, FrameType frame, FrameFlags flags, StreamState to)
        {
            var step = StreamRules.Receive(from, frame, flags);
            Assert.Equal((true, to), (step.IsAccepted, step.Next));
            return to;
        }

        static StreamState Sent(StreamState from, FrameType frame, FrameFlags flags, StreamState to)
        {
            Assert.Equal(to, StreamRules.Send(from, frame, flags));
            return to;
        }
    }

    [Fact]
    public void What_we_may_not_send_is_a_bug()
    {
        Assert.Throws<InvalidOperationException>(() => StreamRules.Send(StreamState.HalfClosedLocal, FrameType.Data, FrameFlags.None));
        Assert.Throws<InvalidOperationException>(() => StreamRules.Send(StreamState.ResetByPeer, FrameType.Headers, FrameFlags.None));
        Assert.Throws<InvalidOperationException>(() => StreamRules.Send(StreamState.Idle, FrameType.RstStream, FrameFlags.None));
        Assert.Throws<InvalidOperationException>(() => StreamRules.Send(StreamState.HalfClosedRemote, FrameType.WindowUpdate, FrameFlags.None));
    }

    [Fact]
    public void Streams_of_a_client_are_odd_and_rise()
    {
        var ids = new StreamIds(Http2Role.Server);
        Assert.Equal(Http2Fault.BadStreamId, ids.Open(2, 0, 100));
        Assert.Equal(Http2Fault.None, ids.Open(5, 0, 100));
        Assert.Equal(Http2Fault.BadStreamId, ids.Open(3, 0, 100));
        Assert.Equal(Http2Fault.BadStreamId, ids.Open(5, 0, 100));
        Assert.Equal(Http2Fault.TooManyStreams, ids.Open(7, 100, 100));
        Assert.Equal(7, ids.Last);
        Assert.Equal((StreamState.Forgotten, StreamState.Idle, StreamState.Idle), (ids.StateOf(3), ids.StateOf(9), ids.StateOf(4)));
        Assert.Equal(Http2Fault.BadStreamId, new StreamIds(Http2Role.Client).Open(2, 0, 100));
    }

    [Fact]
    public void Our_streams_are_odd_until_there_are_no_more()
    {
        var ids = new StreamIds(Http2Role.Client);
        Assert.Equal((1, 3, 5), (ids.Next(), ids.Next(), ids.Next()));
        Assert.Equal(StreamState.Idle, ids.StateOf(7));
        Assert.Throws<InvalidOperationException>(() => new StreamIds(Http2Role.Server).Next());
    }

    [Fact]
    public void How_a_stream_was_closed_is_known_for_a_while()
    {
        var ids = new StreamIds(Http2Role.Server);
        StreamState[] ways = [StreamState.Ended, StreamState.ResetByUs, StreamState.ResetByPeer];
        for (var id = 1; id < 2001; id += 2)
        {
            Assert.Equal(Http2Fault.None, ids.Open(id, 0, 1));
            ids.Close(id, ways[id % 3]);
            Assert.Equal(ways[id % 3], ids.StateOf(id));
            if (id > 2 * (StreamIds.Remembered - 1)) Assert.Equal(ways[(id - 2 * (StreamIds.Remembered - 1)) % 3], ids.StateOf(id - 2 * (StreamIds.Remembered - 1)));
            if (id > 2 * StreamIds.Remembered) Assert.Equal(StreamState.Forgotten, ids.StateOf(id - 2 * StreamIds.Remembered));
        }
    }

    [Fact]
    public void Windows_of_section_6_9()
    {
        var window = new FlowWindow(FlowWindow.Default);
        Assert.False(window.TryConsume(65_536));
        Assert.True(window.TryConsume(65_535));
        Assert.False(window.TryConsume(1));
        Assert.True(window.TryShift(-65_535));
        Assert.Equal(-65_535, window.Available);
        Assert.True(window.TryConsume(0) || window.Available < 0);
        Assert.True(window.TryIncrease(int.MaxValue));
        Assert.Equal(int.MaxValue - 65_535, window.Available);
        Assert.True(window.TryIncrease(65_535));
        Assert.False(window.TryIncrease(1));
        Assert.False(window.TryShift(1));
        Assert.Equal(int.MaxValue, window.Available);
    }

    [Fact]
    public void What_was_received_is_given_back_by_halves()
    {
        var window = new ReceiveWindow(1000);
        Assert.True(window.TryReceive(1000));
        Assert.False(window.TryReceive(1));
        Assert.Equal(0, window.Release(499));
        Assert.Equal(0, window.Available);
        Assert.Equal(500, window.Release(1));
        Assert.Equal(500, window.Available);
        Assert.Equal(500, window.Release(500));
        Assert.Equal(1000, window.Available);
    }

    [Theory]
    [InlineData("Skipped", 10_000)]
    [InlineData("SmallWindowUpdate", 10_000)]
    [InlineData("Empty", 5_000)]
    [InlineData("Ping", 2_500)]
    [InlineData("Reset", 2_500)]
    [InlineData("Settings", 250)]
    public void A_burst_of_idle_frames_ends(string kind, int allowed)
    {
        var frame = Enum.Parse<IdleFrame>(kind);
        var guard = new FloodGuard(0);
        for (var i = 0; i < allowed; i++) Assert.Equal(Http2Fault.None, guard.Pay(frame, 0));
        Assert.Equal(Http2Fault.Flood, guard.Pay(frame, 0));
    }

    [Fact]
    public void Time_and_work_pay_for_idle_frames()
    {
        var guard = new FloodGuard(0);
        // 1,000 cancelled requests a second, for a minute.
        for (var now = 0; now < 60_000; now++) Assert.Equal(Http2Fault.None, guard.Pay(IdleFrame.Reset, now));
        // Far more, as many of them as requests that ended well.
        for (var i = 0; i < 100_000; i++)
        {
            Assert.Equal(Http2Fault.None, guard.Pay(IdleFrame.Reset, 60_000));
            guard.EarnStream();
        }

        // A ping for every two frames of data.
        for (var i = 0; i < 100_000; i++)
        {
            Assert.Equal(Http2Fault.None, guard.Pay(IdleFrame.Ping, 60_000));
            guard.EarnData();
            guard.EarnData();
        }

        // Rapid reset: 20 a millisecond.
        var fault = Http2Fault.None;
        var count = 0;
        for (; fault == Http2Fault.None; count++) fault = guard.Pay(IdleFrame.Reset, 60_000 + count / 20);
        Assert.True(count < 4_000);
    }

    [Fact]
    public void The_length_of_a_body_is_held_against_its_declaration()
    {
        var body = new BodyLength(5);
        Assert.Equal(Http2Fault.None, body.Receive(3));
        Assert.Equal(Http2Fault.ContentLengthDisagreesWithBody, body.End());
        Assert.Equal(Http2Fault.None, body.Receive(2));
        Assert.Equal(Http2Fault.None, body.End());
        Assert.Equal(Http2Fault.ContentLengthDisagreesWithBody, body.Receive(1));
        // The answers to HEAD and 304 declare what they do not carry.
        var response = new MessageHead(RequestMethod.Other, 200, 5);
        Assert.Equal(Http2Fault.None, BodyLength.OfResponse(response, RequestMethod.Head).End());
        Assert.Equal(Http2Fault.None, BodyLength.OfResponse(response with { Status = 304 }, RequestMethod.Get).End());
        Assert.Equal(Http2Fault.ContentLengthDisagreesWithBody, BodyLength.OfResponse(response, RequestMethod.Get).End());
        var free = new BodyLength(null);
        Assert.Equal(Http2Fault.None, free.Receive(1_000_000));
        Assert.Equal(Http2Fault.None, free.End());
    }
}
