using System.Net;
using System.Net.Sockets;
using Mesh.Proxy.Discovery;
using Mesh.Proxy.Outbound;
using Mesh.Proxy.Settings;
using Mesh.Proxy.Tests.Connections;
using Mesh.Spiffe;
using Mesh.Testing;

namespace Mesh.Proxy.Tests.Outbound;

/// <summary>Clients that leave while the proxy works for them. Every time limit of the proxy's is an hour here, so that only their leaving can end the work.</summary>
public sealed class LeavingClientTests : IDisposable
{
    private const int Clients = 100;

    private readonly TestAuthority _authority = TestAuthority.CreateRoot();
    private readonly System.Net.Sockets.TcpListener _silent = new(IPAddress.Loopback, 0);

    public LeavingClientTests() => _silent.Start(Clients);

    public void Dispose() => _silent.Dispose();

    [Fact]
    public async Task Handshakes_end_with_their_clients()
    {
        await using var proxy = await SendingAsync(RunningProxy.Fixed(RunningProxy.Meshed(Silent, Silent)));
        var upstream = new List<Socket>();
        var clients = await ConnectAsync(proxy);
        for (var i = 0; i < Clients; i++) upstream.Add(await _silent.AcceptSocketAsync().WaitAsync(TestClient.Limit));
        foreach (var client in clients) Reset(client);
        // A ClientHello, and then the end of the connection.
        foreach (var socket in upstream) Assert.True(await EndsAsync(socket));
        await EndedEarlyAsync(proxy);
    }

    [Fact]
    public async Task Questions_to_discovery_end_with_their_clients()
    {
        var asked = new SemaphoreSlim(0);
        var given = new SemaphoreSlim(0);
        await using var proxy = await SendingAsync(DestinationLookup.None with
        {
            Resolve = async (_, limit, ct) =>
            {
                asked.Release();
                try
                {
                    await Task.Delay(limit, TimeProvider.System, ct);
                }
                finally
                {
                    given.Release();
                }

                return default;
            },
        });
        var clients = await ConnectAsync(proxy);
        for (var i = 0; i < Clients; i++) Assert.True(await asked.WaitAsync(TestClient.Limit));
        foreach (var client in clients) Reset(client);
        for (var i = 0; i < Clients; i++) Assert.True(await given.WaitAsync(TestClient.Limit));
        await EndedEarlyAsync(proxy);
    }

    [Fact]
    public async Task Dialling_ends_with_its_client()
    {
        // A listener whose queue is full answers no SYN.
        using var full = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        full.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        full.Listen(0);
        var waiting = new List<Socket>();
        for (var i = 0; i < 3; i++)
        {
            waiting.Add(new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { Blocking = false });
            _ = waiting[i].ConnectAsync(full.LocalEndPoint!);
        }

        await using var proxy = await SendingAsync(RunningProxy.Fixed(RunningProxy.Unmeshed((IPEndPoint)full.LocalEndPoint!)));
        var clients = await ConnectAsync(proxy);
        foreach (var client in clients) Reset(client);
        await EndedEarlyAsync(proxy);
        foreach (var socket in waiting) socket.Dispose();
    }

    [Fact]
    public async Task A_client_that_has_only_finished_sending_is_waited_for_and_not_for_ever()
    {
        var answers = new TaskCompletionSource<Resolution>();
        await using var application = new EchoApplication();
        await using var proxy = await SendingAsync(DestinationLookup.None with { Resolve = (_, _, ct) => new ValueTask<Resolution>(answers.Task.WaitAsync(ct)) });
        using (var stays = await TestClient.ConnectAsync(proxy.Outbound))
        {
            await stays.SendAsync("hello");
            stays.Finish();
            var found = await RunningProxy.Fixed(RunningProxy.Unmeshed(application.Address)).Resolve(HostPort.Parse("web.demo:80"), default, default);
            answers.SetResult(found);
            Assert.Equal("hello[5 bytes]", await stays.ReadToEndAsync());
        }

        answers = new TaskCompletionSource<Resolution>();
        using var leaves = await TestClient.ConnectAsync(proxy.Outbound);
        leaves.Finish();
        Assert.Equal("reset", await leaves.ReadToEndAsync());
        await proxy.Log.NextAsync("reason=client_closed_early");
    }

    [Fact]
    public async Task A_drain_that_runs_out_ends_what_is_still_being_reached_and_says_so()
    {
        await using var proxy = await SendingAsync(RunningProxy.Fixed(RunningProxy.Meshed(Silent, Silent)));
        var clients = await ConnectAsync(proxy);
        var upstream = new List<Socket>();
        for (var i = 0; i < Clients; i++) upstream.Add(await _silent.AcceptSocketAsync().WaitAsync(TestClient.Limit));
        await proxy.Plane.StopAcceptingAsync();
        Assert.Equal(Clients, await proxy.Plane.DrainAsync(TimeSpan.Zero));
        foreach (var socket in upstream) Assert.True(await EndsAsync(socket));
        for (var i = 0; i < Clients; i++) await proxy.Log.NextAsync("reason=drained");
        foreach (var client in clients) client.Dispose();
    }

    private IPEndPoint Silent => (IPEndPoint)_silent.LocalEndpoint;

    private Task<RunningProxy> SendingAsync(DestinationLookup lookup)
    {
        var id = SpiffeId.Parse("spiffe://example.org/ns/demo/sa/client");
        var settings = RunningProxy.Settings(id, "client.demo.serviceaccount.identity.mesh.example.org");
        var hour = TimeSpan.FromHours(1);
        settings = settings with
        {
            Outbound = settings.Outbound with
            {
                Services = [new OutboundService(new IPEndPoint(IPAddress.Loopback, 0), HostPort.Parse("web.demo:80"))],
                ConnectTimeout = hour,
                HandshakeTimeout = hour,
                DiscoveryTimeout = hour,
            },
        };
        return RunningProxy.StartAsync(settings, _authority.CreateSvid(id), _authority.Bundles, lookup);
    }

    private static async Task<List<TestClient>> ConnectAsync(RunningProxy proxy)
    {
        var clients = new List<TestClient>();
        for (var i = 0; i < Clients; i++)
        {
            clients.Add(await TestClient.ConnectAsync(proxy.Outbound));
            await clients[i].SendAsync("12345678");
        }

        return clients;
    }

    private static void Reset(TestClient client)
    {
        client.Socket.LingerState = new LingerOption(true, 0);
        client.Dispose();
    }

    private static async Task<bool> EndsAsync(Socket socket)
    {
        using (socket)
        {
            var buffer = new byte[4096];
            try
            {
                while (await socket.ReceiveAsync(buffer).WaitAsync(TestClient.Limit) > 0) continue;
            }
            catch (SocketException reset) when (reset.SocketErrorCode == SocketError.ConnectionReset)
            {
                // As good an end as any.
            }

            return true;
        }
    }

    private static async Task EndedEarlyAsync(RunningProxy proxy)
    {
        for (var i = 0; i < Clients; i++) await proxy.Log.NextAsync("reason=client_closed_early");
    }
}
