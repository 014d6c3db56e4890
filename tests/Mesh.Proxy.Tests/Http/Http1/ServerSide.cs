using Mesh.Proxy.Http.Http1;
using Mesh.Proxy.Http.Streams;
using Mesh.Proxy.Native;
using Mesh.Proxy.Tests.Connections;
using Mesh.Proxy.Tests.Native;

namespace Mesh.Proxy.Tests.Http.Http1;

/// <summary>A server connection on a loop, a client of the framework's sockets, and a recorder that takes the requests.</summary>
internal sealed class ServerSide : IDisposable
{
    private readonly TcpTransport _transport;
    private readonly Task<Http1End> _run;

    private ServerSide(LoopThread loop, TestClient client, TcpTransport transport, Http1ServerConnection connection, Recorder requests)
    {
        (Loop, Client, _transport, Connection, Requests) = (loop, client, transport, connection, requests);
        _run = loop.Loop.InvokeAsync(async () =>
        {
            using (transport) return await connection.RunAsync();
        });
    }

    public LoopThread Loop { get; }

    public TestClient Client { get; }

    public Http1ServerConnection Connection { get; }

    public Recorder Requests { get; }

    public static async Task<ServerSide> StartAsync(Http1Options? options = null, TimeProvider? time = null, Action<HttpStream, string>? reacts = null, IRequestHandler? handler = null)
    {
        var loop = new LoopThread(time);
        var requests = new Recorder { Reacts = reacts };
        using var listener = await loop.ListenAsync();
        var accept = loop.On(async () => (await listener.AcceptAsync()).Transport!);
        var client = await TestClient.ConnectAsync(listener.Local);
        var transport = await accept;
        var connection = await loop.On(() => new Http1ServerConnection(transport, handler ?? requests, options ?? new Http1Options()));
        return new ServerSide(loop, client, transport, connection, requests);
    }

    /// <summary>Answers every request with its path when its end has come.</summary>
    public static void Echo(HttpStream stream, string what)
    {
        if (what.StartsWith("GET ", StringComparison.Ordinal)) stream.Answer(what[4..^4]);
        else if (what.EndsWith(" end", StringComparison.Ordinal) || what.StartsWith("trailers ", StringComparison.Ordinal)) stream.Answer("ok");
    }

    /// <summary>Does something with the stream, on the loop.</summary>
    public Task On(Action<HttpStream> act) => Loop.On(() =>
    {
        act(Connection);
        return true;
    });

    public Task<Http1End> EndAsync() => _run.WaitAsync(TestClient.Limit);

    public Task<int> RentedAsync() => Loop.On(() => Loop.Loop.Buffers.Rented);

    /// <summary>Lets the loop come round some times.</summary>
    public Task TurnsAsync(int count) => Loop.On(async () =>
    {
        for (var i = 0; i < count; i++) await Loop.Loop.YieldAsync();
    });

    /// <summary>Until the connection holds this many buffers: one when the beginning of something has come, none when it has been used.</summary>
    public async Task WaitUntilRentedAsync(int count)
    {
        using var limit = new CancellationTokenSource(TestClient.Limit);
        while (await RentedAsync() != count) limit.Token.ThrowIfCancellationRequested();
    }

    public void Dispose()
    {
        Client.Dispose();
        Loop.Stop();
        Assert.Equal(0, Loop.Loop.Buffers.Rented);
        Loop.Dispose();
    }
}
