using Mesh.Proxy.Connections;
using Mesh.Proxy.Policy;

namespace Mesh.Proxy.Metrics;

/// <summary>
/// Everything the data path counts. Written on the event loop as plain additions; read by a scrape at any time. Names and labels are
/// Linkerd's where Linkerd has them; what it lacks (handshakes, ends by reason) is under <c>mesh_proxy_</c>. Requests are in <see cref="HttpMetrics"/>.
/// </summary>
internal sealed class ProxyMetrics
{
    private const int MostTcpLabels = 1000;
    public const int MostAuthorizationLabels = 500;

    private readonly BoundedFamily<TcpLabels, TcpCounters> _tcp = new(MostTcpLabels, TcpLabels.Overflow);
    private readonly BoundedFamily<AuthorizationLabels, Counter> _authorizations = new(MostAuthorizationLabels, AuthorizationLabels.Overflow);
    private readonly BoundedFamily<HandshakeLabels, Counter> _handshakes = new(200, labels => labels with { Reason = "overflow" });
    private readonly BoundedFamily<NegotiatedLabels, Counter> _negotiated = new(100, labels => labels with { Group = "overflow", Cipher = "overflow" });
    private readonly LatencyHistogram[] _handshakeTimes = [new(LatencyBuckets.Seconds), new(LatencyBuckets.Seconds)];
    private readonly long[][] _ends = [new long[ConnectionEndText.Count], new long[ConnectionEndText.Count]];
    private readonly InboundPolicy _policy;

    public ProxyMetrics(InboundPolicy policy) => (_policy, Requests) = (policy, new HttpMetrics(policy));

    /// <summary>What is counted of HTTP.</summary>
    public HttpMetrics Requests { get; }

    /// <summary>The counters of one label set of requests. Found by a search: kept by the caller, for as long as it likes.</summary>
    public HttpCounters Http(HttpLabels labels) => Requests.Of(labels);

    public TcpCounters Tcp(TcpLabels labels) => _tcp[labels];

    public void HandshakeSucceeded(Direction direction, string group, string cipher, TimeSpan elapsed)
    {
        _handshakes[new HandshakeLabels(direction, "ok", "")].Value++;
        _negotiated[new NegotiatedLabels(direction, group, cipher)].Value++;
        _handshakeTimes[(int)direction].Record(elapsed);
    }

    public void HandshakeFailed(Direction direction, string reason) => _handshakes[new HandshakeLabels(direction, "failed", reason)].Value++;

    public void Allowed(Permit permit, string target) => _authorizations[new AuthorizationLabels(permit.Peer, target, DenialReason.None)].Value++;

    public void Denied(PeerIdentity peer, string target, DenialReason reason) => _authorizations[new AuthorizationLabels(peer, target, reason)].Value++;

    public void Ended(Direction direction, ConnectionEnd end) => _ends[(int)direction][(int)end]++;

    public long EndsOf(Direction direction, ConnectionEnd end) => Volatile.Read(ref _ends[(int)direction][(int)end]);

    public long HandshakesOf(Direction direction, string result, string reason) =>
        _handshakes.All.Where(h => h.Key == new HandshakeLabels(direction, result, reason)).Sum(h => Volatile.Read(ref h.Value.Value));

    public void WriteTo(PrometheusText page)
    {
        WriteTcp(page);
        Requests.WriteTo(page);
        WriteAuthorizations(page);
        WriteHandshakes(page);
        page.Counter("mesh_proxy_connection_ends_total", "Connections by the reason they ended.");
        foreach (var direction in (ReadOnlySpan<Direction>)[Direction.Inbound, Direction.Outbound])
            for (var end = 0; end < ConnectionEndText.Count; end++)
                page.Sample(EndsOf(direction, (ConnectionEnd)end), ("direction", direction.Label()), ("reason", ((ConnectionEnd)end).Label()));
    }

    private void WriteTcp(PrometheusText page)
    {
        var all = _tcp.All.Select(e => (Labels: e.Key.ToLabels(), Counters: e.Value)).ToArray();
        page.Counter("tcp_open_total", "Connections opened.");
        foreach (var (labels, counters) in all) page.Sample(Volatile.Read(ref counters.Opened), labels);
        page.Gauge("tcp_open_connections", "Connections open now.");
        foreach (var (labels, counters) in all) page.Sample(Volatile.Read(ref counters.Opened) - Volatile.Read(ref counters.Closed), labels);
        page.Counter("tcp_close_total", "Connections closed.");
        foreach (var (labels, counters) in all) page.Sample(Volatile.Read(ref counters.Closed), labels);
        page.Counter("tcp_read_bytes_total", "Bytes read from the peer.");
        foreach (var (labels, counters) in all) page.Sample(Volatile.Read(ref counters.ReadBytes), labels);
        page.Counter("tcp_write_bytes_total", "Bytes written to the peer.");
        foreach (var (labels, counters) in all) page.Sample(Volatile.Read(ref counters.WriteBytes), labels);
    }

    private void WriteAuthorizations(PrometheusText page)
    {
        var all = _authorizations.All.ToArray();
        page.Counter("inbound_tcp_authz_allow_total", "Inbound connections allowed.");
        foreach (var (labels, count) in all.Where(a => a.Key.Reason == DenialReason.None)) page.Sample(Volatile.Read(ref count.Value), labels.ToLabels(_policy));
        page.Counter("inbound_tcp_authz_deny_total", "Inbound connections denied.");
        foreach (var (labels, count) in all.Where(a => a.Key.Reason != DenialReason.None)) page.Sample(Volatile.Read(ref count.Value), labels.ToLabels(_policy));
    }

    private void WriteHandshakes(PrometheusText page)
    {
        page.Counter("mesh_proxy_tls_handshakes_total", "TLS handshakes by result.");
        foreach (var (labels, count) in _handshakes.All)
            page.Sample(Volatile.Read(ref count.Value), ("direction", labels.Direction.Label()), ("result", labels.Result), ("reason", labels.Reason));
        page.Counter("mesh_proxy_tls_negotiated_total", "Completed TLS handshakes by key exchange group and cipher.");
        foreach (var (labels, count) in _negotiated.All)
        {
            page.Sample(
                Volatile.Read(ref count.Value),
                ("direction", labels.Direction.Label()), ("version", "TLSv1.3"), ("group", labels.Group), ("cipher", labels.Cipher));
        }

        page.Histogram("mesh_proxy_tls_handshake_duration_seconds", "From the first byte of the handshake to its end, of those that completed.");
        foreach (var direction in (ReadOnlySpan<Direction>)[Direction.Inbound, Direction.Outbound])
            page.Sample(_handshakeTimes[(int)direction], ("direction", direction.Label()));
    }

    private sealed record HandshakeLabels(Direction Direction, string Result, string Reason);

    private sealed record NegotiatedLabels(Direction Direction, string Group, string Cipher);
}
