using System.Net.Sockets;
using System.Text;
using Mesh.Proxy.Http;
using Mesh.Proxy.Http.Http1;
using Mesh.Proxy.Http.Http2;
using Mesh.Proxy.Http.Streams;

namespace Mesh.Proxy.Tests.Http.Http1;

public sealed class ServerConnectionTests
{
    private const string Get = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n";

    [Fact]
    public async Task One_connection_serves_request_after_request()
    {
        using var side = await ServerSide.StartAsync(reacts: ServerSide.Echo);
        for (var i = 0; i < 3; i++)
        {
            await side.Client.SendAsync(Get);
            Assert.Equal("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n/x", await side.Client.ReadAsync(40));
            Assert.Equal("GET /x end", await side.Requests.NextAsync());
            Assert.Equal("closed None", await side.Requests.NextAsync());
            Assert.Equal(0, await side.RentedAsync());
        }

        Assert.Equal(":authority: a\n:scheme: http\n:method: GET\n:path: /x\n", side.Requests.Fields);
        side.Client.Socket.Shutdown(SocketShutdown.Send);
        Assert.Equal(new Http1End(Http1EndKind.PeerLeft), await side.EndAsync());
        Assert.Equal(3, side.Connection.Exchanges);
    }

    [Theory]
    [InlineData("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nhello", "hello")]
    [InlineData("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", "hello")]
    [InlineData("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 1\r\nX-More: 2\r\n\r\n", "hello|x-sum: 1;x-more: 2;")]
    public async Task A_body_comes_to_the_same_whole_and_byte_by_byte(string request, string body)
    {
        using var side = await ServerSide.StartAsync(reacts: ServerSide.Echo);
        foreach (var piece in new[] { request.Length, 1 })
        {
            for (var at = 0; at < request.Length; at += piece) await side.Client.SendAsync(request.Substring(at, piece));
            Assert.Equal("POST /", await side.Requests.NextAsync());
            Assert.Equal(body, await side.Requests.BodyAsync());
            Assert.Equal("closed None", await side.Requests.NextAsync());
            Assert.EndsWith("\r\n\r\nok", await side.Client.ReadAsync(40), StringComparison.Ordinal);
            Assert.Equal(0, await side.RentedAsync());
        }
    }

    [Fact]
    public async Task Pipelined_requests_are_answered_in_order_and_one_at_a_time()
    {
        using var side = await ServerSide.StartAsync();
        await side.Client.SendAsync("GET /1 HTTP/1.1\r\nHost: a\r\n\r\nPOST /2 HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nabGET /3 HTTP/1.1\r\nHost: a\r\n\r\nGET /4 HT");
        foreach (var (head, body) in new[] { ("GET /1 end", ""), ("POST /2", "ab"), ("GET /3 end", "") })
        {
            Assert.Equal(head, await side.Requests.NextAsync());
            if (body.Length > 0) Assert.Equal(body, await side.Requests.BodyAsync());
            await side.On(_ => { });
            Assert.True(side.Requests.IsQuiet);
            await side.On(stream => stream.Answer(head[^5..]));
            Assert.Equal("closed None", await side.Requests.NextAsync());
            Assert.EndsWith("\r\n\r\n" + head[^5..], await side.Client.ReadAsync(43), StringComparison.Ordinal);
        }

        await side.Client.SendAsync("TP/1.1\r\nHost: a\r\n\r\n");
        Assert.Equal("GET /4 end", await side.Requests.NextAsync());
    }

    [Theory]
    [InlineData("GET /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n/x")]
    [InlineData("GET /x HTTP/1.0\r\n\r\n", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n/x")]
    public async Task A_connection_closes_when_the_request_says_so(string request, string response)
    {
        using var side = await ServerSide.StartAsync(reacts: ServerSide.Echo);
        await side.Client.SendAsync(request);
        Assert.Equal(response, await side.Client.ReadToEndAsync());
        side.Client.Socket.Shutdown(SocketShutdown.Both);
        Assert.Equal(new Http1End(Http1EndKind.Closed), await side.EndAsync());
    }

    [Fact]
    public async Task A_client_of_HTTP_1_0_can_keep_its_connection()
    {
        using var side = await ServerSide.StartAsync(reacts: ServerSide.Echo);
        for (var i = 0; i < 2; i++)
        {
            await side.Client.SendAsync("GET /x HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
            Assert.EndsWith("connection: keep-alive\r\n\r\n/x", await side.Client.ReadAsync(64), StringComparison.Ordinal);
        }

        Assert.Equal(HttpVersion.Http10, side.Connection.Version);
    }

    [Theory]
    [InlineData("HEAD", 200, "content-length: 5\n", "content-length: 5\r\n\r\n")]
    [InlineData("GET", 204, "", "\r\n")]
    [InlineData("GET", 304, "content-length: 5\n", "content-length: 5\r\n\r\n")]
    public async Task Responses_without_a_body_end_with_their_head(string method, int status, string fields, string end)
    {
        using var side = await ServerSide.StartAsync();
        await side.Client.SendAsync($"{method} / HTTP/1.1\r\nHost: a\r\n\r\n");
        await side.Requests.NextAsync();
        await side.On(stream => stream.SendResponse(status, fields, end: true));
        Assert.Equal("closed None", await side.Requests.NextAsync());
        await side.Client.SendAsync(Get);
        Assert.Equal("GET /x end", await side.Requests.NextAsync());
        await side.On(stream => stream.Answer("next"));
        var text = await side.Client.ReadUntilAsync("next");
        Assert.EndsWith(end + "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nnext", text, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_response_of_unknown_length_is_chunked()
    {
        using var side = await ServerSide.StartAsync();
        await side.Client.SendAsync(Get + Get);
        await side.Requests.NextAsync();
        await side.On(stream =>
        {
            stream.SendResponse(200);
            stream.Send("hello");
            stream.Send("");
            stream.Send(" world of more than sixteen bytes", end: true);
        });
        Assert.Equal("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n21\r\n world of more than sixteen bytes\r\n0\r\n\r\n", await side.Client.ReadUntilAsync("\r\n0\r\n\r\n"));
        Assert.Equal("closed None", await side.Requests.NextAsync());
        Assert.Equal("GET /x end", await side.Requests.NextAsync());
        await side.On(stream =>
        {
            stream.SendResponse(200);
            stream.Send("a");
            stream.SendTrailers(HeaderBlockText.Block("x-sum: 1\n"));
        });
        Assert.EndsWith("\r\n\r\n1\r\na\r\n0\r\nx-sum: 1\r\n\r\n", await side.Client.ReadUntilAsync("x-sum: 1\r\n\r\n"), StringComparison.Ordinal);
        Assert.Equal(39, side.Requests.Sent);
    }

    [Fact]
    public async Task A_client_of_HTTP_1_0_gets_a_response_of_unknown_length_until_the_close()
    {
        using var side = await ServerSide.StartAsync();
        await side.Client.SendAsync("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
        await side.Requests.NextAsync();
        await side.On(stream =>
        {
            stream.SendResponse(200);
            stream.Send("hello");
            stream.SendTrailers(HeaderBlockText.Block("x-sum: 1\n"));
        });
        Assert.Equal("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\nhello", await side.Client.ReadToEndAsync());
    }

    [Theory]
    [InlineData("HTTP/1.1", "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")]
    [InlineData("HTTP/1.0", "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok")]
    public async Task Interim_responses_reach_who_knows_them(string version, string text)
    {
        using var side = await ServerSide.StartAsync();
        await side.Client.SendAsync($"POST / {version}\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
        Assert.Equal("POST /", await side.Requests.NextAsync());
        Assert.Contains("expect: 100-continue\n", side.Requests.Fields, StringComparison.Ordinal);
        await side.On(stream =>
        {
            stream.SendResponse(100);
            stream.SendResponse(103, "link: x\n");
        });
        await side.Client.SendAsync("ab");
        Assert.Equal("ab", await side.Requests.BodyAsync());
        await side.On(stream => stream.Answer("ok"));
        Assert.Equal(text, await side.Client.ReadUntilAsync("ok"));
    }

    [Fact]
    public async Task A_client_that_expects_100_and_gets_a_final_response_is_told_that_the_connection_closes()
    {
        using var side = await ServerSide.StartAsync();
        await side.Client.SendAsync("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\nExpect: 100-continue\r\n\r\n");
        await side.Requests.NextAsync();
        await side.On(stream => stream.Answer("no"));
        Assert.Equal("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno", await side.Client.ReadToEndAsync());
    }

    [Theory]
    [InlineData("GET /chat HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", "GET /chat", 101, "upgrade: websocket\n", "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n")]
    [InlineData("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n", "CONNECT ", 200, "", "HTTP/1.1 200 OK\r\n\r\n")]
    public async Task A_tunnel_passes_bytes_and_the_end_of_each_direction(string request, string head, int status, string fields, string response)
    {
        foreach (var clientFirst in new[] { true, false })
        {
            using var side = await ServerSide.StartAsync();
            await side.Client.SendAsync(request + "early");
            Assert.Equal(head, await side.Requests.NextAsync());
            await side.On(_ => { });
            Assert.True(side.Requests.IsQuiet);
            await side.On(stream => stream.SendResponse(status, fields));
            Assert.Equal(response, await side.Client.ReadAsync(response.Length));
            Assert.Equal("data early", await side.Requests.NextAsync());
            await side.Client.SendAsync("\0\r\n");
            Assert.Equal("data \0\r\n", await side.Requests.NextAsync());
            if (clientFirst)
            {
                side.Client.Socket.Shutdown(SocketShutdown.Send);
                Assert.Equal("data  end", await side.Requests.NextAsync());
                await side.On(stream => stream.Send("late", end: true));
                Assert.Equal("late", await side.Client.ReadToEndAsync());
            }
            else
            {
                await side.On(stream => stream.Send("late", end: true));
                Assert.Equal("late", await side.Client.ReadToEndAsync());
                await side.Client.SendAsync("later");
                Assert.Equal("data later", await side.Requests.NextAsync());
                side.Client.Socket.Shutdown(SocketShutdown.Send);
                Assert.Equal("data  end", await side.Requests.NextAsync());
            }

            Assert.Equal("closed None", await side.Requests.NextAsync());
            Assert.Equal(new Http1End(Http1EndKind.Closed), await side.EndAsync());
        }
    }

    [Fact]
    public async Task An_upgrade_that_is_refused_leaves_a_connection_for_requests()
    {
        using var side = await ServerSide.StartAsync();
        await side.Client.SendAsync("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n");
        Assert.Equal("GET /", await side.Requests.NextAsync());
        Assert.True(side.Requests.Head.IsUpgrade);
        await side.On(stream => stream.Answer("no"));
        Assert.Equal("closed None", await side.Requests.NextAsync());
        await side.Client.SendAsync(Get);
        Assert.Equal("GET /x end", await side.Requests.NextAsync());
    }

    [Fact]
    public async Task What_follows_a_refused_CONNECT_is_not_read_as_a_request()
    {
        using var side = await ServerSide.StartAsync();
        await side.Client.SendAsync("CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\n" + Get);
        Assert.Equal("CONNECT ", await side.Requests.NextAsync());
        await side.On(stream => stream.SendResponse(403, end: true));
        Assert.Equal("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\nconnection: close\r\n\r\n", await side.Client.ReadToEndAsync());
        Assert.Equal("closed None", await side.Requests.NextAsync());
        side.Client.Socket.Shutdown(SocketShutdown.Both);
        await side.EndAsync();
        Assert.True(side.Requests.IsQuiet);
    }

    [Fact]
    public async Task A_response_that_is_not_what_its_head_promised_is_broken_off()
    {
        foreach (var (body, end) in new[] { ("abcd", false), ("ab", true) })
        {
            using var side = await ServerSide.StartAsync();
            await side.Client.SendAsync(Get);
            await side.Requests.NextAsync();
            await side.On(stream =>
            {
                stream.SendResponse(200, "content-length: 3\n");
                stream.Send(body, end);
            });
            Assert.Equal("closed ConnectionLost", await side.Requests.NextAsync());
            Assert.Equal(Http1EndKind.Aborted, (await side.EndAsync()).Kind);
            Assert.EndsWith("reset", await side.Client.ReadToEndAsync(), StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task An_exchange_that_is_dropped_breaks_the_connection()
    {
        foreach (var begun in new[] { false, true })
        {
            using var side = await ServerSide.StartAsync();
            await side.Client.SendAsync(Get);
            await side.Requests.NextAsync();
            if (begun)
            {
                await side.On(stream =>
                {
                    stream.SendResponse(200);
                    stream.Send("part");
                });
                await side.Client.ReadUntilAsync("part\r\n");
            }

            await side.On(stream =>
            {
                stream.Reset(Http2ErrorCode.Cancel);
                stream.Send("more", end: true);
                stream.Reset(Http2ErrorCode.Cancel);
            });
            Assert.Equal("reset", await side.Client.ReadToEndAsync());
            Assert.Equal(Http1EndKind.Aborted, (await side.EndAsync()).Kind);
            Assert.True(side.Requests.IsQuiet);
        }
    }
}
