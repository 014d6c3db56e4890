using System.Net;
using System.Net.Sockets;
using Mesh.Proxy.Http;
using Mesh.Proxy.Http.Http1;
using Mesh.Proxy.Http.Http2;
using Mesh.Proxy.Http.Streams;
using Mesh.Proxy.Native;
using Mesh.Proxy.Tests.Connections;
using Mesh.Proxy.Tests.Native;

namespace Mesh.Proxy.Tests.Http.Http1;

/// <summary>Both kinds of connection with the simplest exchange between them.</summary>
public sealed class RelayTests
{
    [Fact]
    public async Task Requests_on_kept_connections_allocate_nothing()
    {
        const int Warm = 3_000, Counted = 1_000;
        long[] allocated = new long[2];
        var answers = new Responder(served =>
        {
            if (served == Warm) allocated[0] = GC.GetAllocatedBytesForCurrentThread();
            if (served == Warm + Counted) allocated[1] = GC.GetAllocatedBytesForCurrentThread();
        });
        using var chain = await Chain.StartAsync(answers);
        var request = "POST /x?y HTTP/1.1\r\nHost: a:80\r\nAccept: */*\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n"u8.ToArray();
        var response = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nworld\r\n0\r\n\r\n".Length;
        var buffer = new byte[response];
        for (var i = 0; i <= Warm + Counted; i++)
        {
            chain.Client.Socket.Send(request);
            for (var read = 0; read < response;) read += chain.Client.Socket.Receive(buffer, read, response - read, SocketFlags.None);
        }

        Assert.Equal(0, allocated[1] - allocated[0]);
        Assert.Equal(0, await chain.Loop.On(() => chain.Loop.Loop.Buffers.Rented));
    }

    [Fact]
    public async Task Bulk_bodies_cross_both_ways_at_the_pace_of_the_slower_side_and_whole()
    {
        const int Length = 24 * 1024 * 1024;
        using var chain = await Chain.StartAsync(new Echo());
        var random = new Random(5);
        var body = new byte[Length];
        random.NextBytes(body);
        for (var round = 0; round < 2; round++)
        {
            var send = Task.Run(async () =>
            {
                await chain.Client.SendAsync($"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {Length}\r\n\r\n");
                await chain.Client.SendAsync(body);
            }, TestContext.Current.CancellationToken);
            Assert.Equal($"HTTP/1.1 200 OK\r\ncontent-length: {Length}\r\n\r\n", await chain.Client.ReadUntilAsync("\r\n\r\n"));
            var received = new byte[Length];
            for (var read = 0; read < Length;)
            {
                read += await chain.Client.Socket.ReceiveAsync(received.AsMemory(read, Math.Min(random.Next(1, 300_000), Length - read))).AsTask().WaitAsync(TestClient.Limit);
                Assert.InRange(await chain.Loop.On(() => chain.Loop.Loop.Buffers.Rented), 0, 40);
            }

            await send;
            Assert.True(body.AsSpan().SequenceEqual(received));
        }
    }

    [Fact]
    public async Task A_tunnel_goes_through_both()
    {
        using var chain = await Chain.StartAsync(new Echo());
        await chain.Client.SendAsync("GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: echo\r\n\r\n");
        Assert.Equal("HTTP/1.1 101 Switching Protocols\r\nupgrade: echo\r\nconnection: upgrade\r\n\r\n", await chain.Client.ReadUntilAsync("\r\n\r\n"));
        Assert.Equal("hello", await chain.Client.EchoAsync("hello"));
        await chain.Client.SendAsync("bye");
        chain.Client.Finish();
        Assert.Equal("bye", await chain.Client.ReadToEndAsync());
        Assert.Equal(Http1EndKind.Closed, (await chain.Down).Kind);
        Assert.Equal(Http1EndKind.Closed, (await chain.Up).Kind);
    }

    /// <summary>A client, a server connection, a relay, a client connection, another server connection, all but the first on one loop.</summary>
    private sealed class Chain : IDisposable
    {
        private Chain(LoopThread loop, TestClient client, Task<Http1End> down, Task<Http1End> up) => (Loop, Client, Down, Up) = (loop, client, down, up);

        public LoopThread Loop { get; }

        public TestClient Client { get; }

        public Task<Http1End> Down { get; }

        public Task<Http1End> Up { get; }

        public static async Task<Chain> StartAsync(IRequestHandler application)
        {
            var loop = new LoopThread();
            using var listener = await loop.ListenAsync();
            var accept = loop.On(async () => (await listener.AcceptAsync()).Transport!);
            var client = await TestClient.ConnectAsync(listener.Local);
            var downstream = await accept;
            var (near, far) = await loop.On(() => TcpTests.PairAsync(loop.Loop));
            var relay = new Relay();
            var (down, up, end) = await loop.On(() => (new Http1ServerConnection(downstream, relay, new Http1Options()), relay.Up = new Http1ClientConnection(near, relay), new Http1ServerConnection(far, application, new Http1Options())));
            _ = Run(loop, far, end);
            return new Chain(loop, client, Run(loop, downstream, down), Run(loop, near, up));
        }

        public void Dispose()
        {
            Client.Dispose();
            Loop.Stop();
            Assert.Equal(0, Loop.Loop.Buffers.Rented);
            Loop.Dispose();
        }

        private static Task<Http1End> Run(LoopThread loop, Transport transport, Http1Connection connection) => loop.Loop.InvokeAsync(async () =>
        {
            using (transport) return await connection.RunAsync();
        });
    }

    /// <summary>Passes everything on as it is.</summary>
    private sealed class Relay : IRequestHandler, IStreamHandler, IHttp1ClientOwner
    {
        private HttpStream? _down;
        private HttpStream? _up;

        public Http1ClientConnection Up { get; set; } = null!;

        public void Accept(HttpStream stream)
        {
            stream.Handler = this;
            _down = stream;
            _up = Up.TryOpen(this);
        }

        public void OnHead(HttpStream stream, HeaderBlock fields, in MessageHead head, bool end) => Other(stream)?.SendHead(fields, head, end);

        public void OnData(HttpStream stream, ReadOnlySpan<byte> data, bool end) => Other(stream)?.SendData(data, end);

        public void OnTrailers(HttpStream stream, HeaderBlock fields) => Other(stream)?.SendTrailers(fields);

        public void OnSent(HttpStream stream, int bytes) => Other(stream)?.Consumed(bytes);

        public void OnClosed(HttpStream stream, StreamFault fault)
        {
            if (ReferenceEquals(stream, _down)) _down = null;
            else _up = null;
            if (fault.Kind != StreamFaultKind.None) Other(stream)?.Reset(Http2ErrorCode.Cancel);
        }

        public void OnIdle(Http1ClientConnection connection) { }

        public void OnClosed(Http1ClientConnection connection) { }

        private HttpStream? Other(HttpStream stream) => ReferenceEquals(stream, Up) ? _down : _up;
    }

    /// <summary>Gives back what it gets, and agrees to any upgrade.</summary>
    private sealed class Echo : IRequestHandler, IStreamHandler
    {
        public void Accept(HttpStream stream) => stream.Handler = this;

        public void OnHead(HttpStream stream, HeaderBlock fields, in MessageHead head, bool end)
        {
            if (head.IsUpgrade) stream.SendResponse(101, "upgrade: echo\n");
            else stream.SendResponse(200, $"content-length: {head.ContentLength}\n");
        }

        public void OnData(HttpStream stream, ReadOnlySpan<byte> data, bool end) => stream.SendData(data, end);

        public void OnTrailers(HttpStream stream, HeaderBlock fields) { }

        public void OnSent(HttpStream stream, int bytes) => stream.Consumed(bytes);

        public void OnClosed(HttpStream stream, StreamFault fault) { }
    }

    /// <summary>The same short answer to every request, without allocating.</summary>
    private sealed class Responder(Action<int> served) : IRequestHandler, IStreamHandler
    {
        private readonly HeaderBlock _fields = new();
        private int _served;

        public void Accept(HttpStream stream) => stream.Handler = this;

        public void OnHead(HttpStream stream, HeaderBlock fields, in MessageHead head, bool end) => served(++_served);

        public void OnData(HttpStream stream, ReadOnlySpan<byte> data, bool end)
        {
            stream.Consumed(data.Length);
            if (!end) return;
            _fields.Clear();
            _fields.Add(FieldName.Status, "200"u8);
            stream.SendHead(_fields, new MessageHead(RequestMethod.Other, 200, null), end: false);
            stream.SendData("world"u8, end: true);
        }

        public void OnTrailers(HttpStream stream, HeaderBlock fields) { }

        public void OnSent(HttpStream stream, int bytes) { }

        public void OnClosed(HttpStream stream, StreamFault fault) { }
    }
}
