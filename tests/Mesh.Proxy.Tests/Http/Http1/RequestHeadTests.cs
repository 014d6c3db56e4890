using System.Text;
using Mesh.Proxy.Http;
using Mesh.Proxy.Http.Http1;

namespace Mesh.Proxy.Tests.Http.Http1;

public sealed class RequestHeadTests
{
    [Fact]
    public void A_plain_request_is_read()
    {
        var (fault, head, fields, rest) = Heads.Request("GET /a?b=c HTTP/1.1\r\nHost: example.com\r\nUser-Agent: curl/8\r\nX-Thing:  \t v w\t \r\n\r\nnext");
        Assert.Equal(Http1Fault.None, fault);
        Assert.Equal(":method: GET\n:path: /a?b=c\nhost: example.com\nuser-agent: curl/8\nx-thing: v w\n", fields);
        Assert.Equal(new RequestHead(HttpVersion.Http11, RequestMethod.Get, TargetForm.Origin, BodyFraming.None, ConnectionOptions.None, false, false), head);
        Assert.True(head.KeepsAlive);
        Assert.Equal("next", rest);
    }

    [Fact]
    public void Requests_follow_each_other_in_one_buffer()
    {
        var parser = new RequestHeadParser();
        var block = new HeaderBlock();
        var bytes = "GET /1 HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n"u8;
        Assert.Equal(HeadStatus.Complete, parser.Parse(bytes, block, out var consumed));
        Assert.Throws<InvalidOperationException>(() => parser.Parse("GET"u8, block, out _));
        parser.Reset();
        block.Clear();
        Assert.Equal(HeadStatus.Complete, parser.Parse(bytes[consumed..], block, out consumed));
        Assert.Equal(":method: GET\n:path: /2\nhost: a\n", block.Text());
    }

    [Theory]
    [InlineData("GET / HTTP/1.1", "Origin", ":path: /\n")]
    [InlineData("GET //x/../%00?a?b|\"{}<>\\^`\x00e9 HTTP/1.1", "Origin", ":path: //x/../%00?a?b|\"{}<>\\^`\x00e9\n")]
    [InlineData("OPTIONS * HTTP/1.1", "Asterisk", ":path: *\n")]
    [InlineData("GET http://a HTTP/1.1", "Absolute", ":scheme: http\n:authority: a\n:path: /\n")]
    [InlineData("GET HTTPS://A/b HTTP/1.1", "Absolute", ":scheme: https\n:authority: A\n:path: /b\n")]
    [InlineData("GET http://a?q HTTP/1.1", "Absolute", ":scheme: http\n:authority: a\n:path: /?q\n")]
    [InlineData("OPTIONS http://a HTTP/1.1", "Absolute", ":scheme: http\n:authority: a\n:path: *\n")]
    [InlineData("OPTIONS http://a/ HTTP/1.1", "Absolute", ":scheme: http\n:authority: a\n:path: /\n")]
    [InlineData("CONNECT a:80 HTTP/1.1", "Authority", ":authority: a:80\n")]
    [InlineData("BREW /pot HTTP/1.1", "Origin", ":path: /pot\n")]
    public void Target_forms_of_rfc_9112_section_3_2(string line, string form, string pseudo)
    {
        var (fault, head, fields, _) = Heads.Request($"{line}\r\nHost: a\r\n\r\n");
        Assert.Equal(Http1Fault.None, fault);
        Assert.Equal(form, head.Form.ToString());
        Assert.Equal($":method: {line[..line.IndexOf(' ', StringComparison.Ordinal)]}\n{pseudo}host: a\n", fields);
    }

    [Theory]
    [InlineData("GET /", Http1Fault.MalformedRequestLine)] // HTTP/0.9
    [InlineData("GET  / HTTP/1.1", Http1Fault.BadTarget)]
    [InlineData("GET /  HTTP/1.1", Http1Fault.BadTarget)]
    [InlineData("GET /a b HTTP/1.1", Http1Fault.BadTarget)]
    [InlineData("GET /a\tb HTTP/1.1", Http1Fault.BadTarget)]
    [InlineData("GET\t/ HTTP/1.1", Http1Fault.MalformedRequestLine)]
    [InlineData(" GET / HTTP/1.1", Http1Fault.MalformedRequestLine)]
    [InlineData("GET / HTTP/1.1 ", Http1Fault.MalformedRequestLine)]
    [InlineData("GET HTTP/1.1", Http1Fault.MalformedRequestLine)]
    [InlineData("G@T / HTTP/1.1", Http1Fault.BadMethod)]
    [InlineData("GET: / HTTP/1.1", Http1Fault.BadMethod)]
    [InlineData("GET / http/1.1", Http1Fault.MalformedRequestLine)]
    [InlineData("GET / HTTP/1.2", Http1Fault.UnsupportedVersion)]
    [InlineData("GET / HTTP/2.0", Http1Fault.UnsupportedVersion)]
    [InlineData("GET / HTTP/1.10", Http1Fault.UnsupportedVersion)]
    [InlineData("GET / HTTP/01.1", Http1Fault.UnsupportedVersion)]
    [InlineData("GET /#f HTTP/1.1", Http1Fault.BadTarget)]
    [InlineData("GET a HTTP/1.1", Http1Fault.BadTarget)]
    [InlineData("GET a:80 HTTP/1.1", Http1Fault.BadTarget)]
    [InlineData("GET ?q HTTP/1.1", Http1Fault.BadTarget)]
    [InlineData("GET ://a/ HTTP/1.1", Http1Fault.BadTarget)]
    [InlineData("GET ftp://a/ HTTP/1.1", Http1Fault.BadTarget)]
    [InlineData("GET http:///x HTTP/1.1", Http1Fault.BadTarget)]
    [InlineData("GET http://u@a/ HTTP/1.1", Http1Fault.BadTarget)]
    [InlineData("GET http://a\\b/ HTTP/1.1", Http1Fault.BadTarget)]
    [InlineData("GET * HTTP/1.1", Http1Fault.TargetFormNotForMethod)]
    [InlineData("CONNECT / HTTP/1.1", Http1Fault.TargetFormNotForMethod)]
    [InlineData("CONNECT a HTTP/1.1", Http1Fault.BadTarget)]
    [InlineData("CONNECT a: HTTP/1.1", Http1Fault.BadTarget)]
    [InlineData("CONNECT http://a:80/ HTTP/1.1", Http1Fault.BadTarget)]
    [InlineData("PRI * HTTP/2.0", Http1Fault.UnsupportedVersion)]
    public void Request_lines_that_are_none_are_refused(string line, object fault) =>
        Assert.Equal(fault, Heads.Request($"{line}\r\nHost: a\r\n\r\n").Fault);

    [Theory]
    [InlineData("GET / HTTP/1.1\nHost: a\r\n\r\n", Http1Fault.BareLineFeed)]
    [InlineData("GET / HTTP/1.1\r\nHost: a\n\r\n", Http1Fault.BareLineFeed)]
    [InlineData("GET / HTTP/1.1\r\nHost: a\r\nX: 1\nY: 2\r\n\r\n", Http1Fault.BareLineFeed)]
    [InlineData("GET / HTTP/1.1\r\nHost: a\r\n\n", Http1Fault.BareLineFeed)]
    [InlineData("GET / HTTP/1.1\rHost: a\r\n\r\n", Http1Fault.BareCarriageReturn)]
    [InlineData("GET / HTTP/1.1\r\nX: 1\r2\r\n\r\n", Http1Fault.BareCarriageReturn)]
    [InlineData("GET / HTTP/1.1\r\nHost: a\r\r\n\r\n", Http1Fault.BareCarriageReturn)]
    [InlineData("GET / HTTP/1.1\r\nX: a\0b\r\n\r\n", Http1Fault.ControlByte)]
    [InlineData("GET / HTTP/1.1\r\nX: a\u001fb\r\n\r\n", Http1Fault.ControlByte)]
    [InlineData("GET / HTTP/1.1\r\nX: a\u007fb\r\n\r\n", Http1Fault.ControlByte)]
    [InlineData("GET /\0 HTTP/1.1\r\nHost: a\r\n\r\n", Http1Fault.ControlByte)]
    [InlineData("GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n 2\r\n\r\n", Http1Fault.LineFolding)]
    [InlineData("GET / HTTP/1.1\r\n\tHost: a\r\n\r\n", Http1Fault.LineFolding)]
    [InlineData("GET / HTTP/1.1\r\nHost : a\r\n\r\n", Http1Fault.SpaceBeforeColon)]
    [InlineData("GET / HTTP/1.1\r\nHost\t: a\r\n\r\n", Http1Fault.SpaceBeforeColon)]
    [InlineData("GET / HTTP/1.1\r\nHost\r\n\r\n", Http1Fault.BadFieldName)]
    [InlineData("GET / HTTP/1.1\r\n: a\r\n\r\n", Http1Fault.BadFieldName)]
    [InlineData("GET / HTTP/1.1\r\n:path: a\r\n\r\n", Http1Fault.BadFieldName)]
    [InlineData("GET / HTTP/1.1\r\nX(y): a\r\n\r\n", Http1Fault.BadFieldName)]
    [InlineData("GET / HTTP/1.1\r\nX\x00e9: a\r\n\r\n", Http1Fault.BadFieldName)]
    [InlineData("\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Http1Fault.MalformedRequestLine)]
    [InlineData("\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", Http1Fault.BareLineFeed)]
    public void Lines_that_parsers_read_differently_are_refused(string text, object fault) => Assert.Equal(fault, Heads.Request(text).Fault);

    [Fact]
    public void One_empty_line_before_a_request_is_left_out()
    {
        var (fault, _, fields, _) = Heads.Request("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n");
        Assert.Equal((Http1Fault.None, ":method: GET\n:path: /\nhost: a\n"), (fault, fields));
    }

    [Theory]
    [InlineData("HTTP/1.1", "", Http1Fault.MissingHost)]
    [InlineData("HTTP/1.0", "", Http1Fault.None)]
    [InlineData("HTTP/1.1", "Host: a\r\nHost: a\r\n", Http1Fault.SeveralHosts)]
    [InlineData("HTTP/1.0", "Host: a\r\nHost: b\r\n", Http1Fault.SeveralHosts)]
    [InlineData("HTTP/1.1", "Host: a, b\r\n", Http1Fault.BadHost)]
    [InlineData("HTTP/1.1", "Host: a/b\r\n", Http1Fault.BadHost)]
    [InlineData("HTTP/1.1", "Host: u@a\r\n", Http1Fault.BadHost)]
    [InlineData("HTTP/1.1", "Host:\r\n", Http1Fault.None)]
    public void Host_of_rfc_9110_section_7_2(string version, string fields, object fault) =>
        Assert.Equal(fault, Heads.Request($"GET / {version}\r\n{fields}\r\n").Fault);

    [Theory]
    [InlineData("GET http://a/ HTTP/1.1", "A", Http1Fault.None)]
    [InlineData("GET http://a/ HTTP/1.1", "b", Http1Fault.HostDisagreesWithTarget)]
    [InlineData("GET http://a:80/ HTTP/1.1", "a", Http1Fault.HostDisagreesWithTarget)]
    [InlineData("GET http://a/ HTTP/1.1", "", Http1Fault.HostDisagreesWithTarget)]
    [InlineData("CONNECT a:80 HTTP/1.1", "a:80", Http1Fault.None)]
    [InlineData("CONNECT a:80 HTTP/1.1", "a", Http1Fault.None)]
    [InlineData("CONNECT a:80 HTTP/1.1", "b:80", Http1Fault.HostDisagreesWithTarget)]
    public void Host_and_target_must_agree(string line, string host, object fault) =>
        Assert.Equal(fault, Heads.Request($"{line}\r\nHost: {host}\r\n\r\n").Fault);

    [Theory]
    [InlineData("", BodyKind.None, 0)]
    [InlineData("Content-Length: 0\r\n", BodyKind.Length, 0)]
    [InlineData("Content-Length: 42\r\n", BodyKind.Length, 42)]
    [InlineData("content-length: 0042\r\n", BodyKind.Length, 42)]
    [InlineData("Transfer-Encoding: chunked\r\n", BodyKind.Chunked, 0)]
    [InlineData("Transfer-Encoding: Chunked\r\n", BodyKind.Chunked, 0)]
    public void Body_length_of_rfc_9112_section_6_3(string fields, object kind, long length)
    {
        var (fault, head, _, _) = Heads.Request($"POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
        Assert.Equal((Http1Fault.None, kind, length), (fault, head.Framing.Kind, head.Framing.Length));
    }

    [Theory]
    [InlineData("Content-Length: 5\r\nContent-Length: 5\r\n", Http1Fault.SeveralContentLengths)]
    [InlineData("Content-Length: 5\r\nContent-Length: 6\r\n", Http1Fault.SeveralContentLengths)]
    [InlineData("Content-Length: 5, 5\r\n", Http1Fault.SeveralContentLengths)]
    [InlineData("Content-Length: +5\r\n", Http1Fault.BadContentLength)]
    [InlineData("Content-Length: -5\r\n", Http1Fault.BadContentLength)]
    [InlineData("Content-Length: 0x5\r\n", Http1Fault.BadContentLength)]
    [InlineData("Content-Length: 5 5\r\n", Http1Fault.BadContentLength)]
    [InlineData("Content-Length:\r\n", Http1Fault.BadContentLength)]
    [InlineData("Content-Length: 99999999999999999999\r\n", Http1Fault.BadContentLength)]
    [InlineData("Content-Length: 5\r\nTransfer-Encoding: chunked\r\n", Http1Fault.ContentLengthWithTransferEncoding)]
    [InlineData("Transfer-Encoding: chunked\r\nContent-Length: 5\r\n", Http1Fault.ContentLengthWithTransferEncoding)]
    [InlineData("Transfer-Encoding: identity\r\nContent-Length: 5\r\n", Http1Fault.ContentLengthWithTransferEncoding)]
    [InlineData("Transfer-Encoding: gzip, chunked\r\n", Http1Fault.UnsupportedTransferEncoding)]
    [InlineData("Transfer-Encoding: chunked, identity\r\n", Http1Fault.UnsupportedTransferEncoding)]
    [InlineData("Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n", Http1Fault.UnsupportedTransferEncoding)]
    [InlineData("Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n", Http1Fault.UnsupportedTransferEncoding)]
    [InlineData("Transfer-Encoding: xchunked\r\n", Http1Fault.UnsupportedTransferEncoding)]
    [InlineData("Transfer-Encoding: \"chunked\"\r\n", Http1Fault.UnsupportedTransferEncoding)]
    [InlineData("Transfer-Encoding: chunked;q=1\r\n", Http1Fault.UnsupportedTransferEncoding)]
    [InlineData("Transfer-Encoding: chunked,\r\n", Http1Fault.UnsupportedTransferEncoding)]
    [InlineData("Transfer-Encoding:\r\n", Http1Fault.UnsupportedTransferEncoding)]
    [InlineData("Transfer-Encoding : chunked\r\n", Http1Fault.SpaceBeforeColon)]
    [InlineData("Transfer-Encoding: chun\u000bked\r\n", Http1Fault.ControlByte)]
    public void Smuggling_shapes_are_refused(string fields, object fault) =>
        Assert.Equal(fault, Heads.Request($"POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n").Fault);

    [Fact]
    public void Http_1_0_has_no_chunks_no_expectations_and_no_upgrades()
    {
        Assert.Equal(Http1Fault.TransferEncodingInHttp10, Heads.Request("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n").Fault);
        var head = Heads.Request("POST / HTTP/1.0\r\nConnection: upgrade\r\nUpgrade: websocket\r\nExpect: 100-continue\r\n\r\n").Head;
        Assert.False(head.AsksForUpgrade);
        Assert.False(head.ExpectsContinue);
    }

    [Theory]
    [InlineData("HTTP/1.1", "", true)]
    [InlineData("HTTP/1.1", "Connection: close\r\n", false)]
    [InlineData("HTTP/1.1", "Connection: x, CLOSE\r\n", false)]
    [InlineData("HTTP/1.1", "Connection: x\r\nConnection: close\r\n", false)]
    [InlineData("HTTP/1.0", "", false)]
    [InlineData("HTTP/1.0", "Connection: Keep-Alive\r\n", true)]
    [InlineData("HTTP/1.0", "Connection: keep-alive, close\r\n", false)]
    public void Persistence_of_rfc_9112_section_9_3(string version, string fields, bool keepsAlive) =>
        Assert.Equal(keepsAlive, Heads.Request($"GET / {version}\r\nHost: a\r\n{fields}\r\n").Head.KeepsAlive);

    [Fact]
    public void Connection_is_a_list_of_tokens()
    {
        Assert.Equal(Http1Fault.BadConnectionOption, Heads.Request("GET / HTTP/1.1\r\nHost: a\r\nConnection: a b\r\n\r\n").Fault);
        Assert.Equal(ConnectionOptions.Fields | ConnectionOptions.Close, Heads.Request("GET / HTTP/1.1\r\nHost: a\r\nConnection: ,x-y ,,close\r\n\r\n").Head.Options);
    }

    [Fact]
    public void Upgrade_and_expectation_are_told()
    {
        var head = Heads.Request("GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nExpect: 100-Continue\r\n\r\n").Head;
        Assert.True(head.AsksForUpgrade);
        Assert.True(head.ExpectsContinue);
        Assert.False(Heads.Request("GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n\r\n").Head.AsksForUpgrade);
    }

    [Fact]
    public void Connect_has_no_body()
    {
        Assert.Equal(Http1Fault.BodyInConnect, Heads.Request("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nContent-Length: 1\r\n\r\n").Fault);
        Assert.Equal(Http1Fault.BodyInConnect, Heads.Request("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nTransfer-Encoding: chunked\r\n\r\n").Fault);
        Assert.Equal(Http1Fault.None, Heads.Request("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nContent-Length: 0\r\n\r\n").Fault);
    }

    [Fact]
    public void Limits_are_where_they_say()
    {
        // The line with its end is exactly the limit, then one more.
        var path = new string('a', HttpLimits.MaxRequestLine - "GET / HTTP/1.1\r\n".Length);
        Assert.Equal(Http1Fault.None, Heads.Request($"GET /{path} HTTP/1.1\r\nHost: a\r\n\r\n").Fault);
        Assert.Equal(Http1Fault.RequestLineTooLong, Heads.Request($"GET /{path}a HTTP/1.1\r\nHost: a\r\n\r\n").Fault);

        var value = new string('v', HttpLimits.MaxFieldLine - "X: \r\n".Length);
        Assert.Equal(Http1Fault.None, Heads.Request($"GET / HTTP/1.1\r\nHost: a\r\nX: {value}\r\n\r\n").Fault);
        Assert.Equal(Http1Fault.FieldLineTooLong, Heads.Request($"GET / HTTP/1.1\r\nHost: a\r\nX: {value}v\r\n\r\n").Fault);

        var fields = string.Concat(Enumerable.Repeat("X: 1\r\n", HttpLimits.MaxFields - 1));
        Assert.Equal(Http1Fault.None, Heads.Request($"GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n").Fault);
        Assert.Equal(Http1Fault.TooManyFields, Heads.Request($"GET / HTTP/1.1\r\nHost: a\r\n{fields}X: 1\r\n\r\n").Fault);

        const string Rest = "GET / HTTP/1.1\r\nHost: a\r\nX: \r\nY: \r\nZ: \r\n\r\n";
        var third = (HttpLimits.MaxHead - Rest.Length) / 3;
        string Big(int extra) => $"GET / HTTP/1.1\r\nHost: a\r\nX: {new string('x', third)}\r\nY: {new string('y', third)}\r\nZ: {new string('z', HttpLimits.MaxHead - Rest.Length - 2 * third + extra)}\r\n\r\n";
        Assert.Equal(Http1Fault.None, Heads.Request(Big(0)).Fault);
        Assert.Equal(Http1Fault.HeadTooLong, Heads.Request(Big(1)).Fault);
    }

    [Fact]
    public void A_head_without_line_ends_is_refused_before_it_fills_a_buffer()
    {
        var parser = new RequestHeadParser();
        Assert.Equal(HeadStatus.Refused, parser.Parse(new byte[HttpLimits.MaxRequestLine - 1].Select(_ => (byte)'a').ToArray(), new HeaderBlock(), out _));
        Assert.Equal(Http1Fault.RequestLineTooLong, parser.Fault);
    }

    [Fact]
    public void Each_fault_has_its_sentence_and_a_status_of_the_client()
    {
        var faults = Enum.GetValues<Http1Fault>();
        Assert.Equal(faults.Length, faults.Select(Http1Faults.Sentence).Distinct().Count());
        Assert.All(faults, fault => Assert.Contains(Http1Faults.Status(fault), new[] { 400, 414, 431, 501, 505 }));
        Assert.Equal((414, 431, 501, 505, 400), (
            Http1Faults.Status(Http1Fault.RequestLineTooLong),
            Http1Faults.Status(Http1Fault.HeadTooLong),
            Http1Faults.Status(Http1Fault.UnsupportedTransferEncoding),
            Http1Faults.Status(Http1Fault.UnsupportedVersion),
            Http1Faults.Status(Http1Fault.BareLineFeed)));
    }

    [Fact]
    public void No_bytes_break_it()
    {
        string[] pieces = ["GET ", "/", " HTTP/1.1", "\r\n", "\n", "\r", "Host: a", "Content-Length: 1", "Transfer-Encoding: chunked", " ", "\t", ":", "http://a", "\0", "CONNECT a:1", "é", "Connection: "];
        var random = new Random(91);
        for (var round = 0; round < 20_000; round++)
        {
            var text = new StringBuilder();
            for (var i = random.Next(12); i >= 0; i--) text.Append(pieces[random.Next(pieces.Length)]);
            Fuzz(Encoding.Latin1.GetBytes(text.ToString()), random.Next());
        }
    }

    /// <summary>The fuzz target: however the bytes are cut, the answer is the same, and what is accepted is what a strict reader would accept.</summary>
    internal static void Fuzz(byte[] bytes, int seed)
    {
        var whole = new RequestHeadParser();
        var wholeBlock = new HeaderBlock();
        var status = whole.Parse(bytes, wholeBlock, out var consumed);
        var random = new Random(seed);
        var parts = new RequestHeadParser();
        var block = new HeaderBlock();
        var partStatus = HeadStatus.NeedMore;
        int start = 0, end = 0;
        while (partStatus == HeadStatus.NeedMore && end < bytes.Length)
        {
            end = Math.Min(bytes.Length, end + random.Next(1, 6));
            partStatus = parts.Parse(bytes.AsSpan(start, end - start), block, out var taken);
            start += taken;
        }

        if (bytes.Length == 0) return;
        Assert.Equal((status, whole.Fault), (partStatus, parts.Fault));
        if (status != HeadStatus.Complete) return;
        Assert.Equal((consumed, whole.Head, wholeBlock.Text()), (start, parts.Head, block.Text()));
        var head = Encoding.Latin1.GetString(bytes, 0, consumed);
        Assert.DoesNotContain('\n', head.Replace("\r\n", "", StringComparison.Ordinal));
        Assert.DoesNotContain('\r', head.Replace("\r\n", "", StringComparison.Ordinal));
        Assert.DoesNotContain('\0', head);
    }
}
