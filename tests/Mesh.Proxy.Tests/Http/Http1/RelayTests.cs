using System.Globalization;
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

        // A collection in between may move the count by the size of one object.
        Assert.InRange(allocated[1] - allocated[0], 0, Counted / 2);
        Assert.Equal(0, await chain.Loop.On(() => chain.Loop.Loop.Buffers.Rented));
        // One read and one write for each message, on each side.
        var messages = Warm + Counted + 1;
        Assert.Equal((messages, messages), (chain.Downstream.Reads, chain.Downstream.Writes));
        Assert.Equal((messages, messages), (chain.Upstream.Reads, chain.Upstream.Writes));
    }

    [Fact]
    public async Task An_idle_connection_costs_little()
    {
        using var loop = new LoopThread();
        await loop.On(async () =>
        {
            var pairs = new (TcpTransport Client, TcpTransport Server)[10];
            for (var i = 0; i < pairs.Length; i++) pairs[i] = await TcpTests.PairAsync(loop.Loop);
            var connections = new Task<Http1End>[2 * pairs.Length];
            var relay = new Relay();
            long before = 0;
            for (var i = 0; i < pairs.Length; i++)
            {
                // The first brings what all share.
                if (i == 1) before = GC.GetAllocatedBytesForCurrentThread();
                connections[2 * i] = new Http1ServerConnection(pairs[i].Server, relay, new Http1Options()).RunAsync().AsTask();
                connections[2 * i + 1] = new Http1ClientConnection(pairs[i].Client, relay).RunAsync().AsTask();
            }

            Assert.InRange((GC.GetAllocatedBytesForCurrentThread() - before) / (connections.Length - 2), 1, 1_500);
            foreach (var (client, server) in pairs)
            {
                client.Dispose();
                server.Dispose();
            }

            await Task.WhenAll(connections);
        });
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Bulk_bodies_cross_both_ways_at_the_pace_of_the_slower_side_and_whole(bool tls)
    {
        const int Length = 24 * 1024 * 1024;
        using var chain = await Chain.StartAsync(new Echo(), tls);
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
    public async Task Any_requests_in_any_pieces_get_their_answers_in_order()
    {
        using var chain = await Chain.StartAsync(new Echo());
        var random = new Random(7);
        var requests = new MemoryStream();
        var answers = new MemoryStream();
        for (var i = 0; i < 400; i++)
        {
            var body = new byte[random.Next(3) == 0 ? random.Next(200_000) : random.Next(20)];
            random.NextBytes(body);
            var chunked = random.Next(2) == 0;
            requests.Write(System.Text.Encoding.ASCII.GetBytes($"POST /{i} HTTP/1.1\r\nHost: a\r\n{(chunked ? "Transfer-Encoding: chunked" : $"Content-Length: {body.Length}")}\r\nX-Length: {body.Length}\r\n\r\n"));
            answers.Write(System.Text.Encoding.ASCII.GetBytes($"HTTP/1.1 200 OK\r\ncontent-length: {body.Length}\r\n\r\n"));
            answers.Write(body);
            for (var at = 0; at < body.Length;)
            {
                var size = chunked ? Math.Min(body.Length - at, random.Next(1, 50_000)) : body.Length;
                if (chunked) requests.Write(System.Text.Encoding.ASCII.GetBytes($"{size:x}\r\n"));
                requests.Write(body, at, size);
                if (chunked) requests.Write("\r\n"u8);
                at += size;
            }

            if (chunked) requests.Write("0\r\n\r\n"u8);
        }

        var send = Task.Run(async () =>
        {
            var pieces = new Random(8);
            for (var at = 0; at < requests.Length;)
            {
                var size = (int)Math.Min(requests.Length - at, pieces.Next(2) == 0 ? pieces.Next(1, 100) : pieces.Next(1, 100_000));
                await chain.Client.SendAsync(requests.GetBuffer().AsMemory(at, size));
                at += size;
            }
        }, TestContext.Current.CancellationToken);
        var received = new byte[answers.Length];
        for (var read = 0; read < received.Length;) read += await chain.Client.Socket.ReceiveAsync(received.AsMemory(read)).AsTask().WaitAsync(TestClient.Limit);
        await send;
        Assert.True(answers.ToArray().AsSpan().SequenceEqual(received));
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_tunnel_goes_through_both(bool tls)
    {
        using var chain = await Chain.StartAsync(new Echo(), tls);
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
        private Chain(LoopThread loop, TestClient client) => (Loop, Client) = (loop, client);

        public LoopThread Loop { get; }

        public TestClient Client { get; }

        public required CountingTransport Downstream { get; init; }

        public required CountingTransport Upstream { get; init; }

        public required Task<Http1End> Down { get; init; }

        public required Task<Http1End> Up { get; init; }

        public static async Task<Chain> StartAsync(IRequestHandler application, bool tls = false)
        {
            var loop = new LoopThread();
            using var listener = await loop.ListenAsync();
            var accept = loop.On(async () => (await listener.AcceptAsync()).Transport!);
            var client = await TestClient.ConnectAsync(listener.Local);
            var downstream = new CountingTransport(await accept);
            using var parties = tls ? new TlsParties() : null;
            var (near, far) = await loop.On<(Transport, Transport)>(async () => parties is null ? await TcpTests.PairAsync(loop.Loop) : await parties.ConnectAsync(loop.Loop));
            var upstream = new CountingTransport(near);
            var relay = new Relay();
            var (down, end) = await loop.On(() =>
            {
                relay.Up = new Http1ClientConnection(upstream, relay);
                return (new Http1ServerConnection(downstream, relay, new Http1Options()), new Http1ServerConnection(far, application, new Http1Options()));
            });
            _ = Run(loop, far, end);
            return new Chain(loop, client) { Downstream = downstream, Upstream = upstream, Down = Run(loop, downstream, down), Up = Run(loop, upstream, relay.Up) };
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
            else stream.SendResponse(200, $"content-length: {head.ContentLength?.ToString(CultureInfo.InvariantCulture) ?? System.Text.Encoding.ASCII.GetString(fields.Value(fields.Find("x-length"u8)))}\n", end);
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
