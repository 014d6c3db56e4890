using Mesh.Proxy.Http;
using Mesh.Proxy.Http.Http1;

namespace Mesh.Proxy.Tests.Http.Http1;

public sealed class ResponseHeadTests
{
    [Fact]
    public void A_plain_response_is_read()
    {
        var (fault, head, fields, rest) = Heads.Response("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nServer: x\r\n\r\nabc");
        Assert.Equal(Http1Fault.None, fault);
        Assert.Equal(new ResponseHead(HttpVersion.Http11, 200, BodyFraming.OfLength(3), ConnectionOptions.None), head);
        Assert.Equal(":status: 200\ncontent-length: 3\nserver: x\n", fields);
        Assert.Equal("abc", rest);
        Assert.True(head.KeepsAlive);
    }

    [Theory]
    [InlineData("HTTP/1.1 200", true)]
    [InlineData("HTTP/1.1 200 ", true)]
    [InlineData("HTTP/1.1 599 What \t ever \x00e9", true)]
    [InlineData("HTTP/1.0 999 x", true)]
    [InlineData("HTTP/1.1 099 x", false)]
    [InlineData("HTTP/1.1 20 x", false)]
    [InlineData("HTTP/1.1 2000", false)]
    [InlineData("HTTP/1.1 2x0 x", false)]
    [InlineData("HTTP/1.1  200 x", false)]
    [InlineData("HTTP/1.2 200 x", false)]
    [InlineData("HTTP/2 200 x", false)]
    [InlineData("ICY 200 OK", false)]
    [InlineData("", false)]
    public void Status_lines_of_rfc_9112_section_4(string line, bool valid) =>
        Assert.Equal(valid ? Http1Fault.None : Http1Fault.MalformedStatusLine, Heads.Response($"{line}\r\n\r\n").Fault);

    [Theory]
    [InlineData(200, "GET", "Content-Length: 3\r\n", BodyKind.Length)]
    [InlineData(200, "GET", "Transfer-Encoding: chunked\r\n", BodyKind.Chunked)]
    [InlineData(200, "GET", "", BodyKind.UntilClose)]
    [InlineData(200, "HEAD", "Content-Length: 3\r\n", BodyKind.None)]
    [InlineData(200, "HEAD", "Transfer-Encoding: chunked\r\n", BodyKind.None)]
    [InlineData(204, "GET", "Content-Length: 3\r\n", BodyKind.None)]
    [InlineData(304, "GET", "Content-Length: 3\r\n", BodyKind.None)]
    [InlineData(304, "GET", "Transfer-Encoding: chunked\r\n", BodyKind.None)]
    [InlineData(100, "POST", "", BodyKind.None)]
    [InlineData(103, "GET", "Link: x\r\n", BodyKind.None)]
    [InlineData(101, "GET", "Connection: upgrade\r\nUpgrade: websocket\r\n", BodyKind.Tunnel)]
    [InlineData(200, "CONNECT", "", BodyKind.Tunnel)]
    [InlineData(200, "CONNECT", "Content-Length: 3\r\n", BodyKind.Tunnel)]
    [InlineData(407, "CONNECT", "Content-Length: 3\r\n", BodyKind.Length)]
    [InlineData(205, "GET", "Content-Length: 0\r\n", BodyKind.Length)]
    public void Body_length_of_rfc_9112_section_6_3(int status, string method, string fields, object kind)
    {
        var (fault, head, _, _) = Heads.Response($"HTTP/1.1 {status} x\r\n{fields}\r\n", RequestMethods.Find(System.Text.Encoding.ASCII.GetBytes(method)));
        Assert.Equal((Http1Fault.None, kind), (fault, head.Framing.Kind));
    }

    [Theory]
    [InlineData(200, "HTTP/1.1", "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n", Http1Fault.ContentLengthWithTransferEncoding)]
    [InlineData(200, "HTTP/1.1", "Content-Length: 3\r\nContent-Length: 3\r\n", Http1Fault.SeveralContentLengths)]
    [InlineData(200, "HTTP/1.1", "Transfer-Encoding: gzip\r\n", Http1Fault.UnsupportedTransferEncoding)]
    [InlineData(200, "HTTP/1.0", "Transfer-Encoding: chunked\r\n", Http1Fault.TransferEncodingInHttp10)]
    [InlineData(204, "HTTP/1.1", "Transfer-Encoding: chunked\r\n", Http1Fault.TransferEncodingWithoutBody)]
    [InlineData(100, "HTTP/1.1", "Transfer-Encoding: chunked\r\n", Http1Fault.TransferEncodingWithoutBody)]
    [InlineData(101, "HTTP/1.1", "Transfer-Encoding: chunked\r\n", Http1Fault.TransferEncodingWithoutBody)]
    [InlineData(200, "HTTP/1.1", "X: 1\r\n 2\r\n", Http1Fault.LineFolding)]
    [InlineData(200, "HTTP/1.1", "X : 1\r\n", Http1Fault.SpaceBeforeColon)]
    [InlineData(200, "HTTP/1.1", "X: 1\n", Http1Fault.BareLineFeed)]
    public void Answers_that_can_be_read_in_two_ways_are_refused(int status, string version, string fields, object fault) =>
        Assert.Equal(fault, Heads.Response($"{version} {status} x\r\n{fields}\r\n").Fault);

    [Theory]
    [InlineData("HTTP/1.1", "Content-Length: 0\r\n", true)]
    [InlineData("HTTP/1.1", "Content-Length: 0\r\nConnection: close\r\n", false)]
    [InlineData("HTTP/1.1", "", false)]
    [InlineData("HTTP/1.0", "Content-Length: 0\r\n", false)]
    [InlineData("HTTP/1.0", "Content-Length: 0\r\nConnection: keep-alive\r\n", true)]
    public void A_connection_is_kept_only_when_the_end_of_the_body_is_known(string version, string fields, bool keeps) =>
        Assert.Equal(keeps, Heads.Response($"{version} 200 x\r\n{fields}\r\n").Head.KeepsAlive);

    [Fact]
    public void Interim_responses_are_told_from_the_last_word()
    {
        Assert.True(Heads.Response("HTTP/1.1 100 Continue\r\n\r\n").Head.IsInterim);
        Assert.True(Heads.Response("HTTP/1.1 103 Early Hints\r\n\r\n").Head.IsInterim);
        Assert.False(Heads.Response("HTTP/1.1 101 Switching Protocols\r\n\r\n").Head.IsInterim);
        Assert.False(Heads.Response("HTTP/1.1 200 OK\r\n\r\n").Head.IsInterim);
    }
}
