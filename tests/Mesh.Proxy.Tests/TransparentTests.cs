using System.Net;
using System.Net.Sockets;
using System.Text;
using Mesh.Proxy.Discovery;
using Mesh.Proxy.Outbound;
using Mesh.Proxy.Policy;
using Mesh.Proxy.Tests.Connections;
using Mesh.Spiffe;
using Mesh.Testing;

namespace Mesh.Proxy.Tests;

/// <summary>Two pods, each a network of its own with redirection rules: programs dial and listen as if there were no proxy.</summary>
public sealed class TransparentTests
{
    private static readonly SpiffeId Web = SpiffeId.Parse("spiffe://example.org/ns/demo/sa/web");
    private static readonly SpiffeId Client = SpiffeId.Parse("spiffe://example.org/ns/demo/sa/client");

    private readonly TestAuthority _authority = TestAuthority.CreateRoot();

    [Theory]
    [InlineData("10.200.1.1", "10.200.1.2", "24")]
    [InlineData("fd00:200::1", "fd00:200::2", "64")]
    public async Task Redirected_connections_reach_where_they_were_meant_to_go(string clientAddress, string webAddress, string prefix)
    {
        if (await NetworkNamespace.MissingAsync() is { } missing) Assert.Skip(missing);
        await using var clientPod = await NetworkNamespace.CreateAsync();
        await using var webPod = await NetworkNamespace.CreateAsync();
        await NetworkNamespace.ConnectAsync(clientPod, $"{clientAddress}/{prefix}", webPod, $"{webAddress}/{prefix}");
        var (client, web) = (IPAddress.Parse(clientAddress), IPAddress.Parse(webAddress));
        var iptables = web.AddressFamily == AddressFamily.InterNetworkV6 ? "ip6tables" : "iptables";
        var any = web.AddressFamily == AddressFamily.InterNetworkV6 ? IPAddress.IPv6Any : IPAddress.Any;
        var loopback = web.AddressFamily == AddressFamily.InterNetworkV6 ? IPAddress.IPv6Loopback : IPAddress.Loopback;
        await webPod.ExecAsync(iptables, "-t", "nat", "-A", "PREROUTING", "-p", "tcp", "-j", "REDIRECT", "--to-port", "4143");
        // A pod leaves out the proxy's user; here all runs as one, so the rule names the port the client dials.
        await clientPod.ExecAsync(iptables, "-t", "nat", "-A", "OUTPUT", "-p", "tcp", "--dport", "8080", "-j", "REDIRECT", "--to-port", "4140");

        using var listener = await webPod.OnAsync(() => Listen(new IPEndPoint(web, 8080)));
        var serving = EchoAsync(listener);
        var receivingSettings = RunningProxy.Settings(Web);
        await using var receiving = await RunningProxy.StartAsync(
            receivingSettings with { Inbound = receivingSettings.Inbound with { Listen = new IPEndPoint(any, 4143), Policy = InboundPolicy.AllUnauthenticated, Addresses = [web] } },
            _authority.CreateSvid(Web), _authority.Bundles, network: webPod);
        var sendingSettings = RunningProxy.Settings(Client, "client.demo.serviceaccount.identity.mesh.example.org");
        var application = new IPEndPoint(web, 8080);
        var asked = new List<IPEndPoint>();
        var endpoint = RunningProxy.Meshed(application, new IPEndPoint(web, 4143));
        var lookup = DestinationLookup.None with
        {
            Profile = (address, _, _) =>
            {
                asked.Add(address);
                return ValueTask.FromResult(new ProfileResolution(ResolutionKind.Found, new ServiceProfile(null, false, endpoint, false, []), false));
            },
        };
        await using var sending = await RunningProxy.StartAsync(
            sendingSettings with { Outbound = sendingSettings.Outbound with { Listen = new IPEndPoint(loopback, 4140) } },
            _authority.CreateSvid(Client), _authority.Bundles, lookup, network: clientPod);

        // Meshed on both sides.
        Assert.Equal("hello", await clientPod.OnAsync(() => Echo(application, "hello")));
        Assert.Equal([application], asked);
        await receiving.Log.NextAsync("direction=inbound", $"peer={Client}", $":8080", "reason=completed");

        // Without a header the proxy dials the application's port; the rule above, which forgets to leave out the proxy, sends it back to itself.
        endpoint = RunningProxy.Meshed(application, application, header: false);
        Assert.Equal("cut", await clientPod.OnAsync(() => Echo(application, "again")));
        await sending.Log.NextAsync("reason=loop_refused");

        // A client outside of the mesh: plaintext, redirected on the receiving side only.
        await clientPod.ExecAsync(iptables, "-t", "nat", "-F", "OUTPUT");
        Assert.Equal("plain", await clientPod.OnAsync(() => Echo(application, "plain")));
        await receiving.Log.NextAsync("direction=inbound", "no_peer=no_tls_from_remote", ":8080", "reason=completed");
        listener.Dispose();
        await serving;
    }

    private static Socket Listen(IPEndPoint address)
    {
        var socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(address);
        socket.Listen();
        return socket;
    }

    private static string Echo(IPEndPoint address, string text)
    {
        using var socket = new Socket(address.AddressFamily, SocketType.Stream, ProtocolType.Tcp) { ReceiveTimeout = 30_000 };
        try
        {
            socket.Connect(address);
            socket.Send(Encoding.ASCII.GetBytes(text));
            socket.Shutdown(SocketShutdown.Send);
            var answer = new List<byte>();
            var buffer = new byte[1024];
            while (socket.Receive(buffer) is var read and > 0) answer.AddRange(buffer.AsSpan(0, read));
            return Encoding.ASCII.GetString([.. answer]);
        }
        catch (SocketException)
        {
            return "cut";
        }
    }

    private static async Task EchoAsync(Socket listener)
    {
        try
        {
            while (true)
            {
                using var client = await listener.AcceptAsync();
                var buffer = new byte[1024];
                while (await client.ReceiveAsync(buffer.AsMemory()) is var read and > 0) await client.SendAsync(buffer.AsMemory(0, read));
                client.Shutdown(SocketShutdown.Send);
            }
        }
        catch (Exception stopped) when (stopped is SocketException or ObjectDisposedException)
        {
            // The test is over.
        }
    }
}
