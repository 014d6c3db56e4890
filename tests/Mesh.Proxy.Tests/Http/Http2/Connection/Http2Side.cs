using Mesh.Proxy.Http.Http2;
using Mesh.Proxy.Http.Streams;
using Mesh.Proxy.Native;
using Mesh.Proxy.Tests.Connections;
using Mesh.Proxy.Tests.Native;
using Mesh.Testing;

namespace Mesh.Proxy.Tests.Http.Http2.Connection;

/// <summary>A connection of either role on a loop, a peer that speaks frames by hand, and a recorder for the streams.</summary>
internal sealed class Http2Side : IDisposable
{
    private readonly Task<Http2End> _run;

    private Http2Side(LoopThread loop, TestClient socket, TcpTransport transport, Http2Connection connection, Exchanges exchanges)
    {
        (Loop, Peer, Connection, Exchanges) = (loop, new Http2Peer(socket), connection, exchanges);
        _run = loop.Loop.InvokeAsync(async () =>
        {
            using (transport) return await connection.RunAsync();
        });
    }

    public LoopThread Loop { get; }

    public Http2Peer Peer { get; }

    public Http2Connection Connection { get; }

    public Exchanges Exchanges { get; }

    /// <summary>A server whose client has not said anything yet.</summary>
    public static async Task<Http2Side> BareAsync(Http2Options? options = null, TimeProvider? time = null, Action<Http2Stream, string>? reacts = null, IRequestHandler? handler = null)
    {
        options ??= new Http2Options { Role = Http2Role.Server };
        var loop = new LoopThread(time);
        var exchanges = new Exchanges { Reacts = reacts };
        using var listener = await loop.ListenAsync();
        var accept = loop.On(async () => (await listener.AcceptAsync()).Transport!);
        var client = await TestClient.ConnectAsync(listener.Local);
        var transport = await accept;
        var connection = await loop.On(() => new Http2Connection(transport, options, options.Role == Http2Role.Server ? handler ?? exchanges : null));
        if (options.Role == Http2Role.Client) connection.Owner = exchanges;
        return new Http2Side(loop, client, transport, connection, exchanges);
    }

    /// <summary>A server after both sides have said their settings, the client those of <paramref name="settings"/>.</summary>
    public static async Task<Http2Side> ServerAsync(Http2Options? options = null, TimeProvider? time = null, Action<Http2Stream, string>? reacts = null, byte[]? settings = null)
    {
        var side = await BareAsync(options, time, reacts);
        await side.Peer.SendAsync(FrameHeader.Preface.ToArray(), settings ?? Http2Peer.Frames("settings 0 -"), Http2Peer.Frames("settings 0 E"));
        await side.Peer.ExpectAsync("settings", "window 0 16711681", "settings ack");
        return side;
    }

    /// <summary>A client after both sides have said their settings.</summary>
    public static async Task<Http2Side> ClientAsync(Http2Options? options = null, TimeProvider? time = null, byte[]? settings = null)
    {
        var side = await BareAsync(options ?? new Http2Options { Role = Http2Role.Client }, time);
        Assert.Equal("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", await side.Peer.Socket.ReadAsync(FrameHeader.Preface.Length));
        await side.Peer.ExpectAsync("settings", "window 0 16711681");
        await side.Peer.SendAsync(settings ?? Http2Peer.Frames("settings 0 -"), Http2Peer.Frames("settings 0 E"));
        await side.Peer.ExpectAsync("settings ack");
        return side;
    }

    /// <summary>Does something on the loop.</summary>
    public Task On(Action act) => Loop.On(() =>
    {
        act();
        return true;
    });

    /// <summary>Does something with a stream, on the loop.</summary>
    public Task On(int id, Action<Http2Stream> act) => On(() => act(Exchanges.Streams[id]));

    /// <summary>Opens a stream and makes a request on it.</summary>
    public Task<Http2Stream> RequestAsync(string method = "GET", bool end = true) => Loop.On(() =>
    {
        var stream = (Http2Stream)Connection.Open(Exchanges);
        Http1.Messages.SendRequest(stream, method, end: end);
        return stream;
    });

    /// <summary>Lets the loop come round some times.</summary>
    public Task TurnsAsync(int count) => Loop.On(async () =>
    {
        for (var i = 0; i < count; i++) await Loop.Loop.YieldAsync();
    });

    /// <summary>Lets time pass that stands still otherwise, and the loop see it.</summary>
    public Task PassAsync(ManualTime time, double seconds)
    {
        // A little more: the clock's odd frequency takes parts of a millisecond.
        time.Advance(TimeSpan.FromSeconds(seconds) + TimeSpan.FromMilliseconds(2));
        return TurnsAsync(2);
    }

    public async Task WaitForAsync(Func<bool> holds)
    {
        using var limit = new CancellationTokenSource(TestClient.Limit);
        while (!await Loop.On(holds)) limit.Token.ThrowIfCancellationRequested();
    }

    public Task<Http2End> EndAsync() => _run.WaitAsync(TestClient.Limit);

    /// <summary>The connection says GOAWAY with this code and ends by this fault.</summary>
    public async Task ExpectFaultAsync(Http2Fault fault, Http2ErrorCode code)
    {
        Assert.Equal($"{code}", await Peer.GoAwayAsync());
        Peer.Socket.Dispose();
        Assert.Equal(new Http2End(Http2EndKind.Fault, fault, IoStatus.Ok), await EndAsync());
    }

    /// <summary>As <see cref="ExpectFaultAsync"/>, for a flood.</summary>
    public Task ExpectFloodAsync() => ExpectFaultAsync(Http2Fault.Flood, Http2ErrorCode.EnhanceYourCalm);

    public void Dispose()
    {
        Peer.Socket.Dispose();
        Loop.Stop();
        Assert.True(_run.IsCompletedSuccessfully, _run.Exception?.ToString() ?? "the connection did not end");
        Assert.Equal(0, Loop.Loop.Buffers.Rented);
        Loop.Dispose();
    }
}
