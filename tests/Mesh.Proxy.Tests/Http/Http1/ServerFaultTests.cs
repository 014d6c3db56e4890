using System.Net.Sockets;
using Mesh.Proxy.Http.Http1;
using Mesh.Proxy.Http.Streams;
using Mesh.Testing;

namespace Mesh.Proxy.Tests.Http.Http1;

/// <summary>Clients that are wrong, slow, gone, or not wanted any more.</summary>
public sealed class ServerFaultTests
{
    private const string Get = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n";

    [Theory]
    [InlineData("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n", 400, Http1Fault.ContentLengthWithTransferEncoding)]
    [InlineData("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501, Http1Fault.UnsupportedTransferEncoding)]
    [InlineData("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n", 501, Http1Fault.UnsupportedTransferEncoding)]
    [InlineData("POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 400, Http1Fault.TransferEncodingInHttp10)]
    [InlineData("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n", 400, Http1Fault.SeveralContentLengths)]
    [InlineData("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +5\r\n\r\n", 400, Http1Fault.BadContentLength)]
    [InlineData("GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n folded\r\n\r\n", 400, Http1Fault.LineFolding)]
    [InlineData("GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400, Http1Fault.SpaceBeforeColon)]
    [InlineData("GET / HTTP/1.1\nHost: a\n\n", 400, Http1Fault.BareLineFeed)]
    [InlineData("GET / HTTP/1.1\r\nHost: a\r\nX: \r1\r\n\r\n", 400, Http1Fault.BareCarriageReturn)]
    [InlineData("GET / HTTP/1.1\r\n\r\n", 400, Http1Fault.MissingHost)]
    [InlineData("GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", 400, Http1Fault.HostDisagreesWithTarget)]
    [InlineData("GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505, Http1Fault.UnsupportedVersion)]
    [InlineData("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400, Http1Fault.MalformedRequestLine)]
    public async Task A_malformed_request_is_answered_and_nothing_of_it_is_passed_on(string request, int status, object fault)
    {
        foreach (var piece in new[] { request.Length + Get.Length, 1 })
        {
            using var side = await ServerSide.StartAsync();
            var text = request + Get;
            for (var at = 0; at < text.Length; at += piece) await side.Client.SendAsync(text.Substring(at, Math.Min(piece, text.Length - at)));
            var answer = await side.Client.ReadToEndAsync();
            var sentence = Http1Faults.Sentence((Http1Fault)fault);
            Assert.StartsWith($"HTTP/1.1 {status} ", answer, StringComparison.Ordinal);
            Assert.EndsWith($"l5d-proxy-error: {sentence}\r\ncontent-length: {sentence.Length + 1}\r\nconnection: close\r\n\r\n{sentence}\n", answer, StringComparison.Ordinal);
            side.Client.Finish();
            Assert.Equal(new Http1End(Http1EndKind.Malformed, (Http1Fault)fault), await side.EndAsync());
            Assert.True(side.Requests.IsQuiet);
        }
    }

    [Fact]
    public async Task Heads_have_a_largest_size()
    {
        foreach (var (request, status) in new[]
        {
            ("GET /" + new string('x', 9_000), 414),
            ("GET / HTTP/1.1\r\nHost: a\r\nX: " + new string('x', 17_000), 431),
            ("GET / HTTP/1.1\r\nHost: a\r\n" + string.Concat(Enumerable.Repeat("X: " + new string('x', 10_000) + "\r\n", 4)), 431),
            ("GET / HTTP/1.1\r\nHost: a\r\n" + string.Concat(Enumerable.Repeat("X: 1\r\n", 101)), 431),
        })
        {
            using var side = await ServerSide.StartAsync();
            await side.Client.SendAsync(request);
            Assert.StartsWith($"HTTP/1.1 {status} ", await side.Client.ReadToEndAsync(), StringComparison.Ordinal);
            Assert.True(side.Requests.IsQuiet);
        }
    }

    [Fact]
    public async Task A_malformed_request_behind_a_good_one_leaves_that_its_answer()
    {
        using var side = await ServerSide.StartAsync(reacts: ServerSide.Echo);
        await side.Client.SendAsync(Get + "GET / HTTP/1.1\r\n\r\n" + Get);
        var answer = await side.Client.ReadToEndAsync();
        Assert.StartsWith("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n/xHTTP/1.1 400 ", answer, StringComparison.Ordinal);
        Assert.Equal("GET /x end", await side.Requests.NextAsync());
        Assert.Equal("closed None", await side.Requests.NextAsync());
        Assert.True(side.Requests.IsQuiet);
    }

    [Fact]
    public async Task A_malformed_body_ends_the_exchange_and_is_answered_if_nothing_has_been()
    {
        foreach (var answered in new[] { false, true })
        {
            using var side = await ServerSide.StartAsync();
            await side.Client.SendAsync("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n");
            Assert.Equal("POST /", await side.Requests.NextAsync());
            Assert.Equal("data ab", await side.Requests.NextAsync());
            if (answered) await side.On(stream => stream.SendResponse(200));
            await side.Client.SendAsync("2;x=y\r\nab\r\n0\r\n\r\n" + Get);
            Assert.Equal("closed Malformed", await side.Requests.NextAsync());
            var text = await side.Client.ReadToEndAsync();
            if (answered) Assert.EndsWith("reset", text, StringComparison.Ordinal);
            else Assert.StartsWith("HTTP/1.1 400 ", text, StringComparison.Ordinal);
            side.Client.Dispose();
            Assert.Equal(new Http1End(Http1EndKind.Malformed, Http1Fault.ChunkExtension), await side.EndAsync());
            Assert.True(side.Requests.IsQuiet);
        }
    }

    [Fact]
    public async Task A_head_has_its_time_from_the_first_byte_on()
    {
        var time = new ManualTime();
        using var side = await ServerSide.StartAsync(time: time, reacts: ServerSide.Echo);
        // Between requests there is no limit.
        time.Advance(TimeSpan.FromHours(1));
        await side.Client.SendAsync(Get);
        await side.Client.ReadUntilAsync("/x");
        time.Advance(TimeSpan.FromHours(1));
        await side.Client.SendAsync("G");
        await side.WaitUntilRentedAsync(1);
        time.Advance(TimeSpan.FromSeconds(20));
        // More bytes give no more time.
        await side.Client.SendAsync("ET / HTTP/1.1\r\n");
        await side.WaitUntilRentedAsync(0);
        await side.Client.SendAsync("Ho");
        await side.WaitUntilRentedAsync(1);
        time.Advance(TimeSpan.FromSeconds(11));
        Assert.StartsWith("HTTP/1.1 408 Request Timeout\r\n", await side.Client.ReadToEndAsync(), StringComparison.Ordinal);
        side.Client.Finish();
        Assert.Equal(new Http1End(Http1EndKind.HeadTimeout), await side.EndAsync());
    }

    [Fact]
    public async Task An_idle_connection_can_have_a_limit()
    {
        var time = new ManualTime();
        using var side = await ServerSide.StartAsync(new Http1Options { IdleTimeout = TimeSpan.FromSeconds(10) }, time);
        await side.Client.SendAsync(Get);
        await side.Requests.NextAsync();
        // An exchange is not idle, however long it takes.
        time.Advance(TimeSpan.FromSeconds(100));
        await side.On(stream => stream.Answer("ok"));
        await side.Client.ReadUntilAsync("ok");
        // The answer can be here before the connection counts as idle there.
        await side.TurnsAsync(1);
        time.Advance(TimeSpan.FromSeconds(11));
        Assert.Equal("", await side.Client.ReadToEndAsync());
        Assert.Equal(new Http1End(Http1EndKind.IdleTimeout), await side.EndAsync());
    }

    [Theory]
    [InlineData("")]
    [InlineData("GET /next")]
    public async Task A_client_that_resets_is_noticed_while_nothing_is_read_from_it(string pipelined)
    {
        using var side = await ServerSide.StartAsync();
        await side.Client.SendAsync(Get + pipelined);
        Assert.Equal("GET /x end", await side.Requests.NextAsync());
        side.Client.Socket.LingerState = new LingerOption(true, 0);
        side.Client.Dispose();
        Assert.Equal("closed ResetByPeer", await side.Requests.NextAsync());
        Assert.Equal(Http1EndKind.Reset, (await side.EndAsync()).Kind);
    }

    [Fact]
    public async Task A_client_that_has_said_its_end_still_gets_its_answer()
    {
        using var side = await ServerSide.StartAsync();
        await side.Client.SendAsync(Get);
        side.Client.Finish();
        Assert.Equal("GET /x end", await side.Requests.NextAsync());
        await side.On(_ => { });
        Assert.True(side.Requests.IsQuiet);
        await side.On(stream => stream.Answer("late"));
        Assert.EndsWith("\r\n\r\nlate", await side.Client.ReadToEndAsync(), StringComparison.Ordinal);
        Assert.Equal(new Http1End(Http1EndKind.PeerLeft), await side.EndAsync());
    }

    [Theory]
    [InlineData("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab")]
    [InlineData("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab")]
    public async Task A_request_that_breaks_off_is_lost(string request)
    {
        using var side = await ServerSide.StartAsync();
        await side.Client.SendAsync(request);
        Assert.Equal("POST /", await side.Requests.NextAsync());
        Assert.Equal("data ab", await side.Requests.NextAsync());
        side.Client.Finish();
        Assert.Equal("closed ConnectionLost", await side.Requests.NextAsync());
        Assert.Equal(Http1EndKind.BrokenOff, (await side.EndAsync()).Kind);
    }

    [Fact]
    public async Task A_head_that_breaks_off_is_nobodys_request()
    {
        using var side = await ServerSide.StartAsync();
        await side.Client.SendAsync("GET / HTTP/1.1\r\nHost: a\r\n");
        side.Client.Finish();
        Assert.Equal(Http1EndKind.BrokenOff, (await side.EndAsync()).Kind);
        Assert.True(side.Requests.IsQuiet);
    }

    [Fact]
    public async Task An_answer_before_the_end_of_the_request_leaves_the_connection_if_that_end_comes()
    {
        using var side = await ServerSide.StartAsync();
        await side.Client.SendAsync("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n");
        Assert.Equal("POST /", await side.Requests.NextAsync());
        Assert.Equal("data ab", await side.Requests.NextAsync());
        await side.On(stream => stream.Answer("early"));
        Assert.Equal("closed None", await side.Requests.NextAsync());
        Assert.EndsWith("content-length: 5\r\n\r\nearly", await side.Client.ReadUntilAsync("early"), StringComparison.Ordinal);
        await side.Client.SendAsync("2\r\ncd\r\n0\r\nx: y\r\n\r\n" + Get);
        Assert.Equal("GET /x end", await side.Requests.NextAsync());
    }

    [Fact]
    public async Task A_refusal_of_a_request_that_is_still_sent_says_that_the_connection_closes()
    {
        var time = new ManualTime();
        using var side = await ServerSide.StartAsync(time: time);
        await side.Client.SendAsync("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\nab");
        Assert.Equal("POST /", await side.Requests.NextAsync());
        await side.On(stream => stream.SendResponse(403, end: true));
        Assert.Equal("data ab", await side.Requests.NextAsync());
        Assert.Equal("closed None", await side.Requests.NextAsync());
        Assert.Equal("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n", await side.Client.ReadToEndAsync());
        // What the client still sends is dropped, for a while.
        await side.Client.SendAsync(new byte[100_000]);
        await side.On(_ => { });
        Assert.True(side.Requests.IsQuiet);
        time.Advance(TimeSpan.FromSeconds(6));
        Assert.Equal(new Http1End(Http1EndKind.Closed), await side.EndAsync());
    }

    [Fact]
    public async Task What_a_refused_client_may_still_send_has_a_bound()
    {
        using var side = await ServerSide.StartAsync();
        await side.Client.SendAsync("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000000\r\n\r\n");
        Assert.Equal("POST /", await side.Requests.NextAsync());
        await side.On(stream => stream.SendResponse(403, end: true));
        var end = side.EndAsync();
        try
        {
            while (!end.IsCompleted) await side.Client.SendAsync(new byte[64 * 1024]);
        }
        catch (SocketException fault) when (fault.SocketErrorCode is SocketError.ConnectionReset or SocketError.Shutdown)
        {
            // It was told.
        }

        Assert.Equal(new Http1End(Http1EndKind.Closed), await end);
        Assert.InRange(side.Connection.Transport.BytesIn, Http1ServerConnection.MaxWaste, Http1ServerConnection.MaxWaste + 200_000);
    }

    [Fact]
    public async Task A_refusal_leaves_the_connection_when_the_whole_request_is_here()
    {
        using var side = await ServerSide.StartAsync(reacts: (stream, what) =>
        {
            if (what == "POST /") stream.SendResponse(403, end: true);
        });
        await side.Client.SendAsync("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab" + Get);
        Assert.Equal("POST /", await side.Requests.NextAsync());
        Assert.Equal("closed None", await side.Requests.NextAsync());
        Assert.Equal("GET /x end", await side.Requests.NextAsync());
        Assert.Equal("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n", await side.Client.ReadUntilAsync("\r\n\r\n"));
    }

    [Fact]
    public async Task A_drain_closes_an_idle_connection_at_once()
    {
        using var side = await ServerSide.StartAsync(reacts: ServerSide.Echo);
        await side.Client.SendAsync(Get);
        await side.Client.ReadUntilAsync("/x");
        await side.On(_ => side.Connection.BeginDrain());
        Assert.Equal("", await side.Client.ReadToEndAsync());
        Assert.Equal(new Http1End(Http1EndKind.Drained), await side.EndAsync());
    }

    [Fact]
    public async Task A_drain_lets_the_running_exchange_finish()
    {
        foreach (var begun in new[] { false, true })
        {
            using var side = await ServerSide.StartAsync();
            await side.Client.SendAsync(Get + Get);
            Assert.Equal("GET /x end", await side.Requests.NextAsync());
            if (begun) await side.On(stream => stream.SendResponse(200, "content-length: 2\n"));
            await side.On(_ => side.Connection.BeginDrain());
            await side.On(stream =>
            {
                if (!begun) stream.SendResponse(200, "content-length: 2\n");
                stream.Send("ok", end: true);
            });
            Assert.Equal("closed None", await side.Requests.NextAsync());
            Assert.EndsWith(begun ? "content-length: 2\r\n\r\nok" : "connection: close\r\n\r\nok", await side.Client.ReadToEndAsync(), StringComparison.Ordinal);
            side.Client.Finish();
            Assert.Equal(new Http1End(Http1EndKind.Drained), await side.EndAsync());
            Assert.True(side.Requests.IsQuiet);
        }
    }

    [Fact]
    public async Task Closing_the_transport_ends_whatever_is_under_way()
    {
        foreach (var pipelined in new[] { "", "GET /next" })
        {
            using var side = await ServerSide.StartAsync();
            await side.Client.SendAsync(Get + pipelined);
            Assert.Equal("GET /x end", await side.Requests.NextAsync());
            await side.On(_ => side.Connection.Transport.Abort());
            Assert.Equal("closed Stopped", await side.Requests.NextAsync());
            Assert.Equal(Http1EndKind.Stopped, (await side.EndAsync()).Kind);
        }
    }
}
