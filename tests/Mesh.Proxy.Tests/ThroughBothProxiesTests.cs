using System.Security.Cryptography;
using Mesh.Proxy.Policy;
using Mesh.Proxy.Tests.Connections;
using Mesh.Spiffe;
using Mesh.Testing;

namespace Mesh.Proxy.Tests;

/// <summary>A client and a server that know nothing of TLS, and two proxies between them.</summary>
public sealed class ThroughBothProxiesTests : IAsyncLifetime
{
    private const string Web = "spiffe://example.org/ns/demo/sa/web";
    private const string Client = "spiffe://example.org/ns/demo/sa/client";

    private readonly TestAuthority _authority = TestAuthority.CreateRoot(change: o => o with { NotBefore = DateTimeOffset.UtcNow.AddDays(-1) });
    private readonly EchoApplication _application = new();

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public ValueTask DisposeAsync() => _application.DisposeAsync();

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task Bytes_pass_and_both_sides_know_each_other(bool header)
    {
        await using var receiving = await RunningProxy.ReceivingAsync(_application.Address, _authority);
        await using var sending = await RunningProxy.SendingAsync(_authority, endpoints: RunningProxy.Meshed(_application.Address, receiving.Inbound, header: header));
        using (var client = await TestClient.ConnectAsync(sending.Outbound))
        {
            Assert.Equal("hello", await client.EchoAsync("hello"));
            client.Finish();
            Assert.Equal("[5 bytes]", await client.ReadToEndAsync());
        }

        await receiving.Log.NextAsync("direction=inbound", $"peer={Client}", $"target={_application.Address}", "reason=completed", "bytes_up=5", "bytes_down=14");
        await sending.Log.NextAsync("direction=outbound", $"peer={Web}", "target=web.demo:80", "reason=completed", "bytes_up=5", "bytes_down=14");
        var inbound = await receiving.MetricsAsync();
        Assert.Contains($"tcp_read_bytes_total{{direction=\"inbound\",peer=\"src\",target_addr=\"{_application.Address}\",tls=\"true\",client_id=\"{Client}\"}} 5\n", inbound, StringComparison.Ordinal);
        Assert.Contains("mesh_proxy_tls_handshakes_total{direction=\"inbound\",result=\"ok\"} 1\n", inbound, StringComparison.Ordinal);
        Assert.Contains("cipher=\"TLS_AES_128_GCM_SHA256\"", inbound, StringComparison.Ordinal);
        var outbound = await sending.MetricsAsync();
        Assert.Contains($"tcp_open_total{{direction=\"outbound\",peer=\"dst\",authority=\"web.demo:80\",tls=\"true\",server_id=\"{Web}\"}} 1\n", outbound, StringComparison.Ordinal);
        Assert.Contains($"tcp_open_connections{{direction=\"outbound\",peer=\"dst\",authority=\"web.demo:80\",tls=\"true\",server_id=\"{Web}\"}} 0\n", outbound, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Megabytes_arrive_unchanged_in_both_directions()
    {
        await using var receiving = await RunningProxy.ReceivingAsync(_application.Address, _authority);
        await using var sending = await RunningProxy.SendingAsync(_authority, endpoints: RunningProxy.Meshed(_application.Address, receiving.Inbound));
        using var client = await TestClient.ConnectAsync(sending.Outbound);
        var data = RandomNumberGenerator.GetBytes(8 * 1024 * 1024);
        var sendingData = Task.Run(async () =>
        {
            await client.SendAsync(data);
            client.Finish();
        });
        var back = await client.ReadToEndAsync();
        await sendingData.WaitAsync(TestClient.Limit);
        Assert.EndsWith($"[{data.Length} bytes]", back, StringComparison.Ordinal);
        Assert.Equal(SHA256.HashData(data), SHA256.HashData(System.Text.Encoding.Latin1.GetBytes(back[..data.Length])));
    }

    [Fact]
    public async Task A_scrape_sees_the_bytes_of_a_connection_that_goes_on()
    {
        await using var receiving = await RunningProxy.ReceivingAsync(_application.Address, _authority);
        await using var sending = await RunningProxy.SendingAsync(_authority, endpoints: RunningProxy.Meshed(_application.Address, receiving.Inbound));
        using var client = await TestClient.ConnectAsync(sending.Outbound);
        await client.EchoAsync("12345678");
        Assert.Contains(",server_id=\"" + Web + "\"} 8\n", await sending.MetricsAsync(), StringComparison.Ordinal);
        await client.EchoAsync("12345678");
        Assert.Contains(",server_id=\"" + Web + "\"} 16\n", await sending.MetricsAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_server_that_is_somebody_else_gets_nothing()
    {
        await using var receiving = await RunningProxy.ReceivingAsync(_application.Address, _authority);
        await using var sending = await RunningProxy.SendingAsync(
            _authority, endpoints: RunningProxy.Meshed(_application.Address, receiving.Inbound, "spiffe://example.org/ns/demo/sa/other"));
        Assert.Equal("reset", await TestClient.TryAsync(sending.Outbound, "secret"));
        await sending.Log.NextAsync("reason=identity_rejected", "certificate_unexpected_id", Web);
        Assert.Contains("mesh_proxy_tls_handshakes_total{direction=\"outbound\",result=\"failed\",reason=\"certificate_unexpected_id\"} 1\n", await sending.MetricsAsync(), StringComparison.Ordinal);
        await receiving.Log.NextAsync("reason=tls_handshake_failed", "rejected_by_peer");
        Assert.Equal(0, _application.Connections);
    }

    [Fact]
    public async Task An_expired_server_certificate_is_refused_and_named()
    {
        var old = new ManualTime(DateTimeOffset.UtcNow.AddHours(-3));
        var web = _authority.CreateSvid(Web, o => o with { NotBefore = DateTimeOffset.UtcNow.AddHours(-4), NotAfter = DateTimeOffset.UtcNow.AddHours(-1) });
        await using var receiving = await RunningProxy.ReceivingAsync(_application.Address, _authority, svid: web, time: old);
        await using var sending = await RunningProxy.SendingAsync(_authority, endpoints: RunningProxy.Meshed(_application.Address, receiving.Inbound));
        Assert.Equal("reset", await TestClient.TryAsync(sending.Outbound));
        await sending.Log.NextAsync("reason=identity_rejected", "certificate_expired");
        Assert.Equal(0, _application.Connections);
    }

    [Fact]
    public async Task An_expired_client_certificate_is_refused_and_named()
    {
        var old = new ManualTime(DateTimeOffset.UtcNow.AddMinutes(-90));
        var svid = _authority.CreateSvid(Client, o => o with { NotBefore = DateTimeOffset.UtcNow.AddHours(-4), NotAfter = DateTimeOffset.UtcNow.AddHours(-1) });
        var web = _authority.CreateSvid(Web, o => o with { NotBefore = DateTimeOffset.UtcNow.AddHours(-4) });
        await using var receiving = await RunningProxy.ReceivingAsync(_application.Address, _authority, svid: web);
        await using var sending = await RunningProxy.SendingAsync(_authority, svid, old, RunningProxy.Meshed(_application.Address, receiving.Inbound));
        Assert.Equal("reset", await TestClient.TryAsync(sending.Outbound, "secret"));
        await receiving.Log.NextAsync("reason=identity_rejected", "certificate_expired");
        Assert.Contains("mesh_proxy_tls_handshakes_total{direction=\"inbound\",result=\"failed\",reason=\"certificate_expired\"} 1\n", await receiving.MetricsAsync(), StringComparison.Ordinal);
        await sending.Log.NextAsync("direction=outbound", "connection ended");
        Assert.Equal(0, _application.Connections);
    }

    [Fact]
    public async Task Another_authority_is_refused_by_both_sides()
    {
        var stranger = TestAuthority.CreateRoot();
        await using var receiving = await RunningProxy.ReceivingAsync(_application.Address, stranger);
        await using var sending = await RunningProxy.SendingAsync(_authority, endpoints: RunningProxy.Meshed(_application.Address, receiving.Inbound));
        Assert.Equal("reset", await TestClient.TryAsync(sending.Outbound));
        await sending.Log.NextAsync("reason=identity_rejected", "certificate_untrusted_chain");

        // The server side trusts us, we do not trust it: now the other way round.
        await using var trusting = await RunningProxy.ReceivingAsync(_application.Address, _authority);
        await using var foreign = await RunningProxy.StartAsync(
            ForeignSettings(), stranger.CreateSvid(Client), _authority.Bundles, RunningProxy.Fixed(RunningProxy.Meshed(_application.Address, trusting.Inbound)));
        Assert.Equal("reset", await TestClient.TryAsync(foreign.Outbound));
        await trusting.Log.NextAsync("reason=identity_rejected", "certificate_untrusted_chain");
        Assert.Equal(0, _application.Connections);
    }

    [Fact]
    public async Task Without_a_valid_certificate_nothing_is_sent_in_plaintext()
    {
        await using var receiving = await RunningProxy.ReceivingAsync(_application.Address, _authority, InboundPolicy.AllUnauthenticated);
        var late = new ManualTime(DateTimeOffset.UtcNow.AddHours(2));
        await using var sending = await RunningProxy.SendingAsync(_authority, time: late, endpoints: RunningProxy.Meshed(_application.Address, receiving.Inbound));
        Assert.Equal("reset", await TestClient.TryAsync(sending.Outbound));
        await sending.Log.NextAsync("reason=no_certificate", "the certificate expired at");
        Assert.Equal(0, _application.Connections);
    }

    [Fact]
    public async Task Certificates_and_anchors_change_under_live_connections()
    {
        await using var receiving = await RunningProxy.ReceivingAsync(_application.Address, _authority);
        await using var sending = await RunningProxy.SendingAsync(_authority, endpoints: RunningProxy.Meshed(_application.Address, receiving.Inbound));
        using var before = await TestClient.ConnectAsync(sending.Outbound);
        Assert.Equal("one", await before.EchoAsync("one"));

        // First both anchors, then the new certificates, then the old anchor goes: no step refuses anybody.
        var next = TestAuthority.CreateRoot();
        var both = new TrustBundleSet(new TrustBundle(_authority.TrustDomain, [_authority.Certificate, next.Certificate], sequence: 2));
        await receiving.Plane.UseIdentityAsync(_authority.CreateSvid(Web), both);
        await sending.Plane.UseIdentityAsync(_authority.CreateSvid(Client), both);
        await EchoOnceAsync(sending);
        await receiving.Plane.UseIdentityAsync(next.CreateSvid(Web), both);
        await EchoOnceAsync(sending);
        await sending.Plane.UseIdentityAsync(next.CreateSvid(Client), both);
        await EchoOnceAsync(sending);
        await receiving.Plane.UseIdentityAsync(next.CreateSvid(Web), next.Bundles);
        await sending.Plane.UseIdentityAsync(next.CreateSvid(Client), next.Bundles);
        await EchoOnceAsync(sending);

        Assert.Equal("two", await before.EchoAsync("two"));
        Assert.Equal(0, receiving.Plane.Metrics.HandshakesOf(Proxy.Connections.Direction.Inbound, "failed", "certificate_untrusted_chain"));
    }

    [Fact]
    public async Task A_certificate_renewed_while_a_connection_is_made_loses_nobody()
    {
        await using var receiving = await RunningProxy.ReceivingAsync(_application.Address, _authority);
        RunningProxy? sending = null;
        var renewed = Task.CompletedTask;
        var endpoints = RunningProxy.Fixed(RunningProxy.Meshed(_application.Address, receiving.Inbound));
        var lookup = endpoints with
        {
            // Posted from the loop: the new certificate comes into force in this turn, the connection that is now begun is made in the next.
            Resolve = (authority, limit, ct) =>
            {
                renewed = sending!.Plane.UseIdentityAsync(_authority.CreateSvid(Client), _authority.Bundles);
                return endpoints.Resolve(authority, limit, ct);
            },
        };
        await using (sending = await RunningProxy.StartAsync(ForeignSettings(), _authority.CreateSvid(Client), _authority.Bundles, lookup))
        {
            await EchoOnceAsync(sending);
            await renewed;
        }
    }

    [Fact]
    public async Task Draining_waits_for_who_finishes_and_cuts_who_does_not()
    {
        await using var receiving = await RunningProxy.ReceivingAsync(_application.Address, _authority);
        await using var sending = await RunningProxy.SendingAsync(_authority, endpoints: RunningProxy.Meshed(_application.Address, receiving.Inbound));
        using var finishes = await TestClient.ConnectAsync(sending.Outbound);
        using var stays = await TestClient.ConnectAsync(sending.Outbound);
        await finishes.EchoAsync("a");
        await stays.EchoAsync("b");
        await sending.Plane.StopAcceptingAsync();
        await Assert.ThrowsAnyAsync<Exception>(() => TestClient.ConnectAsync(sending.Outbound));

        finishes.Finish();
        Assert.Equal("[1 bytes]", await finishes.ReadToEndAsync());
        await sending.Log.NextAsync("reason=completed");
        Assert.Equal("b", await stays.EchoAsync("b"));
        Assert.Equal(1, await sending.Plane.DrainAsync(TimeSpan.FromMilliseconds(50)));
        Assert.Equal("reset", await stays.ReadToEndAsync());
        await sending.Log.NextAsync("reason=drained");
        Assert.Equal(0, await sending.Plane.DrainAsync(TimeSpan.FromSeconds(30)));
    }

    [Fact]
    public async Task A_drain_ends_with_the_last_connection()
    {
        await using var receiving = await RunningProxy.ReceivingAsync(_application.Address, _authority);
        await using var sending = await RunningProxy.SendingAsync(_authority, endpoints: RunningProxy.Meshed(_application.Address, receiving.Inbound));
        using var client = await TestClient.ConnectAsync(sending.Outbound);
        await client.EchoAsync("a");
        await sending.Plane.StopAcceptingAsync();
        var drain = sending.Plane.DrainAsync(TimeSpan.FromMinutes(10));
        client.Finish();
        Assert.Equal(0, await drain.WaitAsync(TestClient.Limit));
    }

    private static async Task EchoOnceAsync(RunningProxy sending)
    {
        using var client = await TestClient.ConnectAsync(sending.Outbound);
        Assert.Equal("again", await client.EchoAsync("again"));
    }

    private static Proxy.Settings.ProxySettings ForeignSettings()
    {
        var settings = RunningProxy.Settings(SpiffeId.Parse(Client));
        return settings with
        {
            Outbound = settings.Outbound with
            {
                Services = [new Proxy.Settings.OutboundService(new(System.Net.IPAddress.Loopback, 0), Proxy.Settings.HostPort.Parse("web.demo:80"))],
            },
        };
    }
}
