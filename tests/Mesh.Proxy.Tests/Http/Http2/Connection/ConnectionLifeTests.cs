using Mesh.Proxy.Http.Http2;
using Mesh.Proxy.Native;
using Mesh.Testing;

namespace Mesh.Proxy.Tests.Http.Http2.Connection;

/// <summary>How connections are ended: drained, timed out, lost.</summary>
public sealed class ConnectionLifeTests
{
    [Fact]
    public async Task A_drain_says_so_twice_and_ends_with_the_last_stream()
    {
        var time = new ManualTime();
        using var side = await Http2Side.ServerAsync(time: time);
        await side.Peer.SendAsync("headers 1 EH get");
        await side.Exchanges.ExpectAsync("1 GET end");
        await side.On(side.Connection.BeginDrain);
        await side.Peer.ExpectAsync("goaway 2147483647 NoError");
        // Under way before the client has read of it.
        await side.Peer.SendAsync("headers 3 EH get");
        await side.Exchanges.ExpectAsync("3 GET end");
        await side.PassAsync(time, 1);
        await side.Peer.ExpectAsync("goaway 3 NoError");
        await side.Peer.SendAsync("headers 5 EH get");
        Assert.Equal(["reset 5 RefusedStream"], await side.Peer.SyncAsync());
        foreach (var id in new[] { 3, 1 })
        {
            await side.On(id, stream => Http1.Messages.Answer(stream, "ok"));
            await side.Peer.ExpectAsync($"headers {id}", $"data {id} 2 end");
            await side.Exchanges.ExpectAsync($"{id} closed");
        }

        side.Peer.Socket.Finish();
        Assert.Equal(Http2EndKind.Closed, (await side.EndAsync()).Kind);
        Assert.Equal("", await side.Peer.Socket.ReadToEndAsync());
    }

    [Fact]
    public async Task A_drain_with_nothing_under_way_ends_after_its_notice()
    {
        var time = new ManualTime();
        using var side = await Http2Side.ServerAsync(time: time);
        await side.On(side.Connection.BeginDrain);
        await side.Peer.ExpectAsync("goaway 2147483647 NoError");
        await side.PassAsync(time, 1);
        await side.Peer.ExpectAsync("goaway 0 NoError");
        side.Peer.Socket.Finish();
        Assert.Equal(Http2EndKind.Closed, (await side.EndAsync()).Kind);
    }

    [Theory]
    [InlineData("")]
    [InlineData("windowupdate 0 - 00000064")]
    [InlineData("headers 1 H post")]
    [InlineData("headers 1 - 82|continuation 1 - 86")]
    public async Task A_frame_that_is_begun_must_be_finished_in_time(string before)
    {
        var time = new ManualTime();
        using var side = await Http2Side.ServerAsync(time: time);
        // The connection looks after itself from time to time, not from the beginning of a frame on.
        await side.PassAsync(time, 20);
        await side.Peer.SyncAsync();
        // The beginning of a frame, which a buffer keeps.
        await side.Peer.SendAsync(Http2Peer.Frames(before), new byte[5]);
        await side.WaitForAsync(() => side.Loop.Loop.Buffers.Rented == 1);
        await side.PassAsync(time, 29);
        Assert.Equal(0, side.Peer.Socket.Socket.Available);
        await side.PassAsync(time, 1);
        await side.ExpectFaultAsync(Http2Fault.FrameTooSlow, Http2ErrorCode.EnhanceYourCalm);
    }

    [Fact]
    public async Task The_preface_must_come_in_time()
    {
        var time = new ManualTime();
        using var side = await Http2Side.BareAsync(time: time);
        await side.Peer.Socket.SendAsync("PRI * ");
        await side.Peer.ExpectAsync("settings", "window 0 16711681");
        await side.PassAsync(time, 30);
        await side.ExpectFaultAsync(Http2Fault.FrameTooSlow, Http2ErrorCode.EnhanceYourCalm);
    }

    [Fact]
    public async Task A_connection_without_requests_may_be_quiet_for_ever()
    {
        var time = new ManualTime();
        using var side = await Http2Side.ServerAsync(time: time, reacts: Exchanges.Answer);
        for (var i = 0; i < 10; i++)
        {
            await side.PassAsync(time, 60);
        }

        await side.Peer.SendAsync("headers 1 EH get");
        await side.Peer.ExpectAsync("headers 1 end");
    }

    [Fact]
    public async Task A_ping_that_is_not_answered_ends_the_connection()
    {
        var time = new ManualTime();
        using var side = await Http2Side.ServerAsync(KeepAlive, time);
        await side.Peer.SendAsync("headers 1 EH get");
        await side.Exchanges.ExpectAsync("1 GET end");
        await side.PassAsync(time, 10);
        await side.Peer.ExpectAsync("ping");
        await side.PassAsync(time, 3);
        await side.Exchanges.ExpectAsync("1 closed ConnectionLost InternalError");
        Assert.Equal(Http2EndKind.KeepAliveTimeout, (await side.EndAsync()).Kind);
    }

    [Fact]
    public async Task A_ping_that_is_answered_is_followed_by_the_next()
    {
        var time = new ManualTime();
        using var side = await Http2Side.ServerAsync(KeepAlive, time);
        for (var i = 0; i < 5; i++)
        {
            await side.PassAsync(time, 10);
            var ping = await side.Peer.ReadAsync();
            Assert.Equal("ping", ping.ToString());
            await side.Peer.SendAsync(Http2Peer.Frame(FrameType.Ping, FrameFlags.Ack, 0, ping.Payload));
            await side.Peer.SyncAsync();
        }
    }

    [Theory]
    [InlineData("", Http2EndKind.Closed)]
    [InlineData("headers 1 EH get", Http2EndKind.Lost)]
    public async Task An_end_with_requests_under_way_is_a_loss(string before, object kind)
    {
        using var side = await Http2Side.ServerAsync();
        if (before.Length > 0)
        {
            await side.Peer.SendAsync(before);
            await side.Exchanges.ExpectAsync("1 GET end");
        }

        side.Peer.Socket.Finish();
        if (before.Length > 0) await side.Exchanges.ExpectAsync("1 closed ConnectionLost InternalError");
        Assert.Equal((Http2EndKind)kind, (await side.EndAsync()).Kind);
    }

    [Fact]
    public async Task An_end_within_a_frame_is_a_loss()
    {
        using var side = await Http2Side.ServerAsync();
        await side.Peer.Socket.SendAsync(new byte[5]);
        side.Peer.Socket.Finish();
        Assert.Equal(Http2EndKind.Lost, (await side.EndAsync()).Kind);
    }

    [Fact]
    public async Task Stopping_loses_the_streams_and_what_they_hold()
    {
        using var side = await Http2Side.ServerAsync(settings: Http2Peer.Setting(SettingId.InitialWindowSize, 0));
        await side.Peer.SendAsync("headers 1 EH get");
        await side.Exchanges.ExpectAsync("1 GET end");
        await side.On(1, stream => Http1.Messages.Answer(stream, new string('x', 100_000)));
        await side.On(side.Connection.Stop);
        await side.Exchanges.ExpectAsync("1 closed Stopped InternalError");
        Assert.Equal(Http2EndKind.Stopped, (await side.EndAsync()).Kind);
        Assert.Equal(0, await side.Loop.On(() => side.Loop.Loop.Buffers.Rented));
    }

    private static Http2Options KeepAlive => new() { Role = Http2Role.Server, KeepAliveInterval = TimeSpan.FromSeconds(10), KeepAliveTimeout = TimeSpan.FromSeconds(3) };
}
