using Mesh.Proxy.Http;
using Mesh.Proxy.Http.Http1;
using Mesh.Proxy.Http.Http2;
using Mesh.Proxy.Http.Streams;
using Mesh.Proxy.Native;

namespace Mesh.Proxy.Tests.Http.Http1;

public sealed class ClientConnectionTests
{
    [Fact]
    public async Task One_connection_serves_request_after_request()
    {
        using var side = await ClientSide.StartAsync();
        for (var i = 0; i < 3; i++)
        {
            await side.GetAsync();
            Assert.Null(await side.Loop.On(() => side.Connection.TryOpen(side.Responses)));
            await side.Server.SendAsync("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: x\r\nX: 1\r\n\r\nhello");
            Assert.Equal("200", await side.Responses.NextAsync());
            Assert.Equal("hello", await side.Responses.BodyAsync());
            await side.ExpectAsync("closed None", "idle");
            Assert.Equal(0, await side.RentedAsync());
        }

        Assert.Equal(":status: 200\ncontent-length: 5\n", side.Responses.Fields);
        Assert.Equal(3, side.Connection.Exchanges);
        side.Server.Finish();
        await side.ExpectAsync("gone");
        Assert.Equal(new Http1End(Http1EndKind.PeerLeft), await side.EndAsync());
        Assert.Null(await side.Loop.On(() => side.Connection.TryOpen(side.Responses)));
    }

    [Theory]
    [InlineData("GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", "200", "hello", true)]
    [InlineData("GET", "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", "200 end", null, true)]
    [InlineData("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", "200", "hello", true)]
    [InlineData("GET", "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n", "200", "hello|x-sum: 1;", true)]
    [InlineData("GET", "HTTP/1.1 204 No Content\r\n\r\n", "204 end", null, true)]
    [InlineData("GET", "HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n", "304 end", null, true)]
    [InlineData("HEAD", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "200 end", null, true)]
    [InlineData("GET", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello", "200", "hello", false)]
    [InlineData("GET", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello", "200", "hello", false)]
    [InlineData("GET", "HTTP/1.0 200 OK\r\nContent-Length: 5\r\nConnection: keep-alive\r\n\r\nhello", "200", "hello", true)]
    [InlineData("GET", "HTTP/1.1 200 OK\r\n\r\nhello", "200", "hello", false)]
    public async Task A_response_comes_to_the_same_whole_and_byte_by_byte(string method, string response, string head, string? body, bool reusable)
    {
        foreach (var piece in new[] { response.Length, 1 })
        {
            using var side = await ClientSide.StartAsync();
            await side.RequestAsync(stream => stream.SendRequest(method, end: true));
            await side.Server.ReadUntilAsync("\r\n\r\n");
            for (var at = 0; at < response.Length; at += piece) await side.Server.SendAsync(response.Substring(at, piece));
            if (!reusable && response.EndsWith("\r\n\r\nhello", StringComparison.Ordinal) && !response.Contains("Length", StringComparison.Ordinal)) side.Server.Finish();
            Assert.Equal(head, await side.Responses.NextAsync());
            if (body is not null) Assert.Equal(body, await side.Responses.BodyAsync());
            if (reusable)
            {
                await side.ExpectAsync("closed None", "idle");
                continue;
            }

            await side.ExpectAsync("gone", "closed None");
            Assert.Equal(new Http1End(Http1EndKind.Closed), await side.EndAsync());
            Assert.Equal("", await side.Server.ReadToEndAsync());
        }
    }

    [Fact]
    public async Task A_request_is_written_as_its_head_says()
    {
        using var side = await ClientSide.StartAsync();
        foreach (var (send, text) in new (Action<HttpStream>, string)[]
        {
            (stream =>
            {
                stream.SendRequest("POST", "content-length: 5\n");
                stream.Send("hel");
                stream.Send("lo", end: true);
            }, "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nhello"),
            (stream =>
            {
                stream.SendRequest("POST");
                stream.Send("hello");
                stream.SendTrailers(HeaderBlockText.Block("x-sum: 1\n"));
            }, "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-sum: 1\r\n\r\n"),
            (stream => stream.SendHead(HeaderBlockText.Block(":method: GET\n:scheme: http\n:authority: a\n:path: /x\n"),
                new MessageHead(RequestMethod.Get, 0, null) { Version = HttpVersion.Http10, AbsoluteForm = true }, end: true), "GET http://a/x HTTP/1.0\r\nhost: a\r\n\r\n"),
        })
        {
            await side.RequestAsync(send);
            Assert.Equal(text, await side.Server.ReadAsync(text.Length));
            await side.Server.SendAsync("HTTP/1.1 204 No Content\r\n\r\n");
            await side.ExpectAsync("204 end", "closed None", "idle");
        }

        Assert.Equal(10, side.Responses.Sent);
    }

    [Fact]
    public async Task Interim_responses_come_before_the_real_one()
    {
        using var side = await ClientSide.StartAsync();
        await side.RequestAsync(stream => stream.SendRequest("POST", "content-length: 2\nexpect: 100-continue\n"));
        Assert.EndsWith("expect: 100-continue\r\n\r\n", await side.Server.ReadUntilAsync("\r\n\r\n"), StringComparison.Ordinal);
        await side.Server.SendAsync("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n");
        await side.ExpectAsync("100", "103");
        await side.On(connection => connection.Send("ab", end: true));
        Assert.Equal("ab", await side.Server.ReadAsync(2));
        await side.Server.SendAsync("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        await side.ExpectAsync("200 end", "closed None", "idle");
    }

    [Theory]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nabc", Http1Fault.BodyTooLong)]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nabc", Http1Fault.BodyTooLong)]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n", Http1Fault.SeveralContentLengths)]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n", Http1Fault.ContentLengthWithTransferEncoding)]
    [InlineData("HTTP/1.1 200 OK\nContent-Length: 2\n\n", Http1Fault.BareLineFeed)]
    [InlineData("SSH-2.0-OpenSSH\r\n", Http1Fault.MalformedStatusLine)]
    [InlineData("HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n", Http1Fault.UnexpectedUpgrade)]
    [InlineData("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", Http1Fault.BadChunkSize)]
    public async Task A_malformed_response_ends_the_exchange_and_the_connection(string response, object fault)
    {
        using var side = await ClientSide.StartAsync();
        await side.GetAsync();
        await side.Server.SendAsync(response);
        var next = await side.Responses.NextAsync();
        if (next == "200") next = await side.Responses.NextAsync();
        Assert.Equal("gone", next);
        await side.ExpectAsync("closed Malformed");
        Assert.Equal(new Http1End(Http1EndKind.Malformed, (Http1Fault)fault), await side.EndAsync());
    }

    [Fact]
    public async Task Interim_responses_have_a_bound()
    {
        using var side = await ClientSide.StartAsync();
        await side.GetAsync();
        await side.Server.SendAsync(string.Concat(Enumerable.Repeat("HTTP/1.1 102 Processing\r\n\r\n", Http1ClientConnection.MaxInterim + 1)));
        for (var i = 0; i < Http1ClientConnection.MaxInterim; i++) await side.ExpectAsync("102");
        await side.ExpectAsync("gone", "closed Malformed");
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_connection_that_was_closed_while_idle_says_so_to_the_request_that_met_it(bool reset)
    {
        foreach (var served in new[] { true, false })
        {
            using var side = await ClientSide.StartAsync();
            if (served) await side.ServeAsync();
            await side.GetAsync();
            if (reset) side.ResetByServer();
            else side.Server.Finish();
            await side.ExpectAsync("gone", served || !reset ? "closed ConnectionLost" : "closed ResetByPeer");
            Assert.Equal(served, side.Responses.Fault.WasIdle);
            Assert.Equal(reset ? Http1EndKind.Reset : Http1EndKind.BrokenOff, (await side.EndAsync()).Kind);
        }
    }

    [Theory]
    [InlineData("HTTP/1.1 200")]
    [InlineData("HTTP/1.1 100 Continue\r\n\r\n")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell")]
    [InlineData("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n")]
    public async Task A_response_that_breaks_off_is_lost_and_not_taken_for_an_idle_connection(string part)
    {
        using var side = await ClientSide.StartAsync();
        await side.ServeAsync();
        await side.GetAsync();
        await side.Server.SendAsync(part);
        side.Server.Finish();
        string next;
        while ((next = await side.Responses.NextAsync()) != "gone") Assert.DoesNotContain("end", next, StringComparison.Ordinal);
        await side.ExpectAsync("closed ConnectionLost");
        Assert.False(side.Responses.Fault.WasIdle);
    }

    [Fact]
    public async Task A_response_until_the_close_is_not_complete_when_the_connection_is_reset()
    {
        using var side = await ClientSide.StartAsync();
        await side.GetAsync();
        await side.Server.SendAsync("HTTP/1.1 200 OK\r\n\r\nhell");
        await side.ExpectAsync("200", "data hell");
        side.ResetByServer();
        await side.ExpectAsync("gone", "closed ResetByPeer");
    }

    [Fact]
    public async Task Bytes_that_nobody_asked_for_end_an_idle_connection()
    {
        using var side = await ClientSide.StartAsync();
        await side.ServeAsync();
        await side.Server.SendAsync("HTTP/1.1 408 Request Timeout\r\n\r\n");
        await side.ExpectAsync("gone");
        Assert.Equal(new Http1End(Http1EndKind.Unexpected), await side.EndAsync());
        Assert.Null(await side.Loop.On(() => side.Connection.TryOpen(side.Responses)));
    }

    [Fact]
    public async Task What_comes_behind_a_response_ends_the_connection_and_not_the_exchange()
    {
        using var side = await ClientSide.StartAsync();
        await side.GetAsync();
        await side.Server.SendAsync("HTTP/1.1 204 No Content\r\n\r\nHTTP/1.1 200 OK\r\n\r\n");
        await side.ExpectAsync("204 end", "gone", "closed None");
    }

    [Fact]
    public async Task An_answer_before_the_end_of_the_request_is_the_last()
    {
        using var side = await ClientSide.StartAsync();
        await side.RequestAsync(stream =>
        {
            stream.SendRequest("POST", "content-length: 5\n");
            stream.Send("he");
        });
        await side.Server.ReadUntilAsync("he");
        await side.Server.SendAsync("HTTP/1.1 413 Too Large\r\nContent-Length: 2\r\n\r\nno");
        Assert.Equal("413", await side.Responses.NextAsync());
        Assert.Equal("no", await side.Responses.BodyAsync());
        await side.ExpectAsync("gone", "closed None");
        Assert.Equal(new Http1End(Http1EndKind.AnsweredEarly), await side.EndAsync());
    }

    [Theory]
    [InlineData("content-length: 160000\r\n", "closed None")]
    [InlineData("", "closed ResetByPeer")]
    public async Task An_answer_is_read_although_writing_has_failed(string framing, string closed)
    {
        const int Length = 160_000;
        using var side = await ClientSide.StartAsync();
        side.Responses.Consumes = false;
        await side.RequestAsync(stream =>
        {
            stream.SendRequest("POST", "content-length: 100000000\n");
            stream.SendData(new byte[64 * 1024], end: false);
        });
        await side.Server.ReadUntilAsync("\r\n\r\n");
        await side.Server.SendAsync($"HTTP/1.1 413 Too Large\r\n{framing}\r\n" + new string('x', Length));
        // All of it is on this side, a part of it unread, before the server closes with unread input, which resets.
        await side.WaitForAsync(() => side.Responses.Received > Http1Connection.MaxUnconsumed && side.Responses.Received + side.Peek(Length) == Length);
        side.Server.Dispose();
        await side.WaitForAsync(() => side.Connection.Transport.Socket.IsDead);
        await side.On(connection => connection.SendData(new byte[1000], end: false));
        await side.WaitForAsync(() => side.Responses.Sent == 64 * 1024 + 1000);
        Assert.Equal("413", await side.Responses.NextAsync());
        await side.On(connection =>
        {
            side.Responses.Consumes = true;
            connection.Consumed(side.Responses.Received);
        });
        string next;
        while ((next = await side.Responses.NextAsync()) != "gone") Assert.StartsWith("data x", next, StringComparison.Ordinal);
        await side.ExpectAsync(closed);
        Assert.Equal(Length, side.Responses.Received);
        await side.EndAsync();
    }

    [Fact]
    public async Task A_stream_that_was_not_used_leaves_the_connection_as_it_was()
    {
        using var side = await ClientSide.StartAsync();
        await side.RequestAsync(stream => stream.Reset(Http2ErrorCode.Cancel));
        await side.ExpectAsync("idle");
        await side.ServeAsync();
    }

    [Fact]
    public async Task An_exchange_that_is_dropped_breaks_the_connection()
    {
        using var side = await ClientSide.StartAsync();
        await side.GetAsync();
        await side.On(connection => connection.Reset(Http2ErrorCode.Cancel));
        Assert.Equal("reset", await side.Server.ReadToEndAsync());
        await side.ExpectAsync("gone");
        Assert.Equal(Http1EndKind.Aborted, (await side.EndAsync()).Kind);
        Assert.True(side.Responses.IsQuiet);
    }

    [Fact]
    public async Task A_drain_closes_an_idle_connection_and_lets_an_exchange_finish()
    {
        foreach (var busy in new[] { false, true })
        {
            using var side = await ClientSide.StartAsync();
            if (busy) await side.GetAsync();
            await side.On(connection => connection.BeginDrain());
            if (busy)
            {
                await side.Server.SendAsync("HTTP/1.1 204 No Content\r\n\r\n");
                await side.ExpectAsync("204 end", "gone", "closed None");
            }
            else
            {
                await side.ExpectAsync("gone");
            }

            Assert.Equal("", await side.Server.ReadToEndAsync());
            Assert.Equal(busy ? Http1EndKind.Closed : Http1EndKind.Drained, (await side.EndAsync()).Kind);
        }
    }

    [Theory]
    [InlineData("GET", "upgrade: websocket\n", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: upgrade\r\n\r\n", "101")]
    [InlineData("CONNECT", "", "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", "200")]
    public async Task A_tunnel_passes_bytes_and_the_end_of_each_direction(string method, string fields, string response, string head)
    {
        foreach (var serverFirst in new[] { true, false })
        {
            using var side = await ClientSide.StartAsync();
            await side.RequestAsync(stream => stream.SendRequest(method, fields));
            await side.Server.ReadUntilAsync("\r\n\r\n");
            await side.Server.SendAsync(response + "hello");
            await side.ExpectAsync(head, "data hello");
            await side.On(connection => connection.Send("up"));
            Assert.Equal("up", await side.Server.ReadAsync(2));
            if (serverFirst)
            {
                side.Server.Finish();
                await side.ExpectAsync("data  end");
                await side.On(connection => connection.Send("late", end: true));
                Assert.Equal("late", await side.Server.ReadToEndAsync());
            }
            else
            {
                await side.On(connection => connection.Send("late", end: true));
                Assert.Equal("late", await side.Server.ReadToEndAsync());
                await side.Server.SendAsync("later");
                await side.ExpectAsync("data later");
                side.Server.Finish();
                await side.ExpectAsync("data  end");
            }

            await side.ExpectAsync("gone", "closed None");
            Assert.Equal(new Http1End(Http1EndKind.Closed), await side.EndAsync());
        }
    }

    [Fact]
    public async Task A_tunnel_that_is_refused_is_an_answer_and_the_last()
    {
        using var side = await ClientSide.StartAsync();
        await side.RequestAsync(stream => stream.SendRequest("CONNECT"));
        Assert.Equal("CONNECT a:80 HTTP/1.1\r\nhost: a:80\r\n\r\n", await side.Server.ReadUntilAsync("\r\n\r\n"));
        await side.Server.SendAsync("HTTP/1.1 403 Forbidden\r\nContent-Length: 2\r\n\r\nno");
        Assert.Equal("403", await side.Responses.NextAsync());
        Assert.Equal("no", await side.Responses.BodyAsync());
        await side.ExpectAsync("gone", "closed None");
        Assert.Equal(new Http1End(Http1EndKind.Closed), await side.EndAsync());
    }

    [Fact]
    public async Task A_response_is_read_as_fast_as_it_is_consumed()
    {
        const int Length = 16 * 1024 * 1024;
        using var side = await ClientSide.StartAsync();
        side.Responses.Consumes = false;
        await side.GetAsync();
        var send = Task.Run(async () =>
        {
            await side.Server.SendAsync($"HTTP/1.1 200 OK\r\nContent-Length: {Length}\r\n\r\n");
            await side.Server.SendAsync(new byte[Length]);
        }, TestContext.Current.CancellationToken);
        var consumed = 0;
        while (consumed < Length)
        {
            var want = Math.Min(Length - consumed, Http1Connection.MaxUnconsumed + 1);
            var received = 0;
            while ((received = await side.Loop.On(() => side.Responses.Received)) - consumed < want) await side.Loop.On(async () => { await side.Loop.Loop.YieldAsync(); });
            Assert.InRange(received - consumed, 1, Http1Connection.MaxUnconsumed + NativeBuffers.BulkSize);
            await side.On(connection => connection.Consumed(received - consumed));
            consumed = received;
        }

        await send;
    }
}
