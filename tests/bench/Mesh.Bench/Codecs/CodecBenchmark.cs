extern alias proxy;

using System.Diagnostics;
using System.Globalization;
using System.Runtime.InteropServices;
using System.Text;
using proxy::Mesh.Proxy.Http;
using proxy::Mesh.Proxy.Http.Hpack;
using proxy::Mesh.Proxy.Http.Http1;
using proxy::Mesh.Proxy.Http.Http2;
using proxy::Mesh.Proxy.Http.Translation;

namespace Mesh.Bench.Codecs;

/// <summary>
/// What the proxy's codecs cost without any I/O, in nanoseconds a head or block: for a request as curl and a browser send it, and for a gRPC call. HPACK
/// is in its steady state: the tables know what repeats, and a trace id differs every time.
/// </summary>
internal static class CodecBenchmark
{
    private const int Rounds = 9;
    private const int BatchesPerRound = 20;
    private const int Batch = 5_000;

    private static readonly TimeSpan _warmUp = TimeSpan.FromMilliseconds(500);

    private const string Curl = "GET /api/items/42?full=1 HTTP/1.1\r\nHost: web.default.svc.cluster.local:8080\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n\r\n";

    private const string Browser = "GET /api/items/42?full=1 HTTP/1.1\r\nHost: web.default.svc.cluster.local\r\nConnection: keep-alive\r\n"
        + "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0.0.0 Safari/537.36\r\n"
        + "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\nAccept-Encoding: gzip, deflate, br\r\n"
        + "Accept-Language: en-US,en;q=0.9\r\nReferer: http://web.default.svc.cluster.local/\r\nCookie: session=0123456789abcdef0123456789abcdef; theme=dark\r\n"
        + "Sec-Fetch-Mode: navigate\r\nSec-Fetch-Site: same-origin\r\nUpgrade-Insecure-Requests: 1\r\n\r\n";

    private const string Response = "HTTP/1.1 200 OK\r\nServer: nginx/1.22.1\r\nDate: Sun, 22 Nov 2026 17:00:00 GMT\r\nContent-Type: application/json\r\nContent-Length: 64\r\nConnection: keep-alive\r\n\r\n";

    public static Task<Report> RunAsync(string[] arguments)
    {
        var report = new Report("codecs");
        foreach (var (name, text) in new[] { ("curl", Curl), ("browser", Browser) }) Http1(report, name, Encoding.ASCII.GetBytes(text));
        ResponseHead(report);
        Hpack(report, "curl", FromHttp1(Curl));
        Hpack(report, "grpc", Grpc());
        Chunks(report);
        Frames(report);
        Whole(report);
        return Task.FromResult(report);
    }

    private static void Http1(Report report, string name, byte[] head)
    {
        var parser = new RequestHeadParser();
        var block = new HeaderBlock();
        Measure(report, $"http/1 request parsed, {name}", _ =>
        {
            parser.Reset();
            block.Clear();
            if (parser.Parse(head, block, out var _) != HeadStatus.Complete) throw new InvalidOperationException("The head was not parsed.");
        });
        RequestTranslation.FromHttp1(block, parser.Head);
        var buffer = new byte[4096];
        var form = new HeadForm(HttpVersion.Http11, BodyFraming.None);
        Measure(report, $"http/1 request written, {name}", _ =>
        {
            if (!HeadWriter.TryWriteRequest(block, form, buffer, out var _)) throw new InvalidOperationException("The head was not written.");
        });
    }

    private static void ResponseHead(Report report)
    {
        var head = Encoding.ASCII.GetBytes(Response);
        var parser = new ResponseHeadParser();
        var block = new HeaderBlock();
        Measure(report, "http/1 response parsed", _ =>
        {
            parser.Reset();
            block.Clear();
            if (parser.Parse(head, RequestMethod.Get, block, out var _) != HeadStatus.Complete) throw new InvalidOperationException("The head was not parsed.");
        });
    }

    private static void Hpack(Report report, string name, HeaderBlock fields)
    {
        var buffer = new byte[4096];
        var size = 0;
        var encoder = new HpackEncoder(HuffmanUse.Never);
        Measure(report, $"hpack encoded, {name}", i =>
        {
            Renew(fields, i);
            size = encoder.Encode(fields, buffer);
        });
        report.Figure($"hpack block, {name}", "bytes", [size]);

        // When the tables know what repeats, a block changes nothing in them and can be decoded again and again.
        encoder = new HpackEncoder(HuffmanUse.Never);
        var decoder = new HpackDecoder();
        var decoded = new HeaderBlock();
        for (var call = 0; call < 4; call++)
        {
            Renew(fields, call);
            size = encoder.Encode(fields, buffer);
            decoded.Clear();
            if (decoder.Decode(buffer.AsSpan(0, size), decoded) != HpackFault.None) throw new InvalidOperationException("The block was not decoded.");
        }

        Measure(report, $"hpack decoded and checked, {name}", _ =>
        {
            decoded.Clear();
            if (decoder.Decode(buffer.AsSpan(0, size), decoded) != HpackFault.None) throw new InvalidOperationException("The block was not decoded.");
            if (MessageRules.CheckRequest(decoded, ConnectForm.Plain, out var _) != Http2Fault.None) throw new InvalidOperationException("The request was refused.");
        });

        var text = Encoding.ASCII.GetBytes("Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko)");
        if (name != "curl") return;
        var encoded = new byte[Huffman.EncodedLength(text)];
        Huffman.Encode(text, encoded);
        var plain = new byte[Huffman.MaxDecoded(encoded.Length)];
        Measure(report, $"huffman decoded, {text.Length} bytes", _ =>
        {
            if (!Huffman.TryDecode(encoded, plain, out var _)) throw new InvalidOperationException("The string was not decoded.");
        });
    }

    private static void Chunks(Report report)
    {
        var body = Encoding.ASCII.GetBytes("400\r\n" + new string('x', 1024) + "\r\n400\r\n" + new string('y', 1024) + "\r\n0\r\n\r\n");
        var buffer = new byte[body.Length];
        var decoder = new ChunkedDecoder();
        var trailers = new HeaderBlock();
        Measure(report, "2 chunks of 1 KB decoded", _ =>
        {
            body.CopyTo(buffer, 0);
            decoder.Reset();
            if (decoder.Decode(buffer, trailers, out var _, out var _) != BodyStatus.Complete) throw new InvalidOperationException("The body was not decoded.");
        });
    }

    private static void Frames(Report report)
    {
        var buffer = new byte[FrameHeader.Size];
        new FrameHeader(64, FrameType.Data, FrameFlags.EndStream, 3).Write(buffer);
        Measure(report, "frame header read, checked and judged", _ =>
        {
            FrameHeader.TryRead(buffer, out var frame);
            if (FrameRules.Check(frame, 0) != Http2Fault.None || !StreamRules.Receive(StreamState.Open, frame.Type, frame.Flags).IsAccepted) throw new InvalidOperationException("The frame was refused.");
        });
    }

    /// <summary>All that a request of curl passes through in two proxies.</summary>
    private static void Whole(Report report)
    {
        var head = Encoding.ASCII.GetBytes(Curl);
        var parser = new RequestHeadParser();
        var block = new HeaderBlock();
        var arrived = new HeaderBlock();
        var encoder = new HpackEncoder(HuffmanUse.Never);
        var decoder = new HpackDecoder();
        var wire = new byte[4096];
        var text = new byte[4096];
        Measure(report, "request, http/1 to http/2 to http/1", _ =>
        {
            parser.Reset();
            block.Clear();
            arrived.Clear();
            if (parser.Parse(head, block, out var _) != HeadStatus.Complete) throw new InvalidOperationException("The head was not parsed.");
            OrigProto.Write(block, RequestTranslation.FromHttp1(block, parser.Head));
            var length = FrameWriter.WriteHeaders(wire, 1, block, FrameFlags.EndStream, encoder, FrameRules.MaxFrameSize);
            if (decoder.Decode(wire.AsSpan(FrameHeader.Size, length - FrameHeader.Size), arrived) != HpackFault.None) throw new InvalidOperationException("The block was not decoded.");
            if (MessageRules.CheckRequest(arrived, ConnectForm.Plain, out var request) != Http2Fault.None) throw new InvalidOperationException("The request was refused.");
            RequestTranslation.FromHttp2(arrived);
            OrigProto.TryTake(arrived, ref request);
            var form = RequestTranslation.ToHttp1(arrived, request, end: true);
            if (!HeadWriter.TryWriteRequest(arrived, form, text, out var _)) throw new InvalidOperationException("The head was not written.");
        });
    }

    private static HeaderBlock FromHttp1(string text)
    {
        var parser = new RequestHeadParser();
        var block = new HeaderBlock();
        parser.Parse(Encoding.ASCII.GetBytes(text), block, out _);
        RequestTranslation.FromHttp1(block, parser.Head);
        return block;
    }

    private static HeaderBlock Grpc()
    {
        var block = new HeaderBlock();
        block.Add(FieldName.Method, "POST"u8);
        block.Add(FieldName.Scheme, "http"u8);
        block.Add(FieldName.Path, "/shop.v1.Catalogue/GetItem"u8);
        block.Add(FieldName.Authority, "catalogue.shop.svc.cluster.local:8080"u8);
        block.Add(FieldName.Te, "trailers"u8);
        block.Add(FieldName.ContentType, "application/grpc"u8);
        block.Add(FieldName.UserAgent, "grpc-go/1.60.1"u8);
        block.Add(FieldName.GrpcAcceptEncoding, "gzip"u8);
        block.Add(FieldName.TraceParent, "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"u8);
        return block;
    }

    /// <summary>Another trace id in the same bytes: adding one would let the block grow.</summary>
    private static void Renew(HeaderBlock fields, int call)
    {
        if (fields.Find(FieldName.TraceParent) is not (>= 0 and var index)) return;
        var value = fields.Value(index);
        ((long)call + 1).TryFormat(MemoryMarshal.CreateSpan(ref MemoryMarshal.GetReference(value), value.Length).Slice(3, 16), out _, "x16", CultureInfo.InvariantCulture);
    }

    private static void Measure(Report report, string name, Action<int> action)
    {
        // The compiler makes its best code some 100 ms after a method became hot.
        var warm = Stopwatch.GetTimestamp();
        for (var i = 0; Stopwatch.GetElapsedTime(warm) < _warmUp; i++) action(i);
        var rounds = new double[Rounds];
        for (var round = 0; round < Rounds; round++)
        {
            // The best batch of a round: what the machine's other work does not disturb.
            var best = double.MaxValue;
            for (var batch = 0; batch < BatchesPerRound; batch++)
            {
                var started = Stopwatch.GetTimestamp();
                for (var i = 0; i < Batch; i++) action(i);
                best = Math.Min(best, Stopwatch.GetElapsedTime(started).TotalNanoseconds / Batch);
            }

            rounds[round] = best;
        }

        report.Figure(name, "ns", rounds);
    }
}
