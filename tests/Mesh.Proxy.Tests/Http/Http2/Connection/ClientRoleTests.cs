using Mesh.Proxy.Http.Http2;
using Mesh.Proxy.Native;
using Mesh.Testing;

namespace Mesh.Proxy.Tests.Http.Http2.Connection;

/// <summary>The connection as the side that makes the requests.</summary>
public sealed class ClientRoleTests
{
    [Fact]
    public async Task A_request_and_its_response()
    {
        using var side = await Http2Side.ClientAsync();
        await side.Exchanges.ExpectAsync("room");
        await side.RequestAsync();
        Assert.Equal(":authority: a\n:scheme: http\n:method: GET\n:path: /\nend", await side.Peer.HeadAsync(1));
        await side.Peer.SendAsync(Http2Peer.Headers(1, ":status: 103\n", end: false), Http2Peer.Headers(1, ":status: 200\ncontent-length: 3\n", end: false), Http2Peer.Data(1, 3, end: true));
        await side.Exchanges.ExpectAsync("1 103", "1 200", "1 data 3 end", "1 closed", "room");
        await side.RequestAsync();
        await side.Peer.ExpectAsync("headers 3 end");
    }

    [Theory]
    [InlineData(":status: 101\n", false)]
    [InlineData(":status: 103\n", true)]
    [InlineData(":status: 20\n", false)]
    [InlineData("x: 1\n", false)]
    [InlineData(":status: 200\n:path: /\n", false)]
    [InlineData(":status: 200\nconnection: close\n", false)]
    [InlineData(":status: 200\ncontent-length: 1\n", true)]
    [InlineData(":status: 200\nX: 1\n", false)]
    public async Task A_malformed_response_is_reset_and_not_told(string fields, bool end)
    {
        using var side = await Http2Side.ClientAsync();
        await side.Exchanges.ExpectAsync("room");
        await side.RequestAsync();
        await side.Peer.ExpectAsync("headers 1 end");
        await side.Peer.SendAsync(Http2Peer.Headers(1, fields, end));
        await side.Peer.ExpectAsync("reset 1 ProtocolError");
        await side.Exchanges.ExpectAsync("1 closed Malformed ProtocolError", "room");
        Assert.True(side.Exchanges.IsQuiet);
    }

    [Theory]
    [InlineData("headers 2 EH ok", "BadStreamId", "ProtocolError")]
    [InlineData("headers 3 EH ok", "BadStreamId", "ProtocolError")]
    [InlineData("data 3 E 00", "FrameOnIdleStream", "ProtocolError")]
    [InlineData("pushpromise 1 H 00000002828684", "PushFromClient", "ProtocolError")]
    [InlineData("headers 1 EH ok|headers 1 EH ok", "FrameOnEndedStream", "StreamClosed")]
    [InlineData("headers 1 EH be", "CompressionFailed", "CompressionError")]
    public async Task It_ends_the_connection(string frames, string fault, string code)
    {
        using var side = await Http2Side.ClientAsync();
        await side.RequestAsync();
        await side.Peer.ExpectAsync("headers 1 end");
        await side.Peer.SendAsync(frames);
        await side.ExpectFaultAsync(Enum.Parse<Http2Fault>(fault), Enum.Parse<Http2ErrorCode>(code));
    }

    [Fact]
    public async Task Data_before_a_head_are_reset()
    {
        using var side = await Http2Side.ClientAsync();
        await side.RequestAsync();
        await side.Peer.ExpectAsync("headers 1 end");
        await side.Peer.SendAsync("data 1 E 00");
        await side.Peer.ExpectAsync("reset 1 ProtocolError");
    }

    [Fact]
    public async Task After_goaway_streams_above_the_last_are_refused_and_the_others_finish()
    {
        using var side = await Http2Side.ClientAsync();
        await side.Exchanges.ExpectAsync("room");
        for (var id = 1; id <= 5; id += 2)
        {
            await side.RequestAsync();
            await side.Peer.ExpectAsync($"headers {id} end");
        }

        await side.Peer.SendAsync("goaway 0 - 7fffffff00000000");
        await side.Exchanges.ExpectAsync("going");
        Assert.False(await side.Loop.On(() => side.Connection.CanOpen));
        await side.Peer.SendAsync("goaway 0 - 0000000100000000");
        await side.Exchanges.ExpectAsync("going", "3 closed Refused NoError", "5 closed Refused NoError");
        await side.Peer.SendAsync("headers 1 EH ok");
        await side.Exchanges.ExpectAsync("1 200 end", "1 closed");
        side.Peer.Socket.Finish();
        Assert.Equal(Http2EndKind.Closed, (await side.EndAsync()).Kind);
    }

    [Fact]
    public async Task A_stream_that_the_server_refuses_may_be_tried_again()
    {
        using var side = await Http2Side.ClientAsync();
        await side.Exchanges.ExpectAsync("room");
        await side.RequestAsync();
        await side.Peer.SendAsync("rststream 1 - 00000007");
        await side.Exchanges.ExpectAsync("1 closed Refused RefusedStream", "room");
    }

    [Fact]
    public async Task No_more_streams_are_opened_than_the_server_takes()
    {
        using var side = await Http2Side.ClientAsync(settings: Http2Peer.Setting(SettingId.MaxConcurrentStreams, 1));
        await side.Exchanges.ExpectAsync("room");
        await side.RequestAsync();
        Assert.False(await side.Loop.On(() => side.Connection.CanOpen));
        await side.Peer.ExpectAsync("headers 1 end");
        await side.Peer.SendAsync("headers 1 EH ok");
        await side.Exchanges.ExpectAsync("1 200 end", "1 closed", "room");
    }

    [Fact]
    public async Task A_limit_of_streams_that_is_raised_later_is_told()
    {
        using var side = await Http2Side.ClientAsync(settings: Http2Peer.Setting(SettingId.MaxConcurrentStreams, 0));
        Assert.False(await side.Loop.On(() => side.Connection.CanOpen));
        await side.Peer.SendAsync(Http2Peer.Setting(SettingId.MaxConcurrentStreams, 1));
        await side.Exchanges.ExpectAsync("room");
    }

    [Fact]
    public async Task A_request_that_the_server_would_not_take_is_not_sent()
    {
        using var side = await Http2Side.ClientAsync(settings: Http2Peer.Setting(SettingId.MaxHeaderListSize, 100));
        await side.Exchanges.ExpectAsync("room");
        await side.RequestAsync();
        await side.Exchanges.ExpectAsync("0 closed Malformed ProtocolError", "room");
        Assert.Empty(await side.Peer.SyncAsync());
    }

    [Fact]
    public async Task A_window_that_changes_before_a_request_is_sent_is_that_of_its_stream()
    {
        using var side = await Http2Side.ClientAsync();
        var stream = await side.Loop.On(() => side.Connection.Open(side.Exchanges));
        await side.Peer.SendAsync(Http2Peer.Setting(SettingId.InitialWindowSize, 3));
        await side.Peer.ExpectAsync("settings ack");
        await side.On(() =>
        {
            Http1.Messages.SendRequest(stream, "POST");
            Http1.Messages.Send(stream, "hello", end: true);
        });
        await side.Peer.ExpectAsync("headers 1", "data 1 3");
    }

    [Fact]
    public async Task A_reset_before_anything_was_sent_leaves_no_trace()
    {
        using var side = await Http2Side.ClientAsync();
        await side.On(() => side.Connection.Open(side.Exchanges).Reset(Http2ErrorCode.Cancel));
        Assert.Empty(await side.Peer.SyncAsync());
        await side.RequestAsync();
        await side.Peer.ExpectAsync("headers 1 end");
    }

    [Fact]
    public async Task A_drain_ends_with_the_last_stream()
    {
        using var side = await Http2Side.ClientAsync();
        await side.RequestAsync();
        await side.Peer.ExpectAsync("headers 1 end");
        await side.On(side.Connection.BeginDrain);
        Assert.False(await side.Loop.On(() => side.Connection.CanOpen));
        await side.Peer.SendAsync("headers 1 EH ok");
        side.Peer.Socket.Finish();
        Assert.Equal(Http2EndKind.Closed, (await side.EndAsync()).Kind);
    }

    [Fact]
    public async Task A_server_that_is_lost_loses_every_stream()
    {
        using var side = await Http2Side.ClientAsync();
        await side.Exchanges.ExpectAsync("room");
        await side.RequestAsync();
        await side.RequestAsync("POST", end: false);
        await side.Peer.ExpectAsync("headers 1 end", "headers 3");
        side.Peer.Socket.Dispose();
        await side.Exchanges.ExpectAsync("going", "1 closed ConnectionLost InternalError", "3 closed ConnectionLost InternalError");
    }

    [Fact]
    public async Task A_response_to_head_declares_what_it_does_not_have()
    {
        using var side = await Http2Side.ClientAsync();
        await side.Exchanges.ExpectAsync("room");
        await side.RequestAsync("HEAD");
        await side.Peer.SendAsync(Http2Peer.Headers(1, ":status: 200\ncontent-length: 5\n", end: true));
        await side.Exchanges.ExpectAsync("1 200 end", "1 closed");
    }

    [Fact]
    public async Task A_server_that_does_not_answer_a_ping_is_given_up()
    {
        var time = new ManualTime();
        using var side = await Http2Side.ClientAsync(new Http2Options { Role = Http2Role.Client, KeepAliveInterval = TimeSpan.FromSeconds(10) }, time);
        await side.WaitForAsync(() => side.Connection.CanOpen);
        await side.PassAsync(time, 10);
        await side.Peer.ExpectAsync("ping");
        await side.PassAsync(time, 3);
        Assert.Equal(new Http2End(Http2EndKind.KeepAliveTimeout, Http2Fault.None, IoStatus.TimedOut), await side.EndAsync());
    }
}
