using System.Net;
using System.Net.Sockets;
using Mesh.Proxy.Http.Http1;
using Mesh.Proxy.Http.Streams;
using Mesh.Proxy.Native;
using Mesh.Proxy.Tests.Connections;
using Mesh.Proxy.Tests.Native;

namespace Mesh.Proxy.Tests.Http.Http1;

/// <summary>A client connection on a loop, a server of the framework's sockets, and a recorder that makes the requests.</summary>
internal sealed class ClientSide : IDisposable
{
    private readonly Task<Http1End> _run;

    private ClientSide(LoopThread loop, TestClient server, TcpTransport transport, Http1ClientConnection connection, Recorder responses)
    {
        (Loop, Server, Connection, Responses) = (loop, server, connection, responses);
        _run = loop.Loop.InvokeAsync(async () =>
        {
            using (transport) return await connection.RunAsync();
        });
    }

    public LoopThread Loop { get; }

    /// <summary>The server's end.</summary>
    public TestClient Server { get; }

    public Http1ClientConnection Connection { get; }

    public Recorder Responses { get; }

    public static async Task<ClientSide> StartAsync()
    {
        var loop = new LoopThread();
        var responses = new Recorder();
        using var listener = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        listener.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        listener.Listen();
        var (_, transport) = await loop.On(() => TcpTransport.ConnectAsync(loop.Loop, (IPEndPoint)listener.LocalEndPoint!, TestClient.Limit, CancellationToken.None));
        var server = new TestClient(await listener.AcceptAsync().WaitAsync(TestClient.Limit));
        // So that a whole response can come before it is read (SO_RCVBUF of socket(7)).
        _ = Libc.SetOption(transport!.Socket.Fd, Libc.SOL_SOCKET, 8, 1024 * 1024);
        var connection = await loop.On(() => new Http1ClientConnection(transport!, responses));
        return new ClientSide(loop, server, transport!, connection, responses);
    }

    /// <summary>Does something with the connection, on the loop.</summary>
    public Task On(Action<Http1ClientConnection> act) => Loop.On(() =>
    {
        act(Connection);
        return true;
    });

    /// <summary>Opens a stream and makes a request on it, on the loop.</summary>
    public Task RequestAsync(Action<HttpStream> request) => On(connection =>
    {
        var stream = connection.TryOpen(Responses);
        Assert.NotNull(stream);
        request(stream);
    });

    /// <summary>A GET that the server has received.</summary>
    public async Task GetAsync()
    {
        await RequestAsync(stream => stream.SendRequest("GET", end: true));
        Assert.Equal("GET / HTTP/1.1\r\nhost: a\r\n\r\n", await Server.ReadUntilAsync("\r\n\r\n"));
    }

    /// <summary>One exchange from beginning to end, after which the connection has served.</summary>
    public async Task ServeAsync()
    {
        await GetAsync();
        await Server.SendAsync("HTTP/1.1 204 No Content\r\n\r\n");
        await ExpectAsync("204 end", "closed None", "idle");
    }

    public async Task ExpectAsync(params string[] events)
    {
        foreach (var expected in events) Assert.Equal(expected, await Responses.NextAsync());
    }

    public Task<Http1End> EndAsync() => _run.WaitAsync(TestClient.Limit);

    public Task<int> RentedAsync() => Loop.On(() => Loop.Loop.Buffers.Rented);

    /// <summary>Until something holds, on the loop.</summary>
    public async Task WaitForAsync(Func<bool> holds)
    {
        using var limit = new CancellationTokenSource(TestClient.Limit);
        while (!await Loop.On(holds)) limit.Token.ThrowIfCancellationRequested();
    }

    /// <summary>Bytes that have come and were not read, up to <paramref name="most"/>.</summary>
    public int Peek(int most) => ((TcpTransport)Connection.Transport).Peek(new byte[most]).Bytes;

    public void ResetByServer()
    {
        Server.Socket.LingerState = new LingerOption(true, 0);
        Server.Dispose();
    }

    public void Dispose()
    {
        Server.Dispose();
        Loop.Stop();
        Assert.Equal(0, Loop.Loop.Buffers.Rented);
        Loop.Dispose();
    }
}
