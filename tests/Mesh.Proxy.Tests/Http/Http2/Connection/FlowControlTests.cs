using Mesh.Proxy.Http;
using Mesh.Proxy.Http.Http2;

namespace Mesh.Proxy.Tests.Http.Http2.Connection;

/// <summary>Windows of streams and of the connection, both ways (RFC 9113 sections 5.2 and 6.9).</summary>
public sealed class FlowControlTests
{
    private const int Window = 256 * 1024;

    private static readonly byte[] _bulk = new byte[1024 * 1024];

    [Fact]
    public async Task Nothing_is_sent_beyond_the_window_of_the_stream()
    {
        using var side = await Http2Side.ServerAsync(settings: Http2Peer.Setting(SettingId.InitialWindowSize, 10));
        await RespondAsync(side, 1, 25);
        await side.Peer.ExpectAsync("headers 1", "data 1 10");
        Assert.Empty(await side.Peer.SyncAsync());
        await side.Peer.SendAsync(Http2Peer.Window(1, 14));
        await side.Peer.ExpectAsync("data 1 14");
        Assert.Empty(await side.Peer.SyncAsync());
        await side.Peer.SendAsync(Http2Peer.Window(1, 1));
        await side.Peer.ExpectAsync("data 1 1 end");
        await side.Exchanges.ExpectAsync("1 GET end", "1 closed");
        Assert.Equal(25, side.Exchanges.Sent);
    }

    [Fact]
    public async Task Nothing_is_sent_beyond_the_window_of_the_connection()
    {
        using var side = await Http2Side.ServerAsync(settings: Http2Peer.Setting(SettingId.InitialWindowSize, 1_000_000));
        await RespondAsync(side, 1, 100_000);
        await side.Peer.ExpectAsync("headers 1", "data 1 16384", "data 1 16384", "data 1 16384", "data 1 16383");
        // The stream has room, the connection has not; a head needs none.
        await RespondAsync(side, 3, 1);
        await side.Peer.ExpectAsync("headers 3");
        Assert.Empty(await side.Peer.SyncAsync());
        await side.Peer.SendAsync(Http2Peer.Window(0, 100_000));
        Assert.Equal(["data 1 16384", "data 3 1 end", "data 1 16384", "data 1 1697 end"], await side.Peer.SyncAsync());
    }

    [Fact]
    public async Task A_window_that_a_setting_made_negative_must_be_filled_up_first()
    {
        using var side = await Http2Side.ServerAsync(settings: Http2Peer.Setting(SettingId.InitialWindowSize, 100));
        await RespondAsync(side, 1, 120);
        await side.Peer.ExpectAsync("headers 1", "data 1 100");
        await side.Peer.SendAsync(Http2Peer.Setting(SettingId.InitialWindowSize, 40), Http2Peer.Window(1, 60));
        Assert.Equal(["settings ack"], await side.Peer.SyncAsync());
        await side.Peer.SendAsync(Http2Peer.Window(1, 5));
        Assert.Equal(["data 1 5"], await side.Peer.SyncAsync());
        await side.Peer.SendAsync(Http2Peer.Setting(SettingId.InitialWindowSize, 55));
        Assert.Equal(["settings ack", "data 1 15 end"], await side.Peer.SyncAsync());
    }

    [Fact]
    public async Task A_window_of_nothing_holds_data_but_neither_heads_nor_ends()
    {
        using var side = await Http2Side.ServerAsync(settings: Http2Peer.Setting(SettingId.InitialWindowSize, 0));
        await RespondAsync(side, 1, 0);
        await side.Peer.ExpectAsync("headers 1", "data 1 0 end");
        await side.Peer.SendAsync("headers 3 EH get");
        await side.WaitForAsync(() => side.Exchanges.Streams.ContainsKey(3));
        await side.On(3, stream =>
        {
            Http1.Messages.SendResponse(stream, 200);
            stream.SendData("ab"u8, end: false);
            stream.SendTrailers(HeaderBlockText.Block("x: 1\n"));
        });
        await side.Peer.ExpectAsync("headers 3");
        Assert.Empty(await side.Peer.SyncAsync());
        await side.Peer.SendAsync(Http2Peer.Setting(SettingId.InitialWindowSize, 2));
        await side.Peer.ExpectAsync("settings ack", "data 3 2", "headers 3 end");
    }

    [Fact]
    public async Task Frames_are_small_whatever_size_the_peer_takes()
    {
        using var side = await Http2Side.ServerAsync(settings: Http2Peer.Setting(SettingId.MaxFrameSize, 1024 * 1024));
        await RespondAsync(side, 1, 20_000);
        await side.Peer.ExpectAsync("headers 1", "data 1 16384", "data 1 3616 end");
    }

    [Fact]
    public async Task The_peer_may_not_send_beyond_the_window_of_the_stream()
    {
        using var side = await Http2Side.ServerAsync();
        side.Exchanges.Consumes = false;
        await side.Peer.SendAsync("headers 1 H post|headers 3 H post");
        for (var i = 0; i < Window / 16384; i++) await side.Peer.SendAsync(Http2Peer.Data(1, 16384, end: false));
        Assert.Empty(await side.Peer.SyncAsync());
        await side.Peer.SendAsync(Http2Peer.Data(1, 1, end: false));
        Assert.Equal(["reset 1 FlowControlError"], await side.Peer.SyncAsync());
        // Its neighbour goes on.
        await side.Peer.SendAsync(Http2Peer.Data(3, 5, end: true));
        while (await side.Exchanges.NextAsync() is var what && what != "3 data 5 end") Assert.NotEqual("3 closed", what);
        Assert.Equal(Window + 5, side.Exchanges.Received);
    }

    [Fact]
    public async Task Padding_counts_against_the_window_and_is_given_back()
    {
        using var side = await Http2Side.ServerAsync();
        await side.Peer.SendAsync("headers 1 H post");
        var sent = 0;
        var updates = new List<string>();
        // Half of the window in frames that are nearly all padding.
        for (; sent < Window / 2; sent += 256) await side.Peer.SendAsync(Http2Peer.Frame(FrameType.Data, FrameFlags.Padded, 1, [254, .. new byte[255]]));
        updates.AddRange(await side.Peer.SyncAsync());
        Assert.Equal([$"window 1 {sent}"], updates);
        Assert.Equal(sent / 256, side.Exchanges.Received);
    }

    [Fact]
    public async Task The_window_of_a_stream_opens_again_by_what_was_consumed()
    {
        using var side = await Http2Side.ServerAsync();
        side.Exchanges.Consumes = false;
        await side.Peer.SendAsync("headers 1 H post");
        for (var i = 0; i < Window / 16384; i++) await side.Peer.SendAsync(Http2Peer.Data(1, 16384, end: false));
        Assert.Empty(await side.Peer.SyncAsync());
        await side.On(1, stream => stream.Consumed(Window / 2 - 1));
        Assert.Empty(await side.Peer.SyncAsync());
        await side.On(1, stream => stream.Consumed(1));
        Assert.Equal([$"window 1 {Window / 2}"], await side.Peer.SyncAsync());
    }

    [Fact]
    public async Task A_stream_whose_reader_does_not_read_does_not_stall_its_neighbours()
    {
        using var side = await Http2Side.ServerAsync();
        side.Exchanges.Consumes = false;
        side.Exchanges.Reacts = (stream, what) =>
        {
            if (stream.Id == 3 && what.StartsWith("data", StringComparison.Ordinal)) stream.Consumed(int.Parse(what.Split(' ')[1], System.Globalization.CultureInfo.InvariantCulture));
        };
        await side.Peer.SendAsync("headers 1 H post|headers 3 H post");
        for (var i = 0; i < Window / 16384; i++) await side.Peer.SendAsync(Http2Peer.Data(1, 16384, end: false));
        // More than the window of the connection goes by on the other.
        var left = 20 * 1024 * 1024;
        int stream3 = Window, connection = 16 * 1024 * 1024 - Window;
        while (left > 0)
        {
            while (stream3 < 16384 || connection < 16384)
            {
                var frame = await side.Peer.ReadAsync();
                Assert.Equal(FrameType.WindowUpdate, frame.Type);
                Assert.NotEqual(1, frame.Id);
                if (frame.Id == 3) stream3 += frame.Number;
                else connection += frame.Number;
            }

            await side.Peer.SendAsync(Http2Peer.Data(3, 16384, end: left == 16384));
            (left, stream3, connection) = (left - 16384, stream3 - 16384, connection - 16384);
        }

        await side.WaitForAsync(() => side.Exchanges.Received == Window + 20 * 1024 * 1024);
    }

    [Fact]
    public async Task When_too_much_is_held_the_connection_is_not_opened_further()
    {
        const int Held = 128 * 1024;
        using var side = await Http2Side.BareAsync(new Http2Options { Role = Http2Role.Server, MaxHeld = Held });
        side.Exchanges.Consumes = false;
        await side.Peer.SendAsync(FrameHeader.Preface.ToArray(), Http2Peer.Frames("settings 0 -|headers 1 H post|headers 3 H post"));
        await side.Peer.ExpectAsync("settings", $"window 0 {Held - FlowWindow.Default}", "settings ack");
        // The first half opens the window again; then more is held than may be.
        for (var i = 0; i < 4; i++) await side.Peer.SendAsync(Http2Peer.Data(1, 16384, end: false));
        Assert.Equal([$"window 0 {Held / 2}"], await side.Peer.SyncAsync());
        for (var i = 0; i < 8; i++) await side.Peer.SendAsync(Http2Peer.Data(1, 16384, end: false));
        var updates = await side.Peer.SyncAsync();
        await side.Peer.SendAsync(Http2Peer.Data(3, 16384, end: false));
        Assert.Empty(await side.Peer.SyncAsync());
        await side.On(1, stream => stream.Consumed(8 * 16384));
        Assert.Contains(await side.Peer.SyncAsync(), f => f.StartsWith("window 0", StringComparison.Ordinal));
        Assert.InRange(updates.Count, 0, 1);
    }

    [Fact]
    public async Task The_peer_may_not_send_beyond_the_window_of_the_connection()
    {
        const int Held = 128 * 1024;
        using var side = await Http2Side.BareAsync(new Http2Options { Role = Http2Role.Server, MaxHeld = Held });
        side.Exchanges.Consumes = false;
        await side.Peer.SendAsync(FrameHeader.Preface.ToArray(), Http2Peer.Frames("settings 0 -|headers 1 H post|headers 3 H post"));
        // Twice what may be held is beyond any window that can have been given.
        for (var i = 0; i < 16; i++) await side.Peer.SendAsync(Http2Peer.Data(i < 8 ? 1 : 3, 16384, end: false));
        await side.Peer.SendAsync(Http2Peer.Data(3, 16384, end: false));
        await side.ExpectFaultAsync(Http2Fault.ConnectionWindowExceeded, Http2ErrorCode.FlowControlError);
    }

    [Fact]
    public async Task What_comes_for_streams_that_are_gone_opens_the_connection_again()
    {
        const int Held = 128 * 1024;
        using var side = await Http2Side.BareAsync(new Http2Options { Role = Http2Role.Server, MaxHeld = Held });
        side.Exchanges.Reacts = (stream, _) => stream.Reset(Http2ErrorCode.Cancel);
        await side.Peer.SendAsync(FrameHeader.Preface.ToArray(), Http2Peer.Frames("settings 0 -|headers 1 H post"));
        for (var i = 0; i < 40; i++)
        {
            await side.Peer.SendAsync(Http2Peer.Data(1, 16384, end: false));
            await side.Peer.SyncAsync();
        }
    }

    [Fact]
    public async Task A_small_response_gets_through_while_large_ones_are_under_way()
    {
        using var side = await Http2Side.ServerAsync(settings: Http2Peer.Setting(SettingId.InitialWindowSize, 10_000_000));
        await side.Peer.SendAsync(Http2Peer.Window(0, 100_000_000));
        // More than the queue and the sockets hold, so that it waits for this reader.
        for (var id = 1; id <= 5; id += 2)
        {
            await side.Peer.SendAsync($"headers {id} EH get");
            await side.Exchanges.ExpectAsync($"{id} GET end");
            await side.On(id, stream =>
            {
                Http1.Messages.SendResponse(stream, 200);
                for (var i = 0; i < 8; i++) stream.SendData(_bulk, end: i == 7);
            });
        }

        await side.Peer.SendAsync("headers 7 EH get");
        await side.Exchanges.ExpectAsync("7 GET end");
        await side.On(7, stream =>
        {
            Http1.Messages.SendResponse(stream, 200);
            stream.SendData(new byte[100], end: true);
        });
        var before = 0L;
        var shares = new Dictionary<int, long>();
        for (var ended = 0; ended < 4;)
        {
            var frame = await side.Peer.ReadAsync();
            if (frame.Type != FrameType.Data) continue;
            if (frame.Ends) ended++;
            if (frame is { Id: 7, Ends: true }) before = shares.Values.Sum();
            shares[frame.Id] = shares.GetValueOrDefault(frame.Id) + frame.Payload.Length;
        }

        Assert.Equal([8 * _bulk.Length, 8 * _bulk.Length, 8 * _bulk.Length, 100], shares.OrderBy(s => s.Key).Select(s => s.Value));
        Assert.InRange(before, 1, 20L * _bulk.Length);
    }

    private static async Task RespondAsync(Http2Side side, int id, int length)
    {
        await side.Peer.SendAsync($"headers {id} EH get");
        await side.WaitForAsync(() => side.Exchanges.Streams.ContainsKey(id));
        await side.On(id, stream =>
        {
            Http1.Messages.SendResponse(stream, 200);
            stream.SendData(_bulk.AsSpan(0, length), end: true);
        });
    }
}
