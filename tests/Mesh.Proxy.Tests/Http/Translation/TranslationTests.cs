using System.Text;
using Mesh.Proxy.Http;
using Mesh.Proxy.Http.Hpack;
using Mesh.Proxy.Http.Http1;
using Mesh.Proxy.Http.Http2;
using Mesh.Proxy.Http.Translation;
using Mesh.Proxy.Tests.Http.Hpack;

namespace Mesh.Proxy.Tests.Http.Translation;

public sealed class TranslationTests
{
    [Theory]
    [InlineData("GET /x HTTP/1.1\r\nHost: a\r\nAccept: */*\r\n", ":authority: a\n:scheme: http\n:method: GET\n:path: /x\naccept: */*\n")]
    [InlineData("GET http://A/x HTTP/1.1\r\nHost: a\r\n", ":method: GET\n:scheme: http\n:authority: A\n:path: /x\n")]
    [InlineData("GET /x HTTP/1.0\r\n", ":scheme: http\n:method: GET\n:path: /x\n")]
    [InlineData("GET /x HTTP/1.1\r\nHost:\r\n", ":scheme: http\n:method: GET\n:path: /x\n")]
    [InlineData("CONNECT a:80 HTTP/1.1\r\nHost: a\r\n", ":method: CONNECT\n:authority: a:80\n")]
    [InlineData("OPTIONS * HTTP/1.1\r\nHost: a\r\n", ":authority: a\n:scheme: http\n:method: OPTIONS\n:path: *\n")]
    [InlineData("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTrailer: x\r\n", ":authority: a\n:scheme: http\n:method: POST\n:path: /\ntrailer: x\n")]
    public void Requests_of_http_1_in_the_common_form(string text, string fields)
    {
        var (block, _) = FromHttp1(text);
        Assert.Equal(fields, block.Text());
        Assert.Equal(Http2Fault.None, MessageRules.CheckRequest(block, ConnectForm.Plain, out _));
    }

    [Theory]
    [InlineData("Content-Length: 5\r\n", "content-length: 5\r\n", 5L)]
    [InlineData("Transfer-Encoding: chunked\r\n", "transfer-encoding: chunked\r\n", null)]
    public void A_message_can_stay_http_1(string framing, string written, long? length)
    {
        var parser = new RequestHeadParser();
        var block = new HeaderBlock();
        Assert.Equal(HeadStatus.Complete, parser.Parse(Encoding.ASCII.GetBytes($"POST / HTTP/1.1\r\nHost: a\r\nKeep-Alive: 1\r\n{framing}\r\n"), block, out _));
        var head = RequestTranslation.FromHttp1(block, parser.Head);
        Assert.Equal(new MessageHead(RequestMethod.Post, 0, length), head);
        Assert.Equal($"POST / HTTP/1.1\r\nhost: a\r\n{written}\r\n", WriteRequest(block, RequestTranslation.ToHttp1(block, head, end: false)));

        var responses = new ResponseHeadParser();
        block.Clear();
        Assert.Equal(HeadStatus.Complete, responses.Parse(Encoding.ASCII.GetBytes($"HTTP/1.1 200 OK\r\nKeep-Alive: 1\r\n{framing}\r\n"), RequestMethod.Post, block, out _));
        var answer = ResponseTranslation.FromHttp1(block, responses.Head);
        Assert.Equal(new MessageHead(RequestMethod.Other, 200, length), answer);
        Assert.Equal(responses.Head.Framing, ResponseTranslation.ToHttp1(block, answer, parser.Head, keepAlive: true, end: false).Framing);
    }

    [Theory]
    [InlineData("Connection: close\r\nKeep-Alive: x\r\nProxy-Connection: x\r\n", "")]
    [InlineData("Connection: X-Gone, close\r\nX-Gone: 1\r\nx-gone: 2\r\nX-Stays: 3\r\n", "x-stays: 3\n")]
    [InlineData("Connection: a\r\nConnection: b\r\nA: 1\r\nB: 2\r\nC: 3\r\n", "c: 3\n")]
    [InlineData("Connection: Cookie\r\nCookie: x\r\n", "")]
    [InlineData("Connection: Host, Content-Length, L5d-Client-Id, Connection\r\nContent-Length: 0\r\nL5d-Client-Id: x\r\n", "content-length: 0\nl5d-client-id: x\n")]
    [InlineData("Connection: TE\r\nTE: gzip, Trailers;q=1\r\n", "")]
    [InlineData("Connection: TE\r\nTE: gzip\r\nTE: trailers\r\n", "te: trailers\n")]
    [InlineData("Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n", "")]
    [InlineData("Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n", "upgrade: websocket\nsec-websocket-version: 13\n")]
    [InlineData("Upgrade: websocket\r\n", "")]
    public void Fields_of_a_connection_end_with_it(string text, string fields)
    {
        var (block, _) = FromHttp1($"GET / HTTP/1.1\r\nHost: a\r\n{text}");
        Assert.Equal(":authority: a\n:scheme: http\n:method: GET\n:path: /\n" + fields, block.Text());
    }

    [Fact]
    public void Connection_cannot_name_more_than_a_few_fields()
    {
        string With(int count) => $"GET / HTTP/1.1\r\nHost: a\r\nConnection: {string.Join(',', Enumerable.Range(0, count).Select(i => "x" + i))}\r\n\r\n";
        Assert.Equal(Http1Fault.None, Http1.Heads.Request(With(HttpLimits.MaxConnectionOptions)).Fault);
        Assert.Equal(Http1Fault.BadConnectionOption, Http1.Heads.Request(With(HttpLimits.MaxConnectionOptions + 1)).Fault);
    }

    [Theory]
    [InlineData(":method: GET\n:scheme: http\n:path: /x\n:authority: a\nhost: A\ncookie: a=1\nx: y\ncookie: b=2\ncookie: c=3\n", "GET /x HTTP/1.1\r\nhost: a\r\ncookie: a=1; b=2; c=3\r\nx: y\r\n\r\n")]
    [InlineData(":method: GET\n:scheme: http\n:path: /x\nhost: a\n", "GET /x HTTP/1.1\r\nhost: a\r\n\r\n")]
    [InlineData(":method: POST\n:scheme: http\n:path: /x\n:authority: a\nte: trailers\n", "POST /x HTTP/1.1\r\nhost: a\r\nte: trailers\r\ntransfer-encoding: chunked\r\nconnection: te\r\n\r\n")]
    [InlineData(":method: POST\n:scheme: http\n:path: /x\n:authority: a\ncontent-length: 3\n", "POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\n")]
    [InlineData(":method: CONNECT\n:authority: a:80\n", "CONNECT a:80 HTTP/1.1\r\nhost: a:80\r\n\r\n")]
    public void Requests_of_http_2_written_as_http_1(string fields, string text)
    {
        var block = HeaderBlockText.Block(fields);
        Assert.Equal(Http2Fault.None, MessageRules.CheckRequest(block, ConnectForm.Plain, out var head));
        RequestTranslation.FromHttp2(block);
        var form = RequestTranslation.ToHttp1(block, head, end: head.Method == RequestMethod.Get);
        Assert.Equal(text, WriteRequest(block, form));
    }

    [Theory]
    [InlineData("GET", 200, "", false, "HTTP/1.1", "transfer-encoding: chunked\r\n")]
    [InlineData("GET", 200, "", false, "HTTP/1.1 close", "transfer-encoding: chunked\r\nconnection: close\r\n")]
    [InlineData("GET", 200, "", false, "HTTP/1.0 keep-alive", "connection: close\r\n")]
    [InlineData("GET", 200, "", true, "HTTP/1.1", "content-length: 0\r\n")]
    [InlineData("GET", 200, "content-length: 3\n", false, "HTTP/1.0 keep-alive", "content-length: 3\r\nconnection: keep-alive\r\n")]
    [InlineData("GET", 200, "content-length: 3\n", false, "HTTP/1.0", "content-length: 3\r\nconnection: close\r\n")]
    [InlineData("HEAD", 200, "content-length: 3\n", true, "HTTP/1.1", "content-length: 3\r\n")]
    [InlineData("HEAD", 200, "", true, "HTTP/1.1", "")]
    [InlineData("GET", 204, "", true, "HTTP/1.1", "")]
    [InlineData("GET", 304, "content-length: 3\n", true, "HTTP/1.1", "content-length: 3\r\n")]
    [InlineData("GET", 103, "link: x\n", false, "HTTP/1.1 close", "link: x\r\n")]
    [InlineData("CONNECT", 200, "content-length: 3\n", false, "HTTP/1.1", "")]
    [InlineData("GET", 101, "upgrade: websocket\n", false, "HTTP/1.1", "upgrade: websocket\r\nconnection: upgrade\r\n")]
    public void Responses_written_as_http_1(string method, int status, string fields, bool end, string client, string text)
    {
        var block = HeaderBlockText.Block($":status: {status}\n{fields}");
        var options = client.EndsWith("keep-alive", StringComparison.Ordinal) ? ConnectionOptions.KeepAlive : client.EndsWith("close", StringComparison.Ordinal) ? ConnectionOptions.Close : ConnectionOptions.None;
        var request = new RequestHead(client.StartsWith("HTTP/1.1", StringComparison.Ordinal) ? HttpVersion.Http11 : HttpVersion.Http10, RequestMethods.Find(Encoding.ASCII.GetBytes(method)), TargetForm.Origin, BodyFraming.None, options, false, false);
        var head = new MessageHead(RequestMethod.Other, status, block.Contains(FieldName.ContentLength) ? 3 : null) { IsUpgrade = status == 101 };
        var form = ResponseTranslation.ToHttp1(block, head, request, request.KeepsAlive, end);
        var buffer = new byte[HeadWriter.MaxSize(block)];
        Assert.True(HeadWriter.TryWriteResponse(block, form, buffer, out var written));
        var lines = Encoding.ASCII.GetString(buffer, 0, written);
        Assert.Equal(text + "\r\n", lines[(lines.IndexOf("\r\n", StringComparison.Ordinal) + 2)..]);
        // The client's parser comes to the same end of the body.
        Assert.Equal((Http1Fault.None, form.Framing.Kind), (Http1.Heads.Response(lines, request.Method).Fault, Http1.Heads.Response(lines, request.Method).Head.Framing.Kind));
    }

    [Theory]
    [InlineData("HTTP/1.1 200 OK\r\nConnection: close, X\r\nX: 1\r\nKeep-Alive: 1\r\nTransfer-Encoding: chunked\r\n", "GET", ":status: 200\n")]
    [InlineData("HTTP/1.1 204 OK\r\nContent-Length: 0\r\n", "GET", ":status: 204\n")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n", "HEAD", ":status: 200\ncontent-length: 3\n")]
    [InlineData("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n", "CONNECT", ":status: 200\n")]
    [InlineData("HTTP/1.1 426 x\r\nUpgrade: h2c\r\nConnection: upgrade\r\nContent-Length: 0\r\n", "GET", ":status: 426\ncontent-length: 0\n")]
    [InlineData("HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: upgrade\r\n", "GET", ":status: 101\nupgrade: websocket\n")]
    public void Responses_of_http_1_in_the_common_form(string text, string method, string fields)
    {
        var parser = new ResponseHeadParser();
        var block = new HeaderBlock();
        Assert.Equal(HeadStatus.Complete, parser.Parse(Encoding.ASCII.GetBytes(text + "\r\n"), RequestMethods.Find(Encoding.ASCII.GetBytes(method)), block, out _));
        ResponseTranslation.FromHttp1(block, parser.Head);
        Assert.Equal(fields, block.Text());
    }

    [Theory]
    [InlineData("GET / HTTP/1.1\r\nHost: a\r\n", "HTTP/1.1")]
    [InlineData("GET http://a/ HTTP/1.1\r\nHost: a\r\n", "HTTP/1.1; absolute-form")]
    [InlineData("GET / HTTP/1.0\r\n", "HTTP/1.0")]
    [InlineData("GET http://a/ HTTP/1.0\r\n", "HTTP/1.0; absolute-form")]
    public void The_original_version_travels_as_linkerd_writes_it(string text, string value)
    {
        var (block, head) = FromHttp1(text + "L5d-Orig-Proto: forged\r\n");
        OrigProto.Write(block, head);
        Assert.Equal(value, Encoding.ASCII.GetString(block.ValueOf(FieldName.L5dOrigProto)));
        var arrived = head with { Version = HttpVersion.Http2, AbsoluteForm = false };
        Assert.True(OrigProto.TryTake(block, ref arrived));
        Assert.Equal(head, arrived);
        Assert.False(block.Contains(FieldName.L5dOrigProto));
        Assert.False(OrigProto.TryTake(block, ref arrived));
        Assert.Equal(head, arrived);
    }

    [Fact]
    public void An_original_version_that_is_none_is_taken_away()
    {
        var block = HeaderBlockText.Block("l5d-orig-proto: HTTP/3\n");
        var head = new MessageHead(RequestMethod.Get, 0, null) { Version = HttpVersion.Http2 };
        Assert.False(OrigProto.TryTake(block, ref head));
        Assert.Equal((0, HttpVersion.Http2), (block.Count, head.Version));
    }

    [Fact]
    public void Of_a_message_that_was_http_2_no_other_version_is_said()
    {
        var block = HeaderBlockText.Block("l5d-orig-proto: HTTP/1.0\n");
        OrigProto.Write(block, new MessageHead(RequestMethod.Get, 0, null) { Version = HttpVersion.Http2 });
        Assert.Equal(0, block.Count);
    }

    [Fact]
    public void Any_request_comes_out_at_the_other_proxy_as_it_went_in()
    {
        var random = new Random(21);
        var encoder = new HpackEncoder(HuffmanUse.Never);
        var decoder = new HpackDecoder();
        for (var round = 0; round < 3_000; round++)
        {
            var version = random.Next(4) == 0 ? "HTTP/1.0" : "HTTP/1.1";
            var authority = new[] { "a", "example.com:8080", "[::1]:80" }[random.Next(3)];
            var target = random.Next(4) == 0 ? $"http://{authority}/p?{round}" : $"/p/{round}?q=%20";
            var body = random.Next(3);
            if (version == "HTTP/1.0" && body == 2) body = 1;
            var text = new StringBuilder().Append(body == 0 ? "GET" : "POST").Append(' ').Append(target).Append(' ').Append(version).Append("\r\n");
            text.Append("host: ").Append(authority).Append("\r\n");
            for (var i = random.Next(8); i > 0; i--) text.Append("x-").Append(random.Next(4)).Append(": ").Append(random.Next(3) == 0 ? "same" : random.Next().ToString(System.Globalization.CultureInfo.InvariantCulture)).Append("\r\n");
            if (random.Next(2) == 0) text.Append("cookie: a=b; c=d\r\n");
            text.Append(body switch { 0 => "", 1 => "content-length: 5\r\n", _ => "transfer-encoding: chunked\r\n" });

            // The first proxy.
            var (block, head) = FromHttp1(text.ToString());
            OrigProto.Write(block, head);
            var wire = HpackTests.Encode(encoder, block);

            // The second.
            var arrived = new HeaderBlock();
            Assert.Equal(HpackFault.None, decoder.Decode(wire, arrived));
            Assert.Equal(Http2Fault.None, MessageRules.CheckRequest(arrived, ConnectForm.Plain, out var arrivedHead));
            RequestTranslation.FromHttp2(arrived);
            Assert.True(OrigProto.TryTake(arrived, ref arrivedHead));
            Assert.Equal(head, arrivedHead);
            var form = RequestTranslation.ToHttp1(arrived, arrivedHead, end: body == 0);
            Assert.Equal(text.Append("\r\n").ToString(), WriteRequest(arrived, form));
        }
    }

    private static (HeaderBlock Block, MessageHead Head) FromHttp1(string text)
    {
        var parser = new RequestHeadParser();
        var block = new HeaderBlock();
        Assert.Equal((HeadStatus.Complete, Http1Fault.None), (parser.Parse(Encoding.ASCII.GetBytes(text + "\r\n"), block, out _), parser.Fault));
        return (block, RequestTranslation.FromHttp1(block, parser.Head));
    }

    private static string WriteRequest(HeaderBlock block, in HeadForm form)
    {
        var buffer = new byte[HeadWriter.MaxSize(block)];
        Assert.True(HeadWriter.TryWriteRequest(block, form, buffer, out var written));
        return Encoding.ASCII.GetString(buffer, 0, written);
    }
}
