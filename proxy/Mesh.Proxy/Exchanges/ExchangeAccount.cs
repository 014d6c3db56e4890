using System.Diagnostics;
using Mesh.Proxy.Connections;
using Mesh.Proxy.Http;
using Mesh.Proxy.Metrics;
using Mesh.Proxy.Policy;
using Mesh.Proxy.Requests;

namespace Mesh.Proxy.Exchanges;

/// <summary>What became of exchanges goes from here to the counters and to those who look. Lives on the loop.</summary>
internal sealed class ExchangeAccount(Direction direction, HttpMetrics metrics, RequestJournal journal)
{
    /// <summary>A request has come; <paramref name="head"/> is as it goes on.</summary>
    public void Began(Exchange exchange, long connection, HttpVersion version, HeaderBlock head) =>
        exchange.Record = journal.Begin(direction, connection, version, head);

    /// <summary>The exchange is over.</summary>
    /// <param name="counters">Of those who were to answer it; null when nobody was.</param>
    /// <param name="peer">Who asked (inbound), who was to answer (outbound).</param>
    /// <param name="endpoint">The address it went to.</param>
    public void Ended(Exchange exchange, HttpCounters? counters, PeerIdentity? peer, string? endpoint)
    {
        var reason = exchange.ClientLeft ? RequestRecord.ClientLeft : exchange.Refusal?.Reason;
        if (reason is not null) metrics.Failed(direction, reason);
        var latency = exchange.Answered == 0 ? -1 : Microseconds(exchange.Started, exchange.Answered);
        if (exchange.Refusal is { } refusal) counters?.Failed(refusal.Reason);
        else if (exchange.Status != 0) counters?.Responded(exchange.Status, exchange.GrpcStatus, latency);
        if (exchange.Record is not { } record) return;
        exchange.Record = null;
        (record.Peer, record.Endpoint, record.Reason) = (peer, endpoint, reason);
        (record.Status, record.GrpcStatus, record.Retries) = (exchange.Status, exchange.GrpcStatus, Math.Max(0, exchange.Attempts - 1));
        (record.BytesUp, record.BytesDown) = (exchange.RequestBytes, exchange.ResponseBytes);
        (record.LatencyMicroseconds, record.DurationMicroseconds) = (latency, Microseconds(exchange.Started, Stopwatch.GetTimestamp()));
        journal.End(record);
    }

    private static long Microseconds(long from, long to) => (long)Stopwatch.GetElapsedTime(from, to).TotalMicroseconds;
}
