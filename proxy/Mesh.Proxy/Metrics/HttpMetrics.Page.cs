using System.Globalization;
using Mesh.Proxy.Connections;
using Mesh.Proxy.Http;
using Mesh.Proxy.Http.Http1;
using Mesh.Proxy.Http.Http2;
using Mesh.Proxy.Policy;

namespace Mesh.Proxy.Metrics;

internal sealed partial class HttpMetrics
{
    private static readonly Direction[] Directions = [Direction.Inbound, Direction.Outbound];

    /// <summary>All that is counted here, on any thread.</summary>
    public void WriteTo(PrometheusText page)
    {
        WriteRequests(page, [.. _requests.All.Select(e => (e.Key.ToLabels(), e.Value))]);
        WriteAuthorizations(page);
        page.Counter("inbound_http_errors_total", "Inbound requests that the proxy answered itself or dropped, by reason.");
        WriteErrors(page, Direction.Inbound);
        page.Counter("outbound_http_errors_total", "Outbound requests that the proxy answered itself or dropped, by reason.");
        WriteErrors(page, Direction.Outbound);
        WriteRoutes(page);
        page.Gauge("outbound_http_balancer_endpoints", "Endpoints that requests are balanced over.");
        foreach (var (authority, gauge) in _balancers)
        {
            page.Sample(Volatile.Read(ref gauge.Ready), ("authority", authority), ("endpoint_state", "ready"));
            page.Sample(Volatile.Read(ref gauge.Pending), ("authority", authority), ("endpoint_state", "pending"));
        }

        WriteConnections(page);
    }

    private static void WriteRequests(PrometheusText page, (MetricLabel[] Labels, HttpCounters Counters)[] all)
    {
        page.Counter("request_total", "Requests.");
        foreach (var (labels, counters) in all) page.Sample(counters.Requests, labels);
        page.Histogram("response_latency_ms", "From a request's head to the first byte of its response, in milliseconds.");
        foreach (var (labels, counters) in all)
            foreach (var status in counters.Statuses) page.Sample(status.Latency, [.. labels, ("status_code", status.Label)]);
        page.Counter("response_total", "Responses that ended, and requests that got none.");
        foreach (var (labels, counters) in all)
        {
            foreach (var status in counters.Statuses) WriteResponses(page, labels, status);
            if (counters.Failures is not { } failures) continue;
            foreach (var (reason, count) in failures.All) page.Sample(Volatile.Read(ref count.Value), [.. labels, ("classification", "failure"), ("error", reason)]);
        }
    }

    private static void WriteResponses(PrometheusText page, MetricLabel[] labels, HttpStatusCounters status)
    {
        for (var grpc = -1; grpc < HttpStatusCounters.GrpcStatuses; grpc++)
        {
            if (status.CountOf(grpc) is not (> 0 and var count)) continue;
            var classification = HttpStatusCounters.IsFailure(status.Status, grpc) ? "failure" : "success";
            page.Sample(
                count,
                [.. labels, ("status_code", status.Label), ("classification", classification), ("grpc_status", grpc < 0 ? "" : grpc.ToString(CultureInfo.InvariantCulture))]);
        }
    }

    private void WriteAuthorizations(PrometheusText page)
    {
        var all = _authorizations.All.ToArray();
        page.Counter("inbound_http_authz_allow_total", "Inbound requests allowed.");
        foreach (var (labels, count) in all.Where(a => a.Key.Reason == DenialReason.None)) page.Sample(Volatile.Read(ref count.Value), labels.ToLabels(policy));
        page.Counter("inbound_http_authz_deny_total", "Inbound requests denied.");
        foreach (var (labels, count) in all.Where(a => a.Key.Reason != DenialReason.None)) page.Sample(Volatile.Read(ref count.Value), labels.ToLabels(policy));
    }

    private void WriteErrors(PrometheusText page, Direction direction)
    {
        foreach (var (reason, count) in _failures[(int)direction].All) page.Sample(Volatile.Read(ref count.Value), ("error", reason));
    }

    private void WriteRoutes(PrometheusText page)
    {
        var all = _routes.All.Select(r => (Labels: (MetricLabel[])[("authority", r.Key.Authority), ("route_name", r.Key.Route)], Counters: r.Value)).ToArray();
        page.Counter("outbound_http_route_retry_requests_total", "Attempts after the first.");
        foreach (var (labels, counters) in all) page.Sample(Volatile.Read(ref counters.Retries), labels);
        page.Counter("outbound_http_route_retry_successes_total", "Requests that a retry saved.");
        foreach (var (labels, counters) in all) page.Sample(Volatile.Read(ref counters.Successes), labels);
        page.Counter("outbound_http_route_retry_limit_exceeded_total", "Requests not tried again: as many attempts were made as are allowed.");
        foreach (var (labels, counters) in all) page.Sample(Volatile.Read(ref counters.LimitExceeded), labels);
        page.Counter("outbound_http_route_retry_overflow_total", "Requests not tried again: the route's budget was used up.");
        foreach (var (labels, counters) in all) page.Sample(Volatile.Read(ref counters.Overflow), labels);
    }

    private void WriteConnections(PrometheusText page)
    {
        var all = (
            from direction in Directions
            from side in (TcpSide[])[TcpSide.Source, TcpSide.Destination]
            from version in Enum.GetValues<HttpVersion>()
            let counters = Connections(direction, side, version)
            where Volatile.Read(ref counters.Opened) > 0
            select (Labels: (MetricLabel[])[("direction", direction.Label()), ("peer", side == TcpSide.Source ? "src" : "dst"), ("version", version.Label())], Version: version, Counters: counters)).ToArray();
        page.Counter("mesh_proxy_http_connections_total", "HTTP connections opened.");
        foreach (var (labels, _, counters) in all) page.Sample(Volatile.Read(ref counters.Opened), labels);
        page.Gauge("mesh_proxy_http_connections_open", "HTTP connections open now.");
        foreach (var (labels, _, counters) in all) page.Sample(Volatile.Read(ref counters.Opened) - Volatile.Read(ref counters.Closed), labels);
        page.Counter("mesh_proxy_http_streams_total", "Exchanges begun on them.");
        foreach (var (labels, _, counters) in all) page.Sample(Volatile.Read(ref counters.StreamsOpened), labels);
        page.Gauge("mesh_proxy_http_streams_open", "Exchanges under way.");
        foreach (var (labels, _, counters) in all) page.Sample(Volatile.Read(ref counters.StreamsOpened) - Volatile.Read(ref counters.StreamsClosed), labels);
        page.Counter("mesh_proxy_http_resets_total", "Exchanges dropped, by whom.");
        foreach (var (labels, _, counters) in all)
        {
            page.Sample(Volatile.Read(ref counters.ResetsReceived), [.. labels, ("by", "peer")]);
            page.Sample(Volatile.Read(ref counters.ResetsSent), [.. labels, ("by", "proxy")]);
        }

        page.Counter("mesh_proxy_http_protocol_errors_total", "What peers did against HTTP or our bounds.");
        foreach (var (labels, version, counters) in all)
        {
            for (var fault = 1; fault <= byte.MaxValue; fault++)
                if (counters.FaultsOf(fault) is > 0 and var count) page.Sample(count, [.. labels, ("fault", FaultName(version, fault))]);
        }
    }

    private static string FaultName(HttpVersion version, int fault) =>
        LabelText.SnakeCase(version == HttpVersion.Http2 ? ((Http2Fault)fault).ToString() : ((Http1Fault)fault).ToString());
}
