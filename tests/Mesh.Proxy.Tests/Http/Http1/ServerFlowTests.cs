using Mesh.Proxy.Http;
using Mesh.Proxy.Http.Http1;
using Mesh.Proxy.Http.Streams;
using Mesh.Proxy.Native;

namespace Mesh.Proxy.Tests.Http.Http1;

/// <summary>Nobody can make a connection hold more than its bounds.</summary>
public sealed class ServerFlowTests
{
    [Theory]
    [InlineData("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 16777216\r\n\r\n")]
    [InlineData("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1000000\r\n")]
    public async Task A_body_is_read_as_fast_as_it_is_consumed(string head)
    {
        const int Length = 16 * 1024 * 1024;
        using var side = await ServerSide.StartAsync();
        side.Requests.Consumes = false;
        await side.Client.SendAsync(head);
        var send = Task.Run(async () =>
        {
            await side.Client.SendAsync(new byte[Length]);
            if (head.Contains("chunked", StringComparison.Ordinal)) await side.Client.SendAsync("\r\n0\r\n\r\n");
        }, TestContext.Current.CancellationToken);
        var consumed = 0;
        while (consumed < Length)
        {
            var want = Math.Min(Length - consumed, Http1Connection.MaxUnconsumed + 1);
            while (await side.Loop.On(() => side.Requests.Received) - consumed < want) await side.TurnsAsync(1);
            await side.TurnsAsync(5);
            var held = side.Requests.Received - consumed;
            Assert.InRange(held, 1, Http1Connection.MaxUnconsumed + NativeBuffers.BulkSize);
            consumed += held;
            await side.On(stream => stream.Consumed(held));
        }

        await send;
        Assert.Equal(Length, side.Requests.Received);
        await side.On(stream => stream.Answer("ok"));
        await side.Client.ReadUntilAsync("ok");
    }

    [Fact]
    public async Task A_client_that_reads_slowly_holds_the_sender_up()
    {
        const int Length = 32 * 1024 * 1024;
        var source = new Source(Length);
        using var side = await ServerSide.StartAsync(handler: source);
        await side.Client.SendAsync("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
        // As far as it goes.
        var given = -1;
        while (source.Given == 0 || given != source.Given)
        {
            given = source.Given;
            await side.TurnsAsync(100);
        }

        Assert.InRange(given, 1, Length - 1);
        var bound = (OutputQueue.HighWater + Source.Block) / NativeBuffers.BulkSize + 2;
        Assert.InRange(await side.RentedAsync(), 1, bound);
        var head = await side.Client.ReadUntilAsync("\r\n\r\n");
        Assert.Contains("content-length: 33554432\r\n", head, StringComparison.Ordinal);
        for (var left = Length; left > 0; left -= 1024 * 1024) await side.Client.ReadAsync(1024 * 1024);
        Assert.Equal(Length, source.Given);
        Assert.Equal(StreamFault.None, await source.Closed);
        Assert.InRange(source.MostRented, 1, bound);
    }

    [Fact]
    public async Task Pipelined_requests_wait_until_the_answers_are_read()
    {
        const int Requests = 3_000;
        var body = new string('x', 10_000);
        var most = 0;
        using var side = await ServerSide.StartAsync(reacts: (stream, what) =>
        {
            if (!what.EndsWith(" end", StringComparison.Ordinal)) return;
            most = Math.Max(most, EventLoop.RequireCurrent().Buffers.Rented);
            stream.Answer(body);
        });
        var send = side.Client.SendAsync(string.Concat(Enumerable.Repeat("GET / HTTP/1.1\r\nHost: a\r\n\r\n", Requests)));
        var answer = "HTTP/1.1 200 OK\r\ncontent-length: 10000\r\n\r\n".Length + body.Length;
        // Nothing is read until no further request is taken.
        var taken = -1L;
        while (side.Connection.Exchanges == 0 || taken != side.Connection.Exchanges)
        {
            taken = side.Connection.Exchanges;
            await side.TurnsAsync(100);
        }

        Assert.InRange(taken, 1, Requests - 1);
        for (var i = 0; i < Requests; i++) Assert.EndsWith("\r\n\r\n" + body, await side.Client.ReadAsync(answer), StringComparison.Ordinal);
        await send;
        Assert.Equal(Requests, side.Connection.Exchanges);
        Assert.InRange(most, 1, OutputQueue.HighWater / NativeBuffers.BulkSize + 4);
    }

    /// <summary>Answers with many bytes, and gives more only when what it gave is gone.</summary>
    internal sealed class Source(int length) : IRequestHandler, IStreamHandler
    {
        public const int Block = 64 * 1024;

        private static readonly byte[] _block = new byte[Block];
        private readonly TaskCompletionSource<StreamFault> _closed = new(TaskCreationOptions.RunContinuationsAsynchronously);
        private bool _giving;

        public volatile int Given;
        public volatile int Sent;
        public int MostRented;

        public Task<StreamFault> Closed => _closed.Task;

        public void Accept(HttpStream stream) => stream.Handler = this;

        public void OnHead(HttpStream stream, HeaderBlock fields, in MessageHead head, bool end)
        {
            stream.SendResponse(200, $"content-length: {length}\n");
            Give(stream);
        }

        public void OnData(HttpStream stream, ReadOnlySpan<byte> data, bool end) => stream.Consumed(data.Length);

        public void OnTrailers(HttpStream stream, HeaderBlock fields) { }

        public void OnSent(HttpStream stream, int bytes)
        {
            Sent += bytes;
            Give(stream);
        }

        public void OnClosed(HttpStream stream, StreamFault fault) => _closed.TrySetResult(fault);

        private void Give(HttpStream stream)
        {
            // What is sent within the call is told within the call.
            if (_giving) return;
            _giving = true;
            while (Given < length && Given == Sent)
            {
                Given += Block;
                stream.SendData(_block, end: Given == length);
                MostRented = Math.Max(MostRented, EventLoop.RequireCurrent().Buffers.Rented);
            }

            _giving = false;
        }
    }
}
