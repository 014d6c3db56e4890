using Mesh.Proxy.Connections;
using Mesh.Proxy.Metrics;
using Mesh.Proxy.Policy;
using Mesh.Spiffe;

namespace Mesh.Proxy.Tests.Metrics;

public sealed class ProxyMetricsTests
{
    [Fact]
    public void A_peer_that_invents_identities_cannot_grow_the_page_and_the_sum_stays_right()
    {
        var metrics = new ProxyMetrics(InboundPolicy.AllUnauthenticated);
        for (var i = 0; i < 5000; i++)
        {
            var peer = new PeerIdentity.Verified(SpiffeId.Parse($"spiffe://example.org/ns/demo/sa/a{i}"));
            metrics.Tcp(new TcpLabels(Direction.Inbound, TcpSide.Source, "127.0.0.1:80", peer)).Opened++;
            metrics.Denied(peer, "127.0.0.1:80", DenialReason.OutsideCluster);
        }

        var lines = Page(metrics).Split('\n');
        var opened = lines.Where(l => l.StartsWith("tcp_open_total{", StringComparison.Ordinal)).ToList();
        Assert.InRange(opened.Count, 1001, 1001);
        Assert.Equal(5000, opened.Sum(Value));
        var denied = lines.Where(l => l.StartsWith("inbound_tcp_authz_deny_total{", StringComparison.Ordinal)).ToList();
        Assert.Equal(501, denied.Count);
        Assert.Equal(5000, denied.Sum(Value));
        Assert.Contains(opened, l => l.Contains("target_addr=\"overflow\"", StringComparison.Ordinal));
    }

    [Fact]
    public void Labels_are_linkerds()
    {
        var metrics = new ProxyMetrics(InboundPolicy.AllAuthenticated);
        var id = new PeerIdentity.Verified(SpiffeId.Parse("spiffe://example.org/ns/demo/sa/web"));
        metrics.Tcp(new TcpLabels(Direction.Inbound, TcpSide.Source, "127.0.0.1:80", id)).ReadBytes += 7;
        metrics.Tcp(new TcpLabels(Direction.Outbound, TcpSide.Destination, "web.demo:80", new PeerIdentity.Absent(AbsentReason.NotProvidedByDiscovery))).Opened++;
        metrics.Ended(Direction.Inbound, ConnectionEnd.PolicyDenied);
        metrics.HandshakeFailed(Direction.Inbound, "expired");
        metrics.HandshakeSucceeded(Direction.Outbound, "X25519", "TLS_AES_128_GCM_SHA256", TimeSpan.FromMilliseconds(1));
        var page = Page(metrics);
        foreach (var line in (string[])
        [
            "tcp_read_bytes_total{direction=\"inbound\",peer=\"src\",target_addr=\"127.0.0.1:80\",tls=\"true\",client_id=\"spiffe://example.org/ns/demo/sa/web\"} 7",
            "tcp_open_connections{direction=\"outbound\",peer=\"dst\",authority=\"web.demo:80\",tls=\"no_identity\",no_tls_reason=\"not_provided_by_service_discovery\"} 1",
            "mesh_proxy_connection_ends_total{direction=\"inbound\",reason=\"policy_denied\"} 1",
            "mesh_proxy_tls_handshakes_total{direction=\"inbound\",result=\"failed\",reason=\"expired\"} 1",
            "mesh_proxy_tls_handshakes_total{direction=\"outbound\",result=\"ok\"} 1",
            "mesh_proxy_tls_negotiated_total{direction=\"outbound\",version=\"TLSv1.3\",group=\"X25519\",cipher=\"TLS_AES_128_GCM_SHA256\"} 1",
        ]) Assert.Contains(line + "\n", page, StringComparison.Ordinal);
    }

    [Fact]
    public void Numbers_and_labels_of_ends_are_frozen()
    {
        var expected = """
            0 completed, 1 client_closed_early, 2 client_reset, 3 server_reset, 4 detect_timeout, 5 tls_handshake_failed, 6 identity_rejected,
            7 policy_denied, 8 transport_header_invalid, 9 unknown_port, 10 no_endpoint, 11 discovery_unavailable, 12 connect_failed,
            13 idle_timeout, 14 loop_refused, 15 too_many_connections, 16 no_certificate, 17 drained, 18 bug, 19 http_malformed
            """;
        Assert.Equal(
            expected.ReplaceLineEndings(" "),
            string.Join(", ", Enum.GetValues<ConnectionEnd>().Select(e => $"{(int)e} {e.Label()}")));
    }

    private static string Page(ProxyMetrics metrics)
    {
        var page = new PrometheusText();
        metrics.WriteTo(page);
        return page.ToString();
    }

    private static long Value(string line) => long.Parse(line.AsSpan(line.LastIndexOf(' ') + 1), System.Globalization.CultureInfo.InvariantCulture);
}
