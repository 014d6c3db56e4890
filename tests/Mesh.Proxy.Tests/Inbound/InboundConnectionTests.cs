using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Text;
using Mesh.Proxy.Connections;
using Mesh.Proxy.Detect;
using Mesh.Proxy.Logging;
using Mesh.Proxy.Policy;
using Mesh.Proxy.Tests.Connections;
using Mesh.Proxy.Tests.Detect;
using Mesh.Spiffe;
using Mesh.Testing;

namespace Mesh.Proxy.Tests.Inbound;

public sealed class InboundConnectionTests : IAsyncLifetime
{
    private const string ServerName = "web.demo.serviceaccount.identity.mesh.example.org";
    private static readonly SpiffeId Web = SpiffeId.Parse("spiffe://example.org/ns/demo/sa/web");
    private static readonly SpiffeId Client = SpiffeId.Parse("spiffe://example.org/ns/demo/sa/client");

    private readonly TestAuthority _authority = TestAuthority.CreateRoot();
    private readonly EchoApplication _application = new();

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public ValueTask DisposeAsync() => _application.DisposeAsync();

    // policy, then what becomes of: a peer with a certificate, TLS without one, plaintext. The tests' addresses are in the cluster networks.
    [Theory]
    [InlineData(InboundPolicy.AllUnauthenticated, true, true, true)]
    [InlineData(InboundPolicy.AllAuthenticated, true, false, false)]
    [InlineData(InboundPolicy.ClusterUnauthenticated, true, true, true)]
    [InlineData(InboundPolicy.ClusterAuthenticated, true, false, false)]
    [InlineData(InboundPolicy.Deny, false, false, false)]
    [InlineData(InboundPolicy.Audit, true, true, true)]
    internal async Task Each_policy_meets_each_kind_of_peer(InboundPolicy policy, bool certified, bool anonymous, bool plaintext)
    {
        await using var proxy = await RunningProxy.ReceivingAsync(
            _application.Address, _authority, policy, change: i => i with { ClusterNetworks = [IPNetwork.Parse("127.0.0.0/8")] });
        Assert.Equal(certified, await AnswersTlsAsync(proxy.Inbound, _authority.CreateSvid(Client)));
        Assert.Contains($"peer={Client}", await proxy.Log.NextAsync(certified ? "reason=completed" : "reason=policy_denied"), StringComparison.Ordinal);
        Assert.Equal(anonymous, await AnswersTlsAsync(proxy.Inbound, null));
        Assert.Contains("no_peer=no_client_certificate", await proxy.Log.NextAsync(anonymous ? "reason=completed" : "reason=policy_denied"), StringComparison.Ordinal);
        Assert.Equal(plaintext ? "hi" : "reset", await TestClient.TryAsync(proxy.Inbound, "hi", read: 2));
        Assert.Contains("no_peer=no_tls_from_remote", await proxy.Log.NextAsync(plaintext ? "reason=" : "reason=policy_denied", "no_peer=no_tls_from_remote"), StringComparison.Ordinal);

        var expected = new[] { certified, anonymous, plaintext }.Count(allowed => !allowed);
        var denied = (await proxy.MetricsAsync()).Split('\n').Where(l => l.StartsWith("inbound_tcp_authz_deny_total{", StringComparison.Ordinal)).ToList();
        Assert.Equal(expected, denied.Count);
        Assert.All(denied, l => Assert.Contains($"srv_name=\"{policy.Label()}\"", l, StringComparison.Ordinal));
    }

    [Fact]
    public async Task Peers_outside_the_cluster_are_refused_by_cluster_policies()
    {
        await using var proxy = await RunningProxy.ReceivingAsync(
            _application.Address, _authority, InboundPolicy.ClusterUnauthenticated, change: i => i with { ClusterNetworks = [IPNetwork.Parse("10.0.0.0/8")] });
        Assert.False(await AnswersTlsAsync(proxy.Inbound, _authority.CreateSvid(Client)));
        await proxy.Log.NextAsync("reason=policy_denied", "detail=outside_cluster");
    }

    [Fact]
    public async Task Audited_connections_say_so()
    {
        await using var proxy = await RunningProxy.ReceivingAsync(_application.Address, _authority, InboundPolicy.Audit);
        Assert.Equal("hi", await TestClient.TryAsync(proxy.Inbound, "hi", read: 2));
        await proxy.Log.NextAsync("connection ended", "audited=True");
        Assert.Contains("authz_name=\"audit\"", await proxy.MetricsAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_client_with_the_local_port_of_a_connection_we_dialled_is_no_loop()
    {
        // The kernel gives one local port to sockets with different destinations; IP_LOCAL_PORT_RANGE (ip(7)) makes it do so here.
        const int bindAddressNoPort = 24, localPortRange = 51;
        using var listener = new System.Net.Sockets.TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        await using var proxy = await RunningProxy.ReceivingAsync((IPEndPoint)listener.LocalEndpoint, _authority, InboundPolicy.AllUnauthenticated);
        using var first = await TestClient.ConnectAsync(proxy.Inbound);
        await first.SendAsync("one");
        using var dialled = await listener.AcceptSocketAsync();
        var port = ((IPEndPoint)dialled.RemoteEndPoint!).Port;

        using var second = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { ReceiveTimeout = 30_000 };
        try
        {
            second.SetRawSocketOption(0, bindAddressNoPort, BitConverter.GetBytes(1));
            second.SetRawSocketOption(0, localPortRange, BitConverter.GetBytes((uint)(port << 16 | port)));
        }
        catch (SocketException)
        {
            Assert.Skip("this kernel has no IP_LOCAL_PORT_RANGE (Linux 6.3)");
        }

        await second.ConnectAsync(proxy.Inbound);
        Assert.Equal(port, ((IPEndPoint)second.LocalEndPoint!).Port);
        await second.SendAsync("two"u8.ToArray());
        using var served = await listener.AcceptSocketAsync().WaitAsync(TestClient.Limit);
        var bytes = new byte[3];
        Assert.Equal(3, await served.ReceiveAsync(bytes));
        Assert.Equal("two"u8.ToArray(), bytes);
    }

    [Fact]
    public async Task A_flood_of_refused_connections_is_no_flood_of_log_lines()
    {
        var time = new ManualTime(DateTimeOffset.UtcNow);
        var settings = RunningProxy.Settings(Web);
        settings = settings with
        {
            AccessLog = false,
            Inbound = settings.Inbound with { Services = [new(new IPEndPoint(IPAddress.Loopback, 0), _application.Address)] },
        };
        await using var proxy = await RunningProxy.StartAsync(settings, _authority.CreateSvid(Web), _authority.Bundles, time: time, level: LogLevel.Info);
        for (var i = 0; i < 100; i++) Assert.Equal("reset", await TestClient.TryAsync(proxy.Inbound, "hi"));
        // The client sees the reset a moment before the line is counted; the loop answers this after it.
        Assert.Contains("mesh_proxy_connection_ends_total{direction=\"inbound\",reason=\"policy_denied\"} 100\n", await proxy.MetricsAsync(), StringComparison.Ordinal);
        time.Advance(TimeSpan.FromSeconds(1.1));
        Assert.Equal("reset", await TestClient.TryAsync(proxy.Inbound, "hi"));
        for (var i = 0; i < 20; i++) Assert.DoesNotContain("left_out", await proxy.Log.NextAsync("reason=policy_denied"), StringComparison.Ordinal);
        Assert.EndsWith(" left_out=80", await proxy.Log.NextAsync("reason=policy_denied"), StringComparison.Ordinal);
        Assert.Contains("mesh_proxy_connection_ends_total{direction=\"inbound\",reason=\"policy_denied\"} 101\n", await proxy.MetricsAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Tls_that_is_for_the_application_passes_untouched()
    {
        var other = TestAuthority.CreateRoot("other.example");
        var svid = other.CreateSvid("spiffe://other.example/app");
        using var listener = new System.Net.Sockets.TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var serving = ServeTlsOnceAsync(listener, svid);
        await using var proxy = await RunningProxy.ReceivingAsync((IPEndPoint)listener.LocalEndpoint, _authority, InboundPolicy.AllUnauthenticated);
        using var client = await TestClient.ConnectAsync(proxy.Inbound);
        await using var tls = new SslStream(new NetworkStream(client.Socket));
        await tls.AuthenticateAsClientAsync(
            SvidTls.Client(() => null, other.Bundles, SpiffeId.Parse("spiffe://other.example/app"), "app.other.example", TimeProvider.System)).WaitAsync(TestClient.Limit);
        await tls.WriteAsync("hello"u8.ToArray());
        var answer = new byte[5];
        await tls.ReadExactlyAsync(answer).AsTask().WaitAsync(TestClient.Limit);
        Assert.Equal("hello", Encoding.ASCII.GetString(answer));
        client.Dispose();
        await serving.WaitAsync(TestClient.Limit);
        await proxy.Log.NextAsync("connection ended", "no_peer=foreign_tls");
        Assert.Contains("tls=\"opaque\"", await proxy.MetricsAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Tls_for_the_application_is_not_authenticated()
    {
        await using var proxy = await RunningProxy.ReceivingAsync(_application.Address, _authority);
        Assert.Equal("reset", await TestClient.TryAsync(proxy.Inbound, Encoding.Latin1.GetString(HelloBytes.Build("app.example"))));
        await proxy.Log.NextAsync("reason=policy_denied", "no_peer=foreign_tls");
    }

    [Fact]
    public async Task A_hello_in_segments_of_one_byte_is_understood()
    {
        await using var proxy = await RunningProxy.ReceivingAsync(_application.Address, _authority);
        using var client = await TestClient.ConnectAsync(proxy.Inbound);
        await using var tls = new SslStream(new OneByteWrites(client.Socket));
        await tls.AuthenticateAsClientAsync(Options(_authority.CreateSvid(Client))).WaitAsync(TestClient.Limit);
        await tls.WriteAsync("x"u8.ToArray());
        var answer = new byte[1];
        await tls.ReadExactlyAsync(answer).AsTask().WaitAsync(TestClient.Limit);
        Assert.Equal((byte)'x', answer[0]);
    }

    [Fact]
    public async Task A_header_leads_to_the_application_and_only_there()
    {
        await using var proxy = await RunningProxy.ReceivingAsync(_application.Address, _authority);
        Assert.Equal("hi", await WithHeaderAsync(proxy.Inbound, TransportHeader.ForPort(_application.Address.Port).ToBytes(), "hi"));
        await proxy.Log.NextAsync("reason=completed");
        Assert.Null(await WithHeaderAsync(proxy.Inbound, TransportHeader.ForPort(1).ToBytes(), "hi"));
        await proxy.Log.NextAsync("reason=unknown_port", "port 1");
        Assert.Null(await WithHeaderAsync(proxy.Inbound, Encoding.ASCII.GetBytes("GET / HTTP/1.1\r\nHost: somewhere\r\n\r\n"), ""));
        await proxy.Log.NextAsync("reason=transport_header_invalid", "NoPreface");
        var long_ = TransportHeader.ForPort(80).ToBytes();
        long_[24] = 1;
        Assert.Null(await WithHeaderAsync(proxy.Inbound, long_, ""));
        await proxy.Log.NextAsync("reason=transport_header_invalid", "TooLong");
    }

    [Fact]
    public async Task The_shared_listener_takes_direct_connections_with_certificate_and_header_only()
    {
        var settings = RunningProxy.Settings(Web);
        settings = settings with { Inbound = settings.Inbound with { Listen = new IPEndPoint(IPAddress.Loopback, 0), Policy = InboundPolicy.AllUnauthenticated } };
        await using var proxy = await RunningProxy.StartAsync(settings, _authority.CreateSvid(Web), _authority.Bundles);
        Assert.Equal("hi", await WithHeaderAsync(proxy.Inbound, TransportHeader.ForPort(_application.Address.Port).ToBytes(), "hi"));
        await proxy.Log.NextAsync("reason=completed", $"target={_application.Address}");

        Assert.Null(await WithHeaderAsync(proxy.Inbound, TransportHeader.ForPort(_application.Address.Port).ToBytes(), "hi", anonymous: true));
        await proxy.Log.NextAsync("reason=policy_denied", "client certificate");
        Assert.False(await AnswersTlsAsync(proxy.Inbound, _authority.CreateSvid(Client)));
        await proxy.Log.NextAsync("reason=policy_denied", "transport header");
        Assert.Equal("reset", await TestClient.TryAsync(proxy.Inbound, "plain"));
        await proxy.Log.NextAsync("reason=policy_denied", "mutual TLS");

        // The proxy's own port as the application would be a loop.
        Assert.Null(await WithHeaderAsync(proxy.Inbound, TransportHeader.ForPort(proxy.Inbound.Port).ToBytes(), "hi"));
        await proxy.Log.NextAsync("reason=loop_refused");
    }

    [Fact]
    public void The_network_cannot_reach_the_admin_endpoint_through_the_proxy()
    {
        var own = new OwnListeners([new IPEndPoint(IPAddress.Any, 4143), new IPEndPoint(IPAddress.Loopback, 4191)]);
        Assert.True(own.Contains(new IPEndPoint(IPAddress.Loopback, 4191)));
        Assert.True(own.Contains(new IPEndPoint(IPAddress.Any, 4191)));
        Assert.True(own.Contains(new IPEndPoint(IPAddress.Parse("::ffff:127.0.0.1"), 4143)));
        Assert.True(own.Contains(new IPEndPoint(IPAddress.Loopback, 4143)));
        Assert.False(own.Contains(new IPEndPoint(IPAddress.Parse("192.0.2.1"), 4143)));
        Assert.False(own.Contains(new IPEndPoint(IPAddress.Loopback, 8080)));
    }

    [Fact]
    public async Task An_application_that_does_not_listen_is_a_connect_failure()
    {
        var application = new EchoApplication();
        var nowhere = application.Address;
        await application.DisposeAsync();
        await using var proxy = await RunningProxy.ReceivingAsync(nowhere, _authority, InboundPolicy.AllUnauthenticated);
        Assert.Equal("reset", await TestClient.TryAsync(proxy.Inbound, "hi"));
        await proxy.Log.NextAsync("reason=connect_failed", "detail=Refused");
    }

    [Fact]
    public async Task A_silent_client_is_a_server_first_protocol()
    {
        using var listener = new System.Net.Sockets.TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        await using var proxy = await RunningProxy.ReceivingAsync(
            (IPEndPoint)listener.LocalEndpoint, _authority, InboundPolicy.AllUnauthenticated, change: i => i with { DetectTimeout = TimeSpan.FromMilliseconds(50) });
        using var client = await TestClient.ConnectAsync(proxy.Inbound);
        using var server = await listener.AcceptSocketAsync().WaitAsync(TestClient.Limit);
        await server.SendAsync("220 ready"u8.ToArray());
        Assert.Equal("220 ready", await client.ReadAsync(9));
    }

    [Fact]
    public async Task Slow_clients_meet_a_limit()
    {
        await using var proxy = await RunningProxy.ReceivingAsync(
            _application.Address, _authority, InboundPolicy.AllUnauthenticated, change: i => i with { DetectTimeout = TimeSpan.FromMilliseconds(50) });
        var hello = await HelloBytes.RealAsync(ServerName);
        Assert.Equal("reset", await TestClient.TryAsync(proxy.Inbound, Encoding.Latin1.GetString(hello.AsSpan(0, 50))));
        await proxy.Log.NextAsync("reason=detect_timeout");
        await TestClient.TryAsync(proxy.Inbound, Encoding.Latin1.GetString(hello));
        await proxy.Log.NextAsync("reason=tls_handshake_failed", "timeout");
    }

    [Fact]
    public async Task A_client_that_leaves_early_is_no_failure()
    {
        await using var proxy = await RunningProxy.ReceivingAsync(_application.Address, _authority);
        using (var client = await TestClient.ConnectAsync(proxy.Inbound))
        {
            await client.SendAsync(HelloBytes.Build(ServerName).AsMemory(0, 30));
            client.Finish();
            await proxy.Log.NextAsync("reason=client_closed_early");
        }
    }

    [Fact]
    public async Task More_connections_than_allowed_are_turned_away()
    {
        await using var proxy = await RunningProxy.ReceivingAsync(_application.Address, _authority, InboundPolicy.AllUnauthenticated, change: i => i with { MaxConnections = 2 });
        using var first = await TestClient.ConnectAsync(proxy.Inbound);
        using var second = await TestClient.ConnectAsync(proxy.Inbound);
        await first.EchoAsync("a");
        await second.EchoAsync("b");
        Assert.Equal("reset", await TestClient.TryAsync(proxy.Inbound, "c"));
        await proxy.Log.NextAsync("reason=too_many_connections");
        first.Finish();
        await first.ReadToEndAsync();
        await proxy.Log.NextAsync("reason=completed");
        Assert.Equal("d", await TestClient.TryAsync(proxy.Inbound, "d", read: 1));
    }

    [Fact]
    public async Task Hostile_bytes_end_their_own_connection_and_no_other()
    {
        await using var receiving = await RunningProxy.ReceivingAsync(_application.Address, _authority);
        await using var sending = await RunningProxy.SendingAsync(_authority, endpoints: RunningProxy.Meshed(_application.Address, receiving.Inbound));
        using var healthy = await TestClient.ConnectAsync(sending.Outbound);
        await healthy.EchoAsync("before");
        var random = new Random(3);
        var hello = HelloBytes.Build(ServerName, padding: 1216);
        var attacks = new List<Task>();
        for (var i = 0; i < 60; i++)
        {
            var bytes = (byte[])hello.Clone();
            switch (i % 4)
            {
                case 0: random.NextBytes(bytes); break;
                case 1: bytes = bytes[..random.Next(1, bytes.Length)]; break;
                case 2: bytes[random.Next(bytes.Length)] ^= (byte)random.Next(1, 256); break;
                default: bytes = [.. bytes, .. new byte[20_000]]; break;
            }

            attacks.Add(AttackAsync(receiving.Inbound, bytes));
            attacks.Add(AttackAsync(sending.Outbound, bytes));
            Assert.Equal("ping", await healthy.EchoAsync("ping"));
        }

        await Task.WhenAll(attacks);
        Assert.Equal("after", await healthy.EchoAsync("after"));
        Assert.Equal(0, receiving.Plane.Metrics.EndsOf(Direction.Inbound, ConnectionEnd.Bug));
        Assert.Equal(0, sending.Plane.Metrics.EndsOf(Direction.Outbound, ConnectionEnd.Bug));
    }

    private static async Task AttackAsync(IPEndPoint address, byte[] bytes)
    {
        try
        {
            using var client = await TestClient.ConnectAsync(address);
            await client.SendAsync(bytes);
            client.Finish();
            await client.ReadToEndAsync();
        }
        catch (SocketException)
        {
            // Being cut off is what should happen.
        }
    }

    private SslClientAuthenticationOptions Options(X509Svid? svid) => SvidTls.Client(() => svid, _authority.Bundles, Web, ServerName, TimeProvider.System);

    /// <summary>Whether a TLS client with this SVID, or with none, gets through to the application.</summary>
    private async Task<bool> AnswersTlsAsync(IPEndPoint proxy, X509Svid? svid)
    {
        using var client = await TestClient.ConnectAsync(proxy);
        await using var tls = new SslStream(new NetworkStream(client.Socket));
        try
        {
            await tls.AuthenticateAsClientAsync(Options(svid)).WaitAsync(TestClient.Limit);
            await tls.WriteAsync("hi"u8.ToArray());
            await tls.ReadExactlyAsync(new byte[2]).AsTask().WaitAsync(TestClient.Limit);
            await tls.ShutdownAsync();
            client.Finish();
            await tls.CopyToAsync(Stream.Null).WaitAsync(TestClient.Limit);
            return true;
        }
        catch (IOException)
        {
            return false;
        }
    }

    /// <summary>What the application answers a peer that sends this header; null when it is cut off.</summary>
    private async Task<string?> WithHeaderAsync(IPEndPoint proxy, byte[] header, string text, bool anonymous = false)
    {
        using var client = await TestClient.ConnectAsync(proxy);
        await using var tls = new SslStream(new NetworkStream(client.Socket));
        var options = Options(anonymous ? null : _authority.CreateSvid(Client));
        options.ApplicationProtocols = [new SslApplicationProtocol(TransportHeader.Alpn)];
        try
        {
            await tls.AuthenticateAsClientAsync(options).WaitAsync(TestClient.Limit);
            // Header and first bytes in one record: nothing of the application's may be lost with the header.
            await tls.WriteAsync((byte[])[.. header, .. Encoding.ASCII.GetBytes(text)]);
            var answer = new byte[Math.Max(1, text.Length)];
            await tls.ReadExactlyAsync(answer).AsTask().WaitAsync(TestClient.Limit);
            await tls.ShutdownAsync();
            client.Finish();
            await tls.CopyToAsync(Stream.Null).WaitAsync(TestClient.Limit);
            return Encoding.ASCII.GetString(answer);
        }
        catch (IOException)
        {
            return null;
        }
    }

    private static async Task ServeTlsOnceAsync(System.Net.Sockets.TcpListener listener, X509Svid svid)
    {
        using var socket = await listener.AcceptSocketAsync();
        await using var tls = new SslStream(new NetworkStream(socket));
        await tls.AuthenticateAsServerAsync(new SslServerAuthenticationOptions { ServerCertificateContext = svid.ToSslContext(), EnabledSslProtocols = SslProtocols.Tls13 });
        var buffer = new byte[64];
        var read = await tls.ReadAsync(buffer);
        await tls.WriteAsync(buffer.AsMemory(0, read));
    }

    private sealed class OneByteWrites(Socket socket) : NetworkStream(socket)
    {
        public override async ValueTask WriteAsync(ReadOnlyMemory<byte> buffer, CancellationToken cancellationToken = default)
        {
            for (var i = 0; i < buffer.Length; i++) await base.WriteAsync(buffer.Slice(i, 1), cancellationToken);
        }
    }
}
