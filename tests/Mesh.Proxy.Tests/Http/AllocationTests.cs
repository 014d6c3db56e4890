using System.Text;
using Mesh.Proxy.Http;
using Mesh.Proxy.Http.Hpack;
using Mesh.Proxy.Http.Http1;
using Mesh.Proxy.Http.Http2;
using Mesh.Proxy.Http.Translation;

namespace Mesh.Proxy.Tests.Http;

/// <summary>What runs for every request allocates nothing once its buffers have grown.</summary>
public sealed class AllocationTests
{
    [Fact]
    public void A_request_through_two_proxies_and_its_answer_allocate_nothing()
    {
        var requestText = Encoding.ASCII.GetBytes("POST http://a:80/x?y HTTP/1.1\r\nHost: a:80\r\nConnection: x-gone, keep-alive\r\nX-Gone: 1\r\nX-Other: 2\r\nTransfer-Encoding: chunked\r\nTE: trailers\r\nCookie: a=b\r\n\r\n");
        var responseText = Encoding.ASCII.GetBytes("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n");
        var chunks = Encoding.ASCII.GetBytes("5\r\nhello\r\n6\r\n world\r\n0\r\nX-Sum: 1\r\n\r\n");
        var requests = new RequestHeadParser();
        var responses = new ResponseHeadParser();
        var decoder = new ChunkedDecoder();
        HeaderBlock block = new(), arrived = new(), trailers = new();
        var encoder = new HpackEncoder(HuffmanUse.WhenShorter);
        var hpack = new HpackDecoder();
        var assembly = new FieldBlockAssembly();
        var buffer = new byte[16 * 1024];
        var text = new byte[16 * 1024];
        var number = 0;

        Action once = () =>
        {
            number++;
            block.Clear();
            arrived.Clear();
            trailers.Clear();
            requests.Reset();
            // In two pieces, as from a slow client.
            Expect(requests.Parse(requestText.AsSpan(0, 50), block, out var consumed) == HeadStatus.NeedMore);
            Expect(requests.Parse(requestText.AsSpan(consumed), block, out _) == HeadStatus.Complete);
            var request = requests.Head;
            OrigProto.Write(block, RequestTranslation.FromHttp1(block, request));
            Span<byte> id = stackalloc byte[12];
            number.TryFormat(id, out var digits, "x8");
            block.Add(FieldName.XRequestId, id[..digits]);
            var length = FrameWriter.WriteHeaders(buffer, 1, block, FrameFlags.None, encoder, FrameRules.MaxFrameSize);
            Expect(FrameHeader.TryRead(buffer, out var frame) && FrameRules.Check(frame, 0) == Http2Fault.None && StreamRules.Receive(StreamState.Idle, frame.Type, frame.Flags).IsAccepted);
            Expect(Payloads.ReadHeaders(frame, buffer.AsSpan(FrameHeader.Size, length - FrameHeader.Size), out var fragment) == Http2Fault.None);
            Expect(assembly.Add(frame, fragment, out var fields) == Http2Fault.None && hpack.Decode(fields, arrived) == HpackFault.None);
            Expect(MessageRules.CheckRequest(arrived, ConnectForm.Plain, out var head) == Http2Fault.None);
            RequestTranslation.FromHttp2(arrived);
            Expect(OrigProto.TryTake(arrived, ref head));
            Expect(HeadWriter.TryWriteRequest(arrived, RequestTranslation.ToHttp1(arrived, head, end: false), text, out _));

            chunks.CopyTo(buffer, 0);
            decoder.Reset();
            Expect(decoder.Decode(buffer.AsSpan(0, chunks.Length), trailers, out _, out var data) == BodyStatus.Complete && buffer.AsSpan(data).SequenceEqual("hello world"u8));
            Expect(ChunkWriter.TryWriteEnd(trailers, text, out _));

            block.Clear();
            responses.Reset();
            Expect(responses.Parse(responseText, request.Method, block, out _) == HeadStatus.Complete);
            ResponseTranslation.FromHttp1(block, responses.Head);
            Expect(MessageRules.CheckResponse(block, out head) == Http2Fault.None);
            Expect(HeadWriter.TryWriteResponse(block, ResponseTranslation.ToHttp1(block, head, request, keepAlive: true, end: false), text, out _));
        };

        for (var i = 0; i < 2_000; i++) once();
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 1_000; i++) once();
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);

        static void Expect(bool holds)
        {
            if (!holds) throw new InvalidOperationException("A step did not do what it should.");
        }
    }
}
