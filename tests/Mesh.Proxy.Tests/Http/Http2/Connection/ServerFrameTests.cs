using Mesh.Proxy.Http.Http2;

namespace Mesh.Proxy.Tests.Http.Http2.Connection;

/// <summary>What a server answers to frames that should not be (RFC 9113 sections 3 to 6), as h2spec asks.</summary>
public sealed class ServerFrameTests
{
    private const string Get = "headers 1 EH get|";
    private const string Post = "headers 1 H post|";
    private const string Many = "continuation 1 -|continuation 1 -|continuation 1 -|continuation 1 -|continuation 1 -|continuation 1 -|continuation 1 -|continuation 1 -|continuation 1 -|continuation 1 -|continuation 1 -|";

    [Fact]
    public async Task The_first_thing_said_is_settings_with_the_limits()
    {
        using var side = await Http2Side.BareAsync();
        var first = await side.Peer.ReadAsync();
        Assert.Equal(Convert.FromHexString("0003000003e8" + "000400040000" + "00060000a000" + "000800000000"), first.Payload);
        Assert.Equal("window 0 16711681", (await side.Peer.ReadAsync()).ToString());
    }

    [Theory]
    [InlineData("GET / HTTP/1.1\r\n\r\n")]
    [InlineData("PRI * HTTP/2.0\r\n\r\nXX")]
    public async Task Another_preface_is_refused(string preface)
    {
        using var side = await Http2Side.BareAsync();
        await side.Peer.Socket.SendAsync(preface);
        await side.ExpectFaultAsync(Http2Fault.BadPreface, Http2ErrorCode.ProtocolError);
    }

    [Theory]
    [InlineData("ping 0 - z8")]
    [InlineData("settings 0 E")]
    [InlineData(Get)]
    public async Task The_first_frame_must_be_settings(string frame)
    {
        using var side = await Http2Side.BareAsync();
        await side.Peer.SendAsync(FrameHeader.Preface.ToArray(), Http2Peer.Frames(frame));
        await side.ExpectFaultAsync(Http2Fault.BadPreface, Http2ErrorCode.ProtocolError);
        Assert.True(side.Exchanges.IsQuiet);
    }

    // On stream 0, or on one where there is none.
    [Theory]
    [InlineData("data 0 - 00", "StreamIdMissing", "ProtocolError")]
    [InlineData("headers 0 EH get", "StreamIdMissing", "ProtocolError")]
    [InlineData("priority 0 - z5", "StreamIdMissing", "ProtocolError")]
    [InlineData("rststream 0 - z4", "StreamIdMissing", "ProtocolError")]
    [InlineData("continuation 0 H", "StreamIdMissing", "ProtocolError")]
    [InlineData("settings 1 -", "StreamIdUnexpected", "ProtocolError")]
    [InlineData("ping 1 - z8", "StreamIdUnexpected", "ProtocolError")]
    [InlineData("goaway 1 - z8", "StreamIdUnexpected", "ProtocolError")]
    [InlineData("pushpromise 1 H 00000002828684", "PushFromClient", "ProtocolError")]
    // On idle streams.
    [InlineData("data 1 E 00", "FrameOnIdleStream", "ProtocolError")]
    [InlineData("rststream 1 - 00000008", "FrameOnIdleStream", "ProtocolError")]
    [InlineData("windowupdate 1 - 00000064", "FrameOnIdleStream", "ProtocolError")]
    [InlineData("continuation 1 H get", "ContinuationUnexpected", "ProtocolError")]
    [InlineData("headers 2 EH get", "BadStreamId", "ProtocolError")]
    [InlineData("headers 5 EH get|headers 3 EH get", "BadStreamId", "ProtocolError")]
    // Frame sizes.
    [InlineData(Post + "data 1 - z16385", "FrameTooLarge", "FrameSizeError")]
    [InlineData("headers 1 EH z16385", "FrameTooLarge", "FrameSizeError")]
    [InlineData("77 0 - z16385", "FrameTooLarge", "FrameSizeError")]
    [InlineData("settings 0 - z5", "FrameSizeWrong", "FrameSizeError")]
    [InlineData("settings 0 E z6", "FrameSizeWrong", "FrameSizeError")]
    [InlineData("ping 0 - z7", "FrameSizeWrong", "FrameSizeError")]
    [InlineData("goaway 0 - z7", "FrameSizeWrong", "FrameSizeError")]
    [InlineData("windowupdate 0 - z5", "FrameSizeWrong", "FrameSizeError")]
    [InlineData(Post + "rststream 1 - z3", "FrameSizeWrong", "FrameSizeError")]
    [InlineData("headers 1 EHP", "FrameSizeWrong", "FrameSizeError")]
    [InlineData("headers 1 EHR z4", "FrameSizeWrong", "FrameSizeError")]
    // Padding.
    [InlineData("headers 1 EHP 058286", "PaddingTooLong", "ProtocolError")]
    [InlineData(Post + "data 1 P 0500", "PaddingTooLong", "ProtocolError")]
    [InlineData(Post + "data 1 P", "FrameSizeWrong", "FrameSizeError")]
    // CONTINUATION.
    [InlineData(Get + "continuation 1 H get", "ContinuationUnexpected", "ProtocolError")]
    [InlineData("headers 1 E 82|data 1 E 00", "ContinuationExpected", "ProtocolError")]
    [InlineData("headers 1 E 82|ping 0 - z8", "ContinuationExpected", "ProtocolError")]
    [InlineData("headers 1 E 82|77 0 -", "ContinuationExpected", "ProtocolError")]
    [InlineData("headers 1 E 82|headers 3 EH get", "ContinuationExpected", "ProtocolError")]
    [InlineData("headers 1 E 82|continuation 3 H 86", "ContinuationExpected", "ProtocolError")]
    [InlineData("headers 1 E 82|" + Many + Many + Many, "TooManyContinuations", "EnhanceYourCalm")]
    [InlineData("headers 1 E z16384|continuation 1 - z16384|continuation 1 - z16384", "FieldBlockTooLarge", "EnhanceYourCalm")]
    // Settings and windows.
    [InlineData("settings 0 - 000200000002", "BadSetting", "ProtocolError")]
    [InlineData("settings 0 - 000480000000", "BadWindowSetting", "FlowControlError")]
    [InlineData("settings 0 - 000500003fff", "BadSetting", "ProtocolError")]
    [InlineData("settings 0 - 000501000000", "BadSetting", "ProtocolError")]
    [InlineData("settings 0 - 000800000002", "BadSetting", "ProtocolError")]
    [InlineData("windowupdate 0 - 00000000", "ConnectionWindowIncrementZero", "ProtocolError")]
    [InlineData("windowupdate 0 - 7fffffff", "ConnectionWindowOverflow", "FlowControlError")]
    [InlineData(Get + "windowupdate 1 - 7fff0000|settings 0 - 000400020000", "BadWindowSetting", "FlowControlError")]
    // Field blocks.
    [InlineData("headers 1 EH be", "CompressionFailed", "CompressionError")]
    [InlineData("headers 1 EH 80", "CompressionFailed", "CompressionError")]
    [InlineData("headers 1 EH 400a61", "CompressionFailed", "CompressionError")]
    [InlineData("headers 1 EH 823fe2ff01", "CompressionFailed", "CompressionError")]
    [InlineData("headers 1 EH 3fe2ff01", "CompressionFailed", "CompressionError")]
    [InlineData("headers 1 EH 008161ff", "CompressionFailed", "CompressionError")]
    public async Task It_ends_the_connection(string frames, string fault, string code)
    {
        using var side = await Http2Side.ServerAsync();
        await side.Peer.SendAsync(frames);
        await side.ExpectFaultAsync(Enum.Parse<Http2Fault>(fault), Enum.Parse<Http2ErrorCode>(code));
    }

    [Theory]
    [InlineData(Get + "data 1 E 00", "reset 1 StreamClosed")]
    [InlineData(Get + "headers 1 EH get", "reset 1 StreamClosed")]
    [InlineData(Post + "data 1 E 00|data 1 E 00", "reset 1 StreamClosed")]
    [InlineData(Post + "rststream 1 - 00000008|data 1 - 00", "reset 1 StreamClosed")]
    [InlineData(Post + "rststream 1 - 00000008|headers 1 EH get", "reset 1 StreamClosed")]
    [InlineData(Post + "windowupdate 1 - 00000000", "reset 1 ProtocolError")]
    [InlineData(Post + "windowupdate 1 - 7fffffff", "reset 1 FlowControlError")]
    [InlineData("headers 1 EHR 000000010f82", "reset 1 ProtocolError")]
    [InlineData(Post + "priority 1 - 000000010f", "reset 1 ProtocolError")]
    [InlineData(Post + "priority 1 - z4", "reset 1 FrameSizeError")]
    public async Task It_ends_the_stream(string frames, string answer)
    {
        using var side = await Http2Side.ServerAsync();
        await side.Peer.SendAsync(frames);
        Assert.Equal([answer], await side.Peer.SyncAsync());
        // The connection goes on.
        await side.Peer.SendAsync("headers 3 EH get");
        await side.WaitForAsync(() => side.Exchanges.Streams.ContainsKey(3));
    }

    [Theory]
    [InlineData("data 1 - 00", "FrameOnEndedStream", "StreamClosed")]
    [InlineData("headers 1 EH get", "FrameOnEndedStream", "StreamClosed")]
    [InlineData("continuation 1 H get", "ContinuationUnexpected", "ProtocolError")]
    public async Task On_a_stream_that_has_ended_it_ends_the_connection(string frames, string fault, string code)
    {
        using var side = await Http2Side.ServerAsync(reacts: Exchanges.Answer);
        await side.Peer.SendAsync(Get);
        await side.Peer.ExpectAsync("headers 1 end");
        await side.Exchanges.ExpectAsync("1 GET end", "1 closed");
        await side.Peer.SendAsync(frames);
        await side.ExpectFaultAsync(Enum.Parse<Http2Fault>(fault), Enum.Parse<Http2ErrorCode>(code));
    }

    [Theory]
    [InlineData("priority 1 - 000000030f")]
    [InlineData("priority 7 - 000000030f")]
    [InlineData("rststream 1 - 00000008")]
    [InlineData("windowupdate 1 - 00000064")]
    [InlineData("77 1 - 00|77 0 E|77 99 - z16384")]
    [InlineData("settings 0 - 00ff00000001")]
    [InlineData("ping 0 E z8")]
    [InlineData("goaway 0 - 000000000000000061")]
    [InlineData("windowupdate 0 - 00000064")]
    public async Task It_is_let_be(string frames)
    {
        using var side = await Http2Side.ServerAsync(reacts: Exchanges.Answer);
        await side.Peer.SendAsync(Get);
        await side.Peer.ExpectAsync("headers 1 end");
        await side.Peer.SendAsync(frames);
        Assert.DoesNotContain(await side.Peer.SyncAsync(), f => f != "settings ack");
        await side.Peer.SendAsync("headers 3 EH get");
        await side.Peer.ExpectAsync("headers 3 end");
    }

    [Fact]
    public async Task A_stream_that_was_reset_here_may_still_be_sent_on()
    {
        using var side = await Http2Side.ServerAsync(reacts: (stream, what) => stream.Reset(Http2ErrorCode.Cancel));
        await side.Peer.SendAsync(Post + "data 1 - z100|windowupdate 1 - 00000001|headers 1 EH 0001780179");
        Assert.Equal(["reset 1 Cancel"], await side.Peer.SyncAsync());
        await side.Exchanges.ExpectAsync("1 POST");
        Assert.True(side.Exchanges.IsQuiet);
    }

    [Fact]
    public async Task A_block_in_pieces_with_padding_and_priority_is_one_head()
    {
        using var side = await Http2Side.ServerAsync();
        await side.Peer.SendAsync("headers 1 PR 03000000000a82000000|continuation 1 - 8644|continuation 1 -|continuation 1 - 022f78|continuation 1 H 410161");
        await side.Peer.SendAsync("data 1 P 02616263ffff|data 1 EP 00");
        await side.Exchanges.ExpectAsync("1 GET", "1 data 3", "1 data 0 end");
        Assert.Contains(":path: /x\n", side.Exchanges.Fields, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Frames_that_come_in_single_bytes_are_the_same()
    {
        using var side = await Http2Side.BareAsync(reacts: Exchanges.Answer);
        byte[] all = [.. FrameHeader.Preface, .. Http2Peer.Frames("settings 0 -|headers 1 - 82|continuation 1 H 8641016144022f78|data 1 P 03616263000000|data 1 EP 03616263000000")];
        foreach (var one in all) await side.Peer.Socket.SendAsync(new[] { one });
        await side.Exchanges.ExpectAsync("1 GET");
        while (await side.Exchanges.NextAsync() is var what && what != "1 closed") Assert.StartsWith("1 data", what, StringComparison.Ordinal);
        Assert.Equal(6, side.Exchanges.Received);
    }
}
