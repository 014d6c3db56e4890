using Mesh.Proxy.Http;
using Mesh.Proxy.Http.Http2;

namespace Mesh.Proxy.Tests.Http.Http2;

public sealed class MessageTests
{
    private const string Get = ":method: GET\n:scheme: http\n:path: /\n:authority: a\n";

    [Theory]
    [InlineData(Get)]
    [InlineData(":path: /\n:authority: a\n:scheme: https\n:method: GET\n")]
    [InlineData(Get + "te: trailers\nhost: A\nx: \u00e9\t y\ncookie: a\ncookie: b\n")]
    [InlineData(":method: OPTIONS\n:scheme: http\n:path: *\n:authority: a\n")]
    [InlineData(":method: CONNECT\n:authority: a:80\n")]
    [InlineData(":method: GET\n:scheme: http\n:path: /\n")] // a request of HTTP/1.0 without Host
    [InlineData(":method: GET\n:scheme: http\n:path: /\nhost: a\n")]
    public void Requests_of_section_8_3_1(string fields) => Assert.Equal(Http2Fault.None, Request(fields));

    [Theory]
    [InlineData("", Http2Fault.MissingPseudoField)]
    [InlineData(":scheme: http\n:path: /\n", Http2Fault.MissingPseudoField)]
    [InlineData(":method: GET\n:path: /\n", Http2Fault.MissingPseudoField)]
    [InlineData(":method: GET\n:scheme: http\n", Http2Fault.MissingPseudoField)]
    [InlineData(Get + ":method: GET\n", Http2Fault.DuplicatePseudoField)]
    [InlineData(Get + ":path: /b\n", Http2Fault.DuplicatePseudoField)]
    [InlineData(Get + ":authority: a\n", Http2Fault.DuplicatePseudoField)]
    [InlineData(Get + ":status: 200\n", Http2Fault.UnknownPseudoField)]
    [InlineData(Get + ":test: x\n", Http2Fault.UnknownPseudoField)]
    [InlineData(Get + ":protocol: websocket\n", Http2Fault.UnknownPseudoField)]
    [InlineData("x: y\n" + Get, Http2Fault.PseudoFieldAfterFields)]
    [InlineData(":method: GET\nx: y\n:scheme: http\n:path: /\n", Http2Fault.PseudoFieldAfterFields)]
    [InlineData(":method: \n:scheme: http\n:path: /\n", Http2Fault.BadMethod)]
    [InlineData(":method: G T\n:scheme: http\n:path: /\n", Http2Fault.BadMethod)]
    [InlineData(":method: GET\n:scheme: ftp\n:path: /\n", Http2Fault.BadScheme)]
    [InlineData(":method: GET\n:scheme: http://a\n:path: /\n", Http2Fault.BadScheme)]
    [InlineData(":method: GET\n:scheme: http\n:path: \n", Http2Fault.BadPath)]
    [InlineData(":method: GET\n:scheme: http\n:path: a\n", Http2Fault.BadPath)]
    [InlineData(":method: GET\n:scheme: http\n:path: *\n", Http2Fault.BadPath)]
    [InlineData(":method: GET\n:scheme: http\n:path: /a b\n", Http2Fault.BadPath)]
    [InlineData(":method: GET\n:scheme: http\n:path: /a HTTP/1.1\n", Http2Fault.BadPath)]
    [InlineData(":method: GET\n:scheme: http\n:path: /a\tb\n", Http2Fault.BadPath)]
    [InlineData(":method: GET\n:scheme: http\n:path: /a#b\n", Http2Fault.BadPath)]
    [InlineData(":method: GET\n:scheme: http\n:path: http://a/\n", Http2Fault.BadPath)]
    [InlineData(":method: GET\n:scheme: http\n:path: /\n:authority: \n", Http2Fault.BadAuthority)]
    [InlineData(":method: GET\n:scheme: http\n:path: /\n:authority: u@a\n", Http2Fault.BadAuthority)]
    [InlineData(":method: GET\n:scheme: http\n:path: /\n:authority: a/b\n", Http2Fault.BadAuthority)]
    [InlineData(":method: CONNECT\n:authority: a\n", Http2Fault.BadAuthority)]
    [InlineData(":method: CONNECT\n", Http2Fault.MissingPseudoField)]
    [InlineData(":method: CONNECT\n:authority: a:1\n:path: /\n", Http2Fault.BadConnect)]
    [InlineData(":method: CONNECT\n:authority: a:1\n:scheme: http\n", Http2Fault.BadConnect)]
    [InlineData(Get + "host: b\n", Http2Fault.HostDisagreesWithAuthority)]
    [InlineData(Get + "host: a\nhost: a\n", Http2Fault.HostDisagreesWithAuthority)]
    [InlineData(":method: GET\n:scheme: http\n:path: /\nhost: a b\n", Http2Fault.HostDisagreesWithAuthority)]
    [InlineData(Get + "Content-Type: x\n", Http2Fault.BadFieldName)]
    [InlineData(Get + "x y: z\n", Http2Fault.BadFieldName)]
    [InlineData(Get + "x\r: z\n", Http2Fault.BadFieldName)]
    [InlineData(Get + "x: y\r\n", Http2Fault.BadFieldValue)]
    [InlineData(Get + "x: y\rz\n", Http2Fault.BadFieldValue)]
    [InlineData(Get + "x: y\0z\n", Http2Fault.BadFieldValue)]
    [InlineData(Get + "x:  y\n", Http2Fault.BadFieldValue)]
    [InlineData(Get + "x: y\t\n", Http2Fault.BadFieldValue)]
    [InlineData(":method: GET\n:scheme: http\n:path: /\r\n", Http2Fault.BadFieldValue)]
    [InlineData(Get + "connection: close\n", Http2Fault.ConnectionSpecificField)]
    [InlineData(Get + "keep-alive: x\n", Http2Fault.ConnectionSpecificField)]
    [InlineData(Get + "proxy-connection: x\n", Http2Fault.ConnectionSpecificField)]
    [InlineData(Get + "transfer-encoding: chunked\n", Http2Fault.ConnectionSpecificField)]
    [InlineData(Get + "upgrade: h2c\n", Http2Fault.ConnectionSpecificField)]
    [InlineData(Get + "te: gzip\n", Http2Fault.BadTe)]
    [InlineData(Get + "te: trailers, deflate\n", Http2Fault.BadTe)]
    [InlineData(Get + "content-length: 1\ncontent-length: 1\n", Http2Fault.BadContentLength)]
    [InlineData(Get + "content-length: 1, 1\n", Http2Fault.BadContentLength)]
    [InlineData(Get + "content-length: +1\n", Http2Fault.BadContentLength)]
    public void Malformed_requests_are_refused(string fields, object fault) => Assert.Equal(fault, Request(fields));

    [Fact]
    public void A_line_feed_in_a_value_is_refused()
    {
        var block = HeaderBlockText.Block(Get);
        block.Add("x"u8, "a\nb"u8);
        Assert.Equal(Http2Fault.BadFieldValue, MessageRules.CheckRequest(block, ConnectForm.Plain, out _));
    }

    [Theory]
    [InlineData(":method: CONNECT\n:protocol: websocket\n:scheme: http\n:path: /chat\n:authority: a\n", Http2Fault.None)]
    [InlineData(":method: GET\n:protocol: websocket\n:scheme: http\n:path: /chat\n:authority: a\n", Http2Fault.BadConnect)]
    [InlineData(":method: CONNECT\n:protocol: a b\n:scheme: http\n:path: /chat\n:authority: a\n", Http2Fault.BadConnect)]
    [InlineData(":method: CONNECT\n:protocol: websocket\n:authority: a\n", Http2Fault.MissingPseudoField)]
    public void Extended_connect_of_rfc_8441(string fields, object fault) =>
        Assert.Equal(fault, MessageRules.CheckRequest(HeaderBlockText.Block(fields), ConnectForm.Extended, out _));

    [Fact]
    public void The_head_says_method_and_length()
    {
        Assert.Equal(Http2Fault.None, MessageRules.CheckRequest(HeaderBlockText.Block(":method: POST\n:scheme: http\n:path: /\ncontent-length: 12\n"), ConnectForm.Plain, out var head));
        Assert.Equal(new MessageHead(RequestMethod.Post, 0, 12), head);
        Assert.Equal(Http2Fault.None, MessageRules.CheckResponse(HeaderBlockText.Block(":status: 103\n"), out head));
        Assert.Equal((true, new MessageHead(RequestMethod.Other, 103, null)), (head.IsInterim, head));
    }

    [Theory]
    [InlineData(":status: 200\nx: y\n", Http2Fault.None)]
    [InlineData("", Http2Fault.MissingPseudoField)]
    [InlineData("x: y\n:status: 200\n", Http2Fault.PseudoFieldAfterFields)]
    [InlineData(":status: 200\n:status: 200\n", Http2Fault.DuplicatePseudoField)]
    [InlineData(":status: 200\n:method: GET\n", Http2Fault.UnknownPseudoField)]
    [InlineData(":status: 20\n", Http2Fault.BadStatus)]
    [InlineData(":status: 2000\n", Http2Fault.BadStatus)]
    [InlineData(":status: 2x0\n", Http2Fault.BadStatus)]
    [InlineData(":status: 020\n", Http2Fault.BadStatus)]
    [InlineData(":status: 101\n", Http2Fault.BadStatus)]
    [InlineData(":status: 200\ntransfer-encoding: chunked\n", Http2Fault.ConnectionSpecificField)]
    public void Responses_of_section_8_3_2(string fields, object fault) => Assert.Equal(fault, MessageRules.CheckResponse(HeaderBlockText.Block(fields), out _));

    [Theory]
    [InlineData("grpc-status: 0\ngrpc-message: \n", Http2Fault.None)]
    [InlineData("", Http2Fault.None)]
    [InlineData(":status: 200\n", Http2Fault.UnknownPseudoField)]
    [InlineData(":method: GET\n", Http2Fault.UnknownPseudoField)]
    [InlineData("content-length: 3\n", Http2Fault.BadTrailer)]
    [InlineData("host: a\n", Http2Fault.BadTrailer)]
    [InlineData("l5d-client-id: a\n", Http2Fault.BadTrailer)]
    [InlineData("X: y\n", Http2Fault.BadFieldName)]
    public void Trailers_of_section_8_1(string fields, object fault) => Assert.Equal(fault, MessageRules.CheckTrailers(HeaderBlockText.Block(fields)));

    private static Http2Fault Request(string fields) => MessageRules.CheckRequest(HeaderBlockText.Block(fields), ConnectForm.Plain, out _);
}
