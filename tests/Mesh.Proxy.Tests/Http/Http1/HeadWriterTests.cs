using System.Text;
using Mesh.Proxy.Http;
using Mesh.Proxy.Http.Http1;

namespace Mesh.Proxy.Tests.Http.Http1;

public sealed class HeadWriterTests
{
    private const string Get = ":method: GET\n:scheme: http\n:authority: a:80\n:path: /x\naccept: */*\n";

    [Fact]
    public void Requests_in_all_target_forms()
    {
        Assert.Equal("GET /x HTTP/1.1\r\nhost: a:80\r\naccept: */*\r\n\r\n", Request(Get, new HeadForm(HttpVersion.Http11, BodyFraming.None)));
        Assert.Equal("GET http://a:80/x HTTP/1.0\r\nhost: a:80\r\naccept: */*\r\n\r\n", Request(Get, new HeadForm(HttpVersion.Http10, BodyFraming.None) { AbsoluteTarget = true }));
        Assert.Equal("OPTIONS http://a HTTP/1.1\r\nhost: a\r\n\r\n", Request(":method: OPTIONS\n:scheme: http\n:authority: a\n:path: *\n", new HeadForm(HttpVersion.Http11, BodyFraming.None) { AbsoluteTarget = true }));
        Assert.Equal("CONNECT a:80 HTTP/1.1\r\nhost: a:80\r\n\r\n", Request(":method: CONNECT\n:authority: a:80\n", new HeadForm(HttpVersion.Http11, BodyFraming.None)));
        Assert.Equal("GET / HTTP/1.0\r\n\r\n", Request(":method: GET\n:path: /\n", new HeadForm(HttpVersion.Http10, BodyFraming.None)));
    }

    [Fact]
    public void Framing_is_what_the_form_says()
    {
        Assert.EndsWith("accept: */*\r\ntransfer-encoding: chunked\r\n\r\n", Request(Get + "content-length: 3\n", new HeadForm(HttpVersion.Http11, BodyFraming.Chunked)), StringComparison.Ordinal);
        Assert.EndsWith("content-length: 3\r\n\r\n", Request(Get + "content-length: 3\n", new HeadForm(HttpVersion.Http11, BodyFraming.OfLength(3))), StringComparison.Ordinal);
        Assert.EndsWith("content-length: 0\r\n\r\n", Request(Get, new HeadForm(HttpVersion.Http11, BodyFraming.OfLength(0))), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("", ConnectionOptions.None, "")]
    [InlineData("", ConnectionOptions.Close, "connection: close\r\n")]
    [InlineData("", ConnectionOptions.KeepAlive, "connection: keep-alive\r\n")]
    [InlineData("upgrade: websocket\n", ConnectionOptions.None, "upgrade: websocket\r\nconnection: upgrade\r\n")]
    [InlineData("te: trailers\n", ConnectionOptions.Close, "te: trailers\r\nconnection: close, te\r\n")]
    public void Connection_names_what_belongs_to_it(string fields, object options, string text) =>
        Assert.Equal($"GET / HTTP/1.1\r\nhost: \r\n{text}\r\n", Request(":method: GET\n:path: /\n" + fields, new HeadForm(HttpVersion.Http11, BodyFraming.None) { Connection = (ConnectionOptions)options }));

    [Fact]
    public void Responses_have_their_phrase()
    {
        Assert.Equal("HTTP/1.1 200 OK\r\nserver: x\r\n\r\n", Response(":status: 200\nserver: x\n", new HeadForm(HttpVersion.Http11, BodyFraming.None)));
        Assert.Equal("HTTP/1.0 599 \r\nconnection: close\r\n\r\n", Response(":status: 599\n", new HeadForm(HttpVersion.Http10, BodyFraming.UntilClose) { Connection = ConnectionOptions.Close }));
    }

    [Fact]
    public void What_is_written_can_be_read()
    {
        var (fault, head, fields, _) = Heads.Request(Request(Get, new HeadForm(HttpVersion.Http11, BodyFraming.Chunked)));
        Assert.Equal((Http1Fault.None, BodyKind.Chunked), (fault, head.Framing.Kind));
        Assert.Equal(":method: GET\n:path: /x\nhost: a:80\naccept: */*\ntransfer-encoding: chunked\n", fields);
    }

    private static string Request(string fields, HeadForm form)
    {
        var block = HeaderBlockText.Block(fields);
        var buffer = new byte[HeadWriter.MaxSize(block)];
        Assert.True(HeadWriter.TryWriteRequest(block, form, buffer, out var written));
        for (var size = 0; size < written; size++) Assert.False(HeadWriter.TryWriteRequest(block, form, buffer.AsSpan(0, size), out _));
        Assert.True(HeadWriter.TryWriteRequest(block, form, buffer.AsSpan(0, written), out _));
        return Encoding.Latin1.GetString(buffer, 0, written);
    }

    private static string Response(string fields, HeadForm form)
    {
        var block = HeaderBlockText.Block(fields);
        var buffer = new byte[HeadWriter.MaxSize(block)];
        Assert.True(HeadWriter.TryWriteResponse(block, form, buffer, out var written));
        Assert.False(HeadWriter.TryWriteResponse(block, form, buffer.AsSpan(0, written - 1), out _));
        return Encoding.Latin1.GetString(buffer, 0, written);
    }
}
