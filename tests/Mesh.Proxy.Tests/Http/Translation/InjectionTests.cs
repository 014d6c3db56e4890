using System.Text;
using Mesh.Proxy.Http;
using Mesh.Proxy.Http.Http1;
using Mesh.Proxy.Http.Http2;
using Mesh.Proxy.Http.Translation;

namespace Mesh.Proxy.Tests.Http.Translation;

/// <summary>What the rules of HTTP/2 let through is, written as HTTP/1, one message with the same fields to a reader that is as strict.</summary>
public sealed class InjectionTests
{
    private static readonly string[] _names =
    [
        ":method", ":scheme", ":authority", ":path", ":status", ":protocol", "host", "cookie", "te", "content-length", "transfer-encoding", "connection", "upgrade", "x", "x y", "X", "x:", "x\r\ny", "",
    ];

    private static readonly string[] _values =
    [
        "GET", "POST", "CONNECT", "OPTIONS", "http", "a", "a:80", "/", "/x?y", "*", "", " ", "200", "trailers", "0", "5", "chunked", "close", "websocket", "v", "v w", "\u00e9",
        "/ HTTP/1.1\r\nx: y", "a\r\n\r\nGET /evil HTTP/1.1", "a\nb", "a\rb", "a\0b", "/ HTTP/1.1", "/a b", "GET / HTTP/1.1\r\n", "a/b", "a@b", "/#", "\t", "5\r\ntransfer-encoding: chunked",
    ];

    [Fact]
    public void Requests_cannot_become_two()
    {
        var random = new Random(61);
        var accepted = 0;
        for (var round = 0; round < 60_000; round++)
        {
            var fields = new HeaderBlock();
            Add(fields, ":method", random.Next(3) == 0 ? Any(_values) : "GET");
            Add(fields, ":scheme", random.Next(8) == 0 ? Any(_values) : "http");
            Add(fields, ":path", random.Next(2) == 0 ? Any(_values) : "/");
            if (random.Next(2) == 0) Add(fields, ":authority", random.Next(2) == 0 ? Any(_values) : "a");
            for (var i = random.Next(4); i > 0; i--) Add(fields, Any(_names), Any(_values));
            if (Fuzz(fields)) accepted++;

            string Any(string[] choices) => choices[random.Next(choices.Length)];
        }

        // The test would say nothing if nothing were let through.
        Assert.InRange(accepted, 1_000, 59_000);
    }

    [Fact]
    public void Responses_cannot_become_two()
    {
        var random = new Random(62);
        var accepted = 0;
        for (var round = 0; round < 20_000; round++)
        {
            var fields = new HeaderBlock();
            Add(fields, ":status", random.Next(4) == 0 ? _values[random.Next(_values.Length)] : "200");
            for (var i = random.Next(4); i > 0; i--) Add(fields, _names[random.Next(6, _names.Length)], _values[random.Next(_values.Length)]);
            if (MessageRules.CheckResponse(fields, out var head) != Http2Fault.None) continue;
            accepted++;
            var request = new RequestHead(HttpVersion.Http11, RequestMethod.Get, TargetForm.Origin, BodyFraming.None, ConnectionOptions.None, false, false);
            var form = ResponseTranslation.ToHttp1(fields, head, request, keepAlive: true, end: false);
            var buffer = new byte[HeadWriter.MaxSize(fields)];
            Assert.True(HeadWriter.TryWriteResponse(fields, form, buffer, out var written));
            var parser = new ResponseHeadParser();
            var read = new HeaderBlock();
            Assert.Equal(HeadStatus.Complete, parser.Parse(buffer.AsSpan(0, written), RequestMethod.Get, read, out var consumed));
            Assert.Equal((written, form.Framing, head.Status), (consumed, parser.Head.Framing, parser.Head.Status));
            ResponseTranslation.FromHttp1(read, parser.Head);
            Assert.Equal(fields.Text(), read.Text());
        }

        Assert.InRange(accepted, 1_000, 19_000);
    }

    /// <summary>The fuzz target; whether the fields were let through.</summary>
    internal static bool Fuzz(HeaderBlock fields)
    {
        if (MessageRules.CheckRequest(fields, ConnectForm.Plain, out var head) != Http2Fault.None) return false;
        RequestTranslation.FromHttp2(fields);
        var form = RequestTranslation.ToHttp1(fields, head, end: false);
        var buffer = new byte[HeadWriter.MaxSize(fields)];
        Assert.True(HeadWriter.TryWriteRequest(fields, form, buffer, out var written));
        var parser = new RequestHeadParser();
        var read = new HeaderBlock();
        Assert.Equal((HeadStatus.Complete, Http1Fault.None), (parser.Parse(buffer.AsSpan(0, written), read, out var consumed), parser.Fault));
        Assert.Equal((written, head.Method), (consumed, parser.Head.Method));
        if (form.Framing.Kind != BodyKind.Tunnel) Assert.Equal(form.Framing, parser.Head.Framing);
        RequestTranslation.FromHttp1(read, parser.Head);
        Assert.Equal(Sorted(fields), Sorted(read));
        return true;

        static string[] Sorted(HeaderBlock block) => [.. block.Text().Split('\n').Where(l => !l.StartsWith(":scheme", StringComparison.Ordinal) && !(l.StartsWith("content-length", StringComparison.Ordinal) && l.Length > 0 && block.ValueOf(FieldName.Method).SequenceEqual("CONNECT"u8))).Order(StringComparer.Ordinal)];
    }

    private static void Add(HeaderBlock fields, string name, string value) => fields.Add(Encoding.Latin1.GetBytes(name), Encoding.Latin1.GetBytes(value));
}
