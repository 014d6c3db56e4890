using Mesh.Proxy.Http;
using Mesh.Proxy.Http.Http2;
using Mesh.Proxy.Http.Streams;

namespace Mesh.Proxy.Tests.Http.Http2.Connection;

public sealed class ConnectionAllocationTests
{
    private const int Batch = 50;

    [Fact]
    public async Task A_thousand_requests_allocate_nothing()
    {
        using var side = await Http2Side.BareAsync(handler: new Answers());
        await side.Peer.SendAsync(FrameHeader.Preface.ToArray(), Http2Peer.Frames("settings 0 -"));
        await side.Peer.ExpectAsync("settings", "window 0 16711681", "settings ack");
        var id = 1;
        for (var i = 0; i < 40; i++) await ServeAsync();
        var before = await side.Loop.On(GC.GetAllocatedBytesForCurrentThread);
        for (var i = 0; i < 1_000 / Batch; i++) await ServeAsync();
        // What asks for the numbers allocates too, less than 16 bytes a request would be.
        Assert.InRange(await side.Loop.On(GC.GetAllocatedBytesForCurrentThread) - before, 0, 16_000);

        async Task ServeAsync()
        {
            await side.Peer.SendAsync([.. Enumerable.Range(0, Batch).Select(i => Http2Peer.Frames($"headers {id + 2 * i} H post|data {id + 2 * i} E 616263"))]);
            for (var i = 0; i < Batch; i++, id += 2) await side.Peer.ExpectAsync($"headers {id}", $"data {id} 5 end");
        }
    }

    /// <summary>Answers when a request has ended, and makes nothing new for it.</summary>
    private sealed class Answers : IRequestHandler, IStreamHandler
    {
        private readonly HeaderBlock _head = HeaderBlockText.Block(":status: 200\ncontent-length: 5\n");

        public void Accept(HttpStream stream) => stream.Handler = this;

        public void OnHead(HttpStream stream, HeaderBlock fields, in MessageHead head, bool end) { }

        public void OnData(HttpStream stream, ReadOnlySpan<byte> data, bool end)
        {
            stream.Consumed(data.Length);
            if (!end) return;
            stream.SendHead(_head, new MessageHead(RequestMethod.Other, 200, 5), end: false);
            stream.SendData("hello"u8, end: true);
        }

        public void OnTrailers(HttpStream stream, HeaderBlock fields) { }

        public void OnSent(HttpStream stream, int bytes) { }

        public void OnClosed(HttpStream stream, StreamFault fault) { }
    }
}
