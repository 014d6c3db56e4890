using Mesh.Proxy.Http;
using Mesh.Proxy.Http.Http2;

namespace Mesh.Proxy.Tests.Http.Http2.Connection;

/// <summary>A malformed request is reset, nothing of it is told, and the connection goes on (RFC 9113 section 8.1.1).</summary>
public sealed class ServerMessageTests
{
    private const string Get = ":method: GET\n:scheme: http\n:authority: a\n:path: /\n";
    private const string Post = ":method: POST\n:scheme: http\n:authority: a\n:path: /\n";

    [Theory]
    [InlineData(Get + "X-Name: 1\n", "BadFieldName")]
    [InlineData(Get + "x name: 1\n", "BadFieldName")]
    [InlineData(Get + "x-name: a\rb\n", "BadFieldValue")]
    [InlineData(Get + "x-name:  a\n", "BadFieldValue")]
    [InlineData(Get + "connection: close\n", "ConnectionSpecificField")]
    [InlineData(Get + "keep-alive: 1\n", "ConnectionSpecificField")]
    [InlineData(Get + "proxy-connection: close\n", "ConnectionSpecificField")]
    [InlineData(Get + "transfer-encoding: chunked\n", "ConnectionSpecificField")]
    [InlineData(Get + "upgrade: h2c\n", "ConnectionSpecificField")]
    [InlineData(Get + "te: gzip\n", "BadTe")]
    [InlineData(Get + "te: trailers, deflate\n", "BadTe")]
    [InlineData(":scheme: http\n:authority: a\n:path: /\n", "MissingPseudoField")]
    [InlineData(":method: GET\n:authority: a\n:path: /\n", "MissingPseudoField")]
    [InlineData(":method: GET\n:scheme: http\n:authority: a\n", "MissingPseudoField")]
    [InlineData(":method: GET\n:scheme: http\n:authority: a\n:path: \n", "BadPath")]
    [InlineData(Get + ":path: /\n", "DuplicatePseudoField")]
    [InlineData(":method: GET\n" + Get, "DuplicatePseudoField")]
    [InlineData(":scheme: http\n" + Get, "DuplicatePseudoField")]
    [InlineData("x: 1\n" + Get, "PseudoFieldAfterFields")]
    [InlineData(Get + ":status: 200\n", "UnknownPseudoField")]
    [InlineData(Get + ":test: 1\n", "UnknownPseudoField")]
    [InlineData(Get + ":protocol: websocket\n", "UnknownPseudoField")]
    [InlineData(Get + "host: b\n", "HostDisagreesWithAuthority")]
    [InlineData(Get + "content-length: 1\n", "ContentLengthDisagreesWithBody")]
    [InlineData(Get + "content-length: 0\ncontent-length: 0\n", "BadContentLength")]
    [InlineData(Get + "content-length: +0\n", "BadContentLength")]
    [InlineData(":method: CONNECT\n:authority: a:80\n:path: /\n", "BadConnect")]
    [InlineData(":method: CONNECT\n:authority: a\n", "BadAuthority")]
    public async Task A_malformed_head_is_reset_and_not_told(string fields, string fault)
    {
        var faults = new List<Http2Fault>();
        using var side = await Http2Side.ServerAsync(new Http2Options { Role = Http2Role.Server, Faulted = faults.Add });
        await side.Peer.SendAsync(Http2Peer.Headers(1, fields, end: true));
        Assert.Equal(["reset 1 ProtocolError"], await side.Peer.SyncAsync());
        Assert.True(side.Exchanges.IsQuiet);
        Assert.Equal([Enum.Parse<Http2Fault>(fault)], faults);
        await side.Peer.SendAsync(Http2Peer.Headers(3, Get, end: true));
        await side.Exchanges.ExpectAsync("3 GET end");
    }

    [Theory]
    [InlineData(3, new[] { 2, 2 })]
    [InlineData(3, new[] { 2 })]
    [InlineData(0, new[] { 1 })]
    public async Task A_body_that_is_not_as_long_as_declared_is_reset(int declared, int[] pieces)
    {
        using var side = await Http2Side.ServerAsync();
        await side.Peer.SendAsync(Http2Peer.Headers(1, Post + $"content-length: {declared}\n", end: false));
        for (var i = 0; i < pieces.Length; i++) await side.Peer.SendAsync(Http2Peer.Data(1, pieces[i], end: i == pieces.Length - 1));
        Assert.Equal(["reset 1 ProtocolError"], await side.Peer.SyncAsync());
        var last = "";
        while (!side.Exchanges.IsQuiet) last = await side.Exchanges.NextAsync();
        Assert.Equal("1 closed Malformed ProtocolError", last);
    }

    [Theory]
    [InlineData("x-sum: 1\n", false)]
    [InlineData(":path: /\n", true)]
    [InlineData("x-sum: 1\n:status: 200\n", true)]
    [InlineData("content-length: 1\n", true)]
    [InlineData("transfer-encoding: chunked\n", true)]
    [InlineData("X-Sum: 1\n", true)]
    public async Task Malformed_trailers_are_reset(string trailers, bool end)
    {
        using var side = await Http2Side.ServerAsync();
        await side.Peer.SendAsync(Http2Peer.Headers(1, Post, end: false), Http2Peer.Headers(1, trailers, end));
        Assert.Equal(["reset 1 ProtocolError"], await side.Peer.SyncAsync());
        await side.Exchanges.ExpectAsync("1 POST", "1 closed Malformed ProtocolError");
    }

    [Fact]
    public async Task Trailers_that_come_before_the_declared_length_are_reset()
    {
        using var side = await Http2Side.ServerAsync();
        await side.Peer.SendAsync(Http2Peer.Headers(1, Post + "content-length: 2\n", end: false), Http2Peer.Data(1, 1, end: false), Http2Peer.Headers(1, "x-sum: 1\n", end: true));
        Assert.Equal(["reset 1 ProtocolError"], await side.Peer.SyncAsync());
        await side.Exchanges.ExpectAsync("1 POST", "1 data 1", "1 closed Malformed ProtocolError");
    }

    [Fact]
    public async Task A_whole_exchange_with_trailers_both_ways()
    {
        using var side = await Http2Side.ServerAsync();
        await side.Peer.SendAsync(Http2Peer.Headers(1, Post + "te: trailers\ncontent-length: 3\n", end: false), Http2Peer.Data(1, 3, end: false), Http2Peer.Headers(1, "x-sum: 1\n", end: true));
        await side.Exchanges.ExpectAsync("1 POST", "1 data 3", "1 trailers");
        Assert.Equal("x-sum: 1\n", side.Exchanges.Fields);
        await side.On(1, stream =>
        {
            Http1.Messages.SendResponse(stream, 103);
            Http1.Messages.SendResponse(stream, 200, "x: 1\n");
            Http1.Messages.Send(stream, "hi");
            stream.SendTrailers(HeaderBlockText.Block("x-sum: 2\n"));
        });
        Assert.Equal(":status: 103\n", await side.Peer.HeadAsync(1));
        Assert.Equal(":status: 200\nx: 1\n", await side.Peer.HeadAsync(1));
        await side.Peer.ExpectAsync("data 1 2");
        Assert.Equal("x-sum: 2\nend", await side.Peer.HeadAsync(1));
        await side.Exchanges.ExpectAsync("1 closed");
        Assert.Equal(0, await side.Loop.On(() => side.Connection.StreamCount));
    }

    [Fact]
    public async Task A_field_list_beyond_the_limit_costs_its_stream_only_and_the_tables_stay_the_same()
    {
        using var side = await Http2Side.ServerAsync();
        var block = Http2Peer.Block(Get + string.Concat(Enumerable.Range(0, HttpLimits.MaxListFields + 1).Select(i => $"x-{i}: 1\n")));
        // Behind all of it a field that goes into the table, and a request that uses it.
        await side.Peer.SendAsync(Http2Peer.Frame(FrameType.Headers, FrameFlags.EndHeaders | FrameFlags.EndStream, 1, [.. block, .. Convert.FromHexString("400179017a")]));
        Assert.Equal(["reset 1 ProtocolError"], await side.Peer.SyncAsync());
        await side.Peer.SendAsync(Http2Peer.Frame(FrameType.Headers, FrameFlags.EndHeaders | FrameFlags.EndStream, 3, [.. Http2Peer.Block(Get), 0xbe]));
        await side.Exchanges.ExpectAsync("3 GET end");
        Assert.Contains("y: z\n", side.Exchanges.Fields, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Streams_beyond_the_limit_are_refused_and_one_that_ends_makes_room()
    {
        using var side = await Http2Side.ServerAsync(new Http2Options { Role = Http2Role.Server, MaxConcurrentStreams = 2 });
        for (var id = 1; id <= 7; id += 2) await side.Peer.SendAsync(Http2Peer.Headers(id, Get, end: true));
        Assert.Equal(["reset 5 RefusedStream", "reset 7 RefusedStream"], await side.Peer.SyncAsync());
        await side.Exchanges.ExpectAsync("1 GET end", "3 GET end");
        await side.On(1, stream => Http1.Messages.SendResponse(stream, 204, end: true));
        await side.Peer.ExpectAsync("headers 1 end");
        await side.Exchanges.ExpectAsync("1 closed");
        await side.Peer.SendAsync(Http2Peer.Headers(9, Get, end: true));
        await side.Exchanges.ExpectAsync("9 GET end");
    }

    [Fact]
    public async Task A_stream_that_the_client_resets_is_told_with_its_code()
    {
        using var side = await Http2Side.ServerAsync();
        await side.Peer.SendAsync(Http2Peer.Headers(1, Post, end: false), Http2Peer.Frames("rststream 1 - 00000008"));
        await side.Exchanges.ExpectAsync("1 POST", "1 closed ResetByPeer Cancel");
    }

    [Fact]
    public async Task Extended_connect_is_taken_when_it_was_announced()
    {
        using var side = await Http2Side.ServerAsync(new Http2Options { Role = Http2Role.Server, Connect = ConnectForm.Extended });
        await side.Peer.SendAsync(Http2Peer.Headers(1, ":method: CONNECT\n:protocol: websocket\n:scheme: http\n:authority: a\n:path: /\n", end: false));
        await side.Exchanges.ExpectAsync("1 CONNECT");
    }
}
