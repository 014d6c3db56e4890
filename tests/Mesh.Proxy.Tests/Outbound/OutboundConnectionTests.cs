using System.Net;
using Mesh.Proxy.Policy;
using Mesh.Proxy.Tests.Connections;
using Mesh.Spiffe;
using Mesh.Testing;

namespace Mesh.Proxy.Tests.Outbound;

public sealed class OutboundConnectionTests : IAsyncLifetime
{
    private readonly TestAuthority _authority = TestAuthority.CreateRoot();
    private readonly EchoApplication _application = new();

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public ValueTask DisposeAsync() => _application.DisposeAsync();

    [Fact]
    public async Task An_endpoint_without_identity_is_reached_in_plaintext_and_says_so()
    {
        await using var proxy = await RunningProxy.SendingAsync(_authority, endpoints: RunningProxy.Unmeshed(_application.Address));
        using var client = await TestClient.ConnectAsync(proxy.Outbound);
        Assert.Equal("hi", await client.EchoAsync("hi"));
        client.Finish();
        Assert.Equal("[2 bytes]", await client.ReadToEndAsync());
        await proxy.Log.NextAsync("no_peer=not_provided_by_service_discovery", "reason=completed");
    }

    [Fact]
    public async Task An_endpoint_that_does_not_answer_is_passed_over()
    {
        var gone = new EchoApplication();
        await gone.DisposeAsync();
        await using var receiving = await RunningProxy.ReceivingAsync(_application.Address, _authority);
        await using var proxy = await RunningProxy.SendingAsync(
            _authority, endpoints: [RunningProxy.Meshed(_application.Address, receiving.Inbound), RunningProxy.Meshed(gone.Address, gone.Address)]);
        for (var i = 0; i < 20; i++)
        {
            using var client = await TestClient.ConnectAsync(proxy.Outbound);
            Assert.Equal("hi", await client.EchoAsync("hi"));
        }
    }

    [Fact]
    public async Task No_endpoint_that_answers_is_a_connect_failure()
    {
        var gone = new EchoApplication();
        await gone.DisposeAsync();
        await using var proxy = await RunningProxy.SendingAsync(_authority, endpoints: RunningProxy.Unmeshed(gone.Address));
        Assert.Equal("reset", await TestClient.TryAsync(proxy.Outbound));
        await proxy.Log.NextAsync("reason=connect_failed", $"Refused at {gone.Address}");
    }

    [Fact]
    public async Task A_peer_that_speaks_no_tls_gets_no_plaintext()
    {
        await using var proxy = await RunningProxy.SendingAsync(_authority, endpoints: RunningProxy.Meshed(_application.Address, _application.Address));
        Assert.Equal("reset", await TestClient.TryAsync(proxy.Outbound, "secret"));
        await proxy.Log.NextAsync("reason=tls_handshake_failed");
    }

    [Fact]
    public async Task A_workload_may_call_itself_through_its_own_proxy()
    {
        var web = SpiffeId.Parse("spiffe://example.org/ns/demo/sa/web");
        await using var receiving = await RunningProxy.ReceivingAsync(_application.Address, _authority);
        await using var sending = await RunningProxy.SendingAsync(_authority, _authority.CreateSvid(web), endpoints: RunningProxy.Meshed(_application.Address, receiving.Inbound));
        using var client = await TestClient.ConnectAsync(sending.Outbound);
        Assert.Equal("me", await client.EchoAsync("me"));
    }

    [Fact]
    public async Task The_proxy_does_not_dial_itself()
    {
        var settings = RunningProxy.Settings(SpiffeId.Parse("spiffe://example.org/ns/demo/sa/client"));
        var listen = FreeAddress();
        settings = settings with { Outbound = settings.Outbound with { Services = [new(listen, Proxy.Settings.HostPort.Parse("web.demo:80"))] } };
        await using var proxy = await RunningProxy.StartAsync(settings, null, _authority.Bundles, RunningProxy.Fixed(RunningProxy.Unmeshed(listen)));
        Assert.Equal("reset", await TestClient.TryAsync(proxy.Outbound));
        await proxy.Log.NextAsync("reason=loop_refused");
    }

    [Fact]
    public async Task A_connection_to_the_shared_listener_that_nothing_redirected_is_refused()
    {
        var settings = RunningProxy.Settings(SpiffeId.Parse("spiffe://example.org/ns/demo/sa/client"));
        settings = settings with { Outbound = settings.Outbound with { Listen = new IPEndPoint(IPAddress.Loopback, 0) } };
        await using var proxy = await RunningProxy.StartAsync(settings, null, _authority.Bundles);
        Assert.Equal("reset", await TestClient.TryAsync(proxy.Outbound));
        await proxy.Log.NextAsync("reason=loop_refused");
    }

    [Fact]
    public async Task The_refusal_of_our_certificate_is_named()
    {
        // The receiving side trusts another authority for clients than for itself.
        var stranger = TestAuthority.CreateRoot();
        var web = SpiffeId.Parse("spiffe://example.org/ns/demo/sa/web");
        var settings = RunningProxy.Settings(web);
        settings = settings with { Inbound = settings.Inbound with { Services = [new(new IPEndPoint(IPAddress.Loopback, 0), _application.Address)], Policy = InboundPolicy.AllUnauthenticated } };
        await using var receiving = await RunningProxy.StartAsync(settings, _authority.CreateSvid(web), stranger.Bundles);
        await using var sending = await RunningProxy.SendingAsync(_authority, endpoints: RunningProxy.Meshed(_application.Address, receiving.Inbound));
        Assert.Equal("reset", await TestClient.TryAsync(sending.Outbound));
        await receiving.Log.NextAsync("reason=identity_rejected", "certificate_untrusted_chain");
        await sending.Log.NextAsync("direction=outbound", "reason=tls_handshake_failed");
        Assert.Equal(0, _application.Connections);
    }

    private static IPEndPoint FreeAddress()
    {
        using var probe = new System.Net.Sockets.TcpListener(IPAddress.Loopback, 0);
        probe.Start();
        return (IPEndPoint)probe.LocalEndpoint;
    }
}
