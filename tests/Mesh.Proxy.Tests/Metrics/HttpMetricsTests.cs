using System.Collections.Frozen;
using System.Globalization;
using System.Net;
using Mesh.Proxy.Connections;
using Mesh.Proxy.Discovery;
using Mesh.Proxy.Http;
using Mesh.Proxy.Http.Http1;
using Mesh.Proxy.Http.Http2;
using Mesh.Proxy.Metrics;
using Mesh.Proxy.Policy;
using Mesh.Spiffe;
using HttpVersion = Mesh.Proxy.Http.HttpVersion;

namespace Mesh.Proxy.Tests.Metrics;

public sealed class HttpMetricsTests
{
    private static readonly PeerIdentity Web = new PeerIdentity.Verified(SpiffeId.Parse("spiffe://example.org/ns/demo/sa/web"));
    private static readonly HttpLabels ToWeb = new(Direction.Outbound, "web.demo:80", Web, EndpointLabels.None);

    private readonly ProxyMetrics _metrics = new(InboundPolicy.AllAuthenticated);

    [Fact]
    public void Requests_and_responses_have_linkerds_names_and_labels()
    {
        var counters = _metrics.Http(ToWeb);
        counters.Requested();
        counters.Requested();
        counters.Responded(200, -1, 1_500);
        counters.Responded(503, -1, 900);
        var inbound = _metrics.Http(new HttpLabels(Direction.Inbound, "127.0.0.1:8080", new PeerIdentity.Absent(AbsentReason.NoTlsFromRemote), EndpointLabels.None));
        inbound.Requested();
        Holds(
            """request_total{direction="outbound",authority="web.demo:80",tls="true",server_id="spiffe://example.org/ns/demo/sa/web"} 2""",
            """request_total{direction="inbound",target_addr="127.0.0.1:8080",tls="no_identity",no_tls_reason="no_tls_from_remote"} 1""",
            """response_total{direction="outbound",authority="web.demo:80",tls="true",server_id="spiffe://example.org/ns/demo/sa/web",status_code="200",classification="success"} 1""",
            """response_total{direction="outbound",authority="web.demo:80",tls="true",server_id="spiffe://example.org/ns/demo/sa/web",status_code="503",classification="failure"} 1""",
            """response_latency_ms_bucket{direction="outbound",authority="web.demo:80",tls="true",server_id="spiffe://example.org/ns/demo/sa/web",status_code="200",le="1"} 0""",
            """response_latency_ms_bucket{direction="outbound",authority="web.demo:80",tls="true",server_id="spiffe://example.org/ns/demo/sa/web",status_code="200",le="2"} 1""",
            """response_latency_ms_sum{direction="outbound",authority="web.demo:80",tls="true",server_id="spiffe://example.org/ns/demo/sa/web",status_code="200"} 1.5""");
    }

    [Fact]
    public void The_buckets_are_linkerds()
    {
        _metrics.Http(ToWeb).Responded(200, -1, 1);
        var bounds = Lines("response_latency_ms_bucket").Select(l => l.Split("le=\"")[1].Split('"')[0]);
        Assert.Equal("1 2 3 4 5 10 20 30 40 50 100 200 300 400 500 1000 2000 3000 4000 5000 10000 20000 30000 40000 50000 +Inf", string.Join(' ', bounds));
    }

    [Theory]
    [InlineData(200, -1, "success")]
    [InlineData(404, -1, "success")]
    [InlineData(499, -1, "success")]
    [InlineData(500, -1, "failure")]
    [InlineData(599, -1, "failure")]
    [InlineData(600, -1, "success")]
    [InlineData(200, 0, "success")]
    [InlineData(200, 1, "success")]
    [InlineData(200, 2, "failure")]
    [InlineData(200, 4, "failure")]
    [InlineData(200, 5, "success")]
    [InlineData(200, 7, "success")]
    [InlineData(200, 13, "failure")]
    [InlineData(200, 14, "failure")]
    [InlineData(200, 15, "failure")]
    [InlineData(200, 16, "success")]
    [InlineData(200, 17, "failure")]
    [InlineData(200, int.MaxValue, "failure")]
    [InlineData(503, 0, "failure")]
    public void A_response_is_classified_as_linkerd_does(int status, int grpc, string classification)
    {
        _metrics.Http(ToWeb).Responded(status, grpc, 1);
        Assert.Contains($"classification=\"{classification}\"", Assert.Single(Lines("response_total")), StringComparison.Ordinal);
    }

    [Fact]
    public void A_grpc_status_that_does_not_exist_makes_no_label_of_its_own()
    {
        var counters = _metrics.Http(ToWeb);
        for (var grpc = 17; grpc < 500; grpc++) counters.Responded(200, grpc, 1);
        Assert.EndsWith("status_code=\"200\",classification=\"failure\",grpc_status=\"2\"} 483", Assert.Single(Lines("response_total")), StringComparison.Ordinal);
    }

    [Fact]
    public void A_server_that_invents_statuses_cannot_grow_the_page_and_the_success_rate_stays_right()
    {
        var counters = _metrics.Http(ToWeb);
        for (var status = 100; status <= 999; status++) counters.Responded(status, -1, 1);
        var lines = Lines("response_total");
        Assert.Equal(HttpCounters.MostStatuses + 2, lines.Length);
        Assert.Equal(900, lines.Sum(Value));
        Assert.Equal(100, lines.Where(l => l.Contains("\"failure\"", StringComparison.Ordinal)).Sum(Value));
        Assert.Equal(900, Lines("response_latency_ms_count").Sum(Value));
    }

    [Fact]
    public void Clients_that_invent_label_sets_cannot_grow_the_page()
    {
        for (var i = 0; i < 3000; i++) _metrics.Http(ToWeb with { Target = $"a{i}.demo:80" }).Requested();
        var lines = Lines("request_total");
        Assert.Equal(401, lines.Length);
        Assert.Equal(3000, lines.Sum(Value));
    }

    [Fact]
    public void A_lost_request_is_a_failure_with_its_reason()
    {
        _metrics.Http(ToWeb).Failed("connection_lost");
        Assert.EndsWith("classification=\"failure\",error=\"connection_lost\"} 1", Assert.Single(Lines("response_total")), StringComparison.Ordinal);
    }

    [Fact]
    public void Labels_of_an_endpoint_are_those_that_outlive_a_pod()
    {
        var endpoint = new Endpoint(
            new IPEndPoint(IPAddress.Loopback, 1), 1, null, null, ProtocolHint.Unknown, null,
            new Dictionary<string, string> { ["deployment"] = "web", ["pod"] = "web-5d8", ["pod_template_hash"] = "5d8" }.ToFrozenDictionary());
        var set = new EndpointSet(true, [endpoint], new Dictionary<string, string> { ["namespace"] = "demo", ["service"] = "web", ["other\""] = "x" }.ToFrozenDictionary());
        var labels = EndpointLabels.Of(endpoint.Labels, set.Labels);
        Assert.Equal("dst_namespace=demo dst_service=web dst_deployment=web", string.Join(' ', labels.ToLabels().Select(l => $"{l.Name}={l.Value}")));
        Assert.Same(_metrics.Http(ToWeb with { Endpoint = labels }), _metrics.Http(ToWeb with { Endpoint = EndpointLabels.Of(endpoint.Labels, set.Labels) }));
        Assert.NotSame(_metrics.Http(ToWeb with { Endpoint = labels }), _metrics.Http(ToWeb));
    }

    [Fact]
    public void Decisions_errors_retries_balancers_and_connections_are_on_the_page()
    {
        var rules = new InboundRules(InboundPolicy.AllAuthenticated, []);
        Assert.True(Permit.TryGrant(rules, Web, IPAddress.Loopback, 8080, out var permit, out _));
        _metrics.Requests.Allowed(permit, "127.0.0.1:8080").Value++;
        _metrics.Requests.Denied(new PeerIdentity.Absent(AbsentReason.NoTlsFromRemote), "127.0.0.1:8080", DenialReason.Unauthenticated).Value++;
        _metrics.Requests.Failed(Direction.Inbound, "unauthorized");
        _metrics.Requests.Failed(Direction.Outbound, "response_timeout");
        var route = _metrics.Requests.Route("web.demo:80", "default");
        (route.Retries, route.Successes, route.LimitExceeded, route.Overflow) = (4, 3, 2, 1);
        (_metrics.Requests.Balancer("web.demo:80").Ready, _metrics.Requests.Balancer("web.demo:80").Pending) = (2, 1);
        _metrics.Requests.Balancer("gone.demo:80");
        _metrics.Requests.Remove("gone.demo:80");
        var h2 = _metrics.Requests.Connections(Direction.Outbound, TcpSide.Destination, HttpVersion.Http2);
        (h2.Opened, h2.Closed, h2.StreamsOpened, h2.StreamsClosed, h2.ResetsReceived, h2.ResetsSent) = (3, 1, 70, 50, 6, 7);
        h2.Faulted(Http2Fault.StreamIdMissing);
        var h1 = _metrics.Requests.Connections(Direction.Inbound, TcpSide.Source, HttpVersion.Http11);
        h1.Opened++;
        h1.Faulted(Http1Fault.BareLineFeed);
        Holds(
            """inbound_http_authz_allow_total{target_addr="127.0.0.1:8080",srv_kind="default",srv_name="all-authenticated",authz_kind="default",authz_name="all-authenticated",tls="true",client_id="spiffe://example.org/ns/demo/sa/web"} 1""",
            """inbound_http_authz_deny_total{target_addr="127.0.0.1:8080",srv_kind="default",srv_name="all-authenticated",authz_kind="default",authz_name="all-authenticated",tls="no_identity",no_tls_reason="no_tls_from_remote",reason="unauthenticated"} 1""",
            """inbound_http_errors_total{error="unauthorized"} 1""",
            """outbound_http_errors_total{error="response_timeout"} 1""",
            """outbound_http_route_retry_requests_total{authority="web.demo:80",route_name="default"} 4""",
            """outbound_http_route_retry_successes_total{authority="web.demo:80",route_name="default"} 3""",
            """outbound_http_route_retry_limit_exceeded_total{authority="web.demo:80",route_name="default"} 2""",
            """outbound_http_route_retry_overflow_total{authority="web.demo:80",route_name="default"} 1""",
            """outbound_http_balancer_endpoints{authority="web.demo:80",endpoint_state="ready"} 2""",
            """outbound_http_balancer_endpoints{authority="web.demo:80",endpoint_state="pending"} 1""",
            """mesh_proxy_http_connections_total{direction="outbound",peer="dst",version="HTTP/2"} 3""",
            """mesh_proxy_http_connections_open{direction="outbound",peer="dst",version="HTTP/2"} 2""",
            """mesh_proxy_http_streams_total{direction="outbound",peer="dst",version="HTTP/2"} 70""",
            """mesh_proxy_http_streams_open{direction="outbound",peer="dst",version="HTTP/2"} 20""",
            """mesh_proxy_http_resets_total{direction="outbound",peer="dst",version="HTTP/2",by="peer"} 6""",
            """mesh_proxy_http_resets_total{direction="outbound",peer="dst",version="HTTP/2",by="proxy"} 7""",
            """mesh_proxy_http_protocol_errors_total{direction="outbound",peer="dst",version="HTTP/2",fault="stream_id_missing"} 1""",
            """mesh_proxy_http_protocol_errors_total{direction="inbound",peer="src",version="HTTP/1.1",fault="bare_line_feed"} 1""");
        Assert.DoesNotContain("gone.demo", Page(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_request_allocates_nothing_once_its_status_was_seen()
    {
        var counters = _metrics.Http(ToWeb);
        for (var i = 0; i < 3; i++) Take();
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 1000; i++) Take();
        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());

        void Take()
        {
            counters.Requested();
            counters.Responded(200, 0, 1234);
            counters.Requested();
            counters.Responded(404, -1, 1234);
        }
    }

    [Fact]
    public void Every_family_is_announced_once()
    {
        _metrics.Http(ToWeb).Responded(200, -1, 1);
        var types = Page().Split('\n').Where(l => l.StartsWith("# TYPE ", StringComparison.Ordinal)).Select(l => l.Split(' ')[2]).ToArray();
        Assert.Equal(types.Distinct(), types);
    }

    [Fact]
    public void Reasons_are_bounded_even_if_somebody_invents_them()
    {
        for (var i = 0; i < 500; i++) _metrics.Requests.Failed(Direction.Inbound, $"reason_{i}");
        var lines = Lines("inbound_http_errors_total");
        Assert.Equal(32, lines.Length);
        Assert.Equal(500, lines.Sum(Value));
        Assert.EndsWith("{error=\"other\"} 469", lines[^1], StringComparison.Ordinal);
    }

    private void Holds(params string[] lines)
    {
        var page = Page();
        foreach (var line in lines) Assert.Contains("\n" + line + "\n", page, StringComparison.Ordinal);
    }

    private string[] Lines(string name) => [.. Page().Split('\n').Where(l => l.StartsWith(name + "{", StringComparison.Ordinal))];

    private static double Value(string line) => double.Parse(line.AsSpan(line.LastIndexOf(' ') + 1), CultureInfo.InvariantCulture);

    private string Page()
    {
        var page = new PrometheusText();
        _metrics.WriteTo(page);
        return page.ToString();
    }
}
