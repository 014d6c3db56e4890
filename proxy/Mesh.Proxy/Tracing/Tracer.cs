using System.Collections.Immutable;
using System.Text;
using Mesh.Proxy.Connections;
using Mesh.Proxy.Http;
using Mesh.Proxy.Metrics;
using Mesh.Proxy.Policy;
using Mesh.Proxy.Requests;

namespace Mesh.Proxy.Tracing;

/// <summary>
/// Makes a span of each request that is recorded, and tells the next hop of it. The decision of whoever began the trace is kept; where nobody has
/// decided, <paramref name="probability"/> does. Lives on the loop; <paramref name="export"/> must not wait.
/// </summary>
/// <param name="probability">Of recording a request that comes without a decision; 0 to 1.</param>
internal sealed class Tracer(double probability, Action<TraceSpan> export, Random random, TimeProvider time)
{
    /// <summary>
    /// Reads the context of a request, and writes the one that it goes on with into the head. Null when it is not recorded; then a context that came
    /// with it goes on unchanged, and a decision that was ours is written down, so that the next proxy does not draw again.
    /// </summary>
    public SpanIds? Begin(HeaderBlock head)
    {
        var known = TraceContext.TryRead(head, out var parent);
        var decided = known && parent.Sampling != Sampling.Undecided;
        if (decided && parent.Sampling == Sampling.Drop) return null;
        var sampling = decided || random.NextDouble() < probability ? Sampling.Record : Sampling.Drop;
        if (sampling == Sampling.Drop && known && parent.TraceId != 0)
        {
            // Its own span goes on as the parent: only the decision is new.
            (parent with { Sampling = sampling }).WriteTo(head, parent: 0);
            return null;
        }

        var fresh = !known || parent.TraceId == 0;
        var child = parent with { TraceId = fresh ? NewTraceId() : parent.TraceId, SpanId = NewSpanId(), Sampling = sampling };
        child.WriteTo(head, parent.SpanId);
        return sampling == Sampling.Record ? new SpanIds(child.TraceId, child.SpanId, parent.SpanId, time.GetUtcNow().UtcTicks) : null;
    }

    /// <summary>The request has ended, and <paramref name="record"/> holds everything.</summary>
    public void End(SpanIds ids, RequestRecord record)
    {
        var started = ids.StartedAt;
        export(new TraceSpan(ids, record.Direction, Name(record), started + record.DurationMicroseconds * TimeSpan.TicksPerMicrosecond, Attributes(record), Error(record)));
    }

    // By the semantic conventions: the method and what is known of the route, and nothing that a client could make many of.
    private static string Name(RequestRecord record)
    {
        var method = RequestMethods.Find(record.Method) == RequestMethod.Other ? "HTTP" : Encoding.ASCII.GetString(record.Method);
        return record.Route is { } route ? $"{method} {route}" : method;
    }

    // "error.type": a status, or a reason of ours. What a server answers with 4xx is its client's fault (semantic conventions for HTTP spans).
    private static string? Error(RequestRecord record)
    {
        if (record.Reason is { } reason) return reason;
        if (!record.IsFailure && !(record.Direction == Direction.Outbound && record.Status is >= 400 and < 500)) return null;
        return (record.GrpcStatus > 0 ? record.GrpcStatus : record.Status).ToString(System.Globalization.CultureInfo.InvariantCulture);
    }

    private static ImmutableArray<SpanAttribute> Attributes(RequestRecord record)
    {
        var all = ImmutableArray.CreateBuilder<SpanAttribute>(16);
        var known = RequestMethods.Find(record.Method) != RequestMethod.Other;
        all.Add(SpanAttribute.Of("http.request.method", known ? Ascii(record.Method) : "_OTHER"));
        if (!known) all.Add(SpanAttribute.Of("http.request.method_original", Ascii(record.Method)));
        var query = record.Path.IndexOf((byte)'?');
        all.Add(SpanAttribute.Of("url.path", Ascii(query < 0 ? record.Path : record.Path[..query])));
        if (query >= 0) all.Add(SpanAttribute.Of("url.query", Ascii(record.Path[(query + 1)..])));
        all.Add(SpanAttribute.Of("url.scheme", "http"));
        all.Add(SpanAttribute.Of("network.protocol.name", "http"));
        all.Add(SpanAttribute.Of("network.protocol.version", record.Version.Label()["HTTP/".Length..]));
        all.Add(SpanAttribute.Of("server.address", Ascii(record.Authority)));
        if (record.Status != 0) all.Add(SpanAttribute.Of("http.response.status_code", record.Status));
        if (record.GrpcStatus >= 0) all.Add(SpanAttribute.Of("rpc.grpc.status_code", record.GrpcStatus));
        if (Error(record) is { } error) all.Add(SpanAttribute.Of("error.type", error));
        if (record.UserAgent.Length > 0) all.Add(SpanAttribute.Of("user_agent.original", Ascii(record.UserAgent)));
        if (record.Retries > 0) all.Add(SpanAttribute.Of("http.request.resend_count", record.Retries));
        if (record.Endpoint is { } endpoint) all.Add(SpanAttribute.Of("network.peer.address", endpoint));
        if (record.Route is { } route) all.Add(SpanAttribute.Of("http.route", route));
        all.Add(SpanAttribute.Of("mesh.direction", record.Direction.Label()));
        if (record.Peer is PeerIdentity.Verified { Id: var id }) all.Add(SpanAttribute.Of("mesh.peer", id.ToString()));
        return all.ToImmutable();
    }

    // Bytes that are no ASCII become question marks: spans are UTF-8, and must not be refused for what a client sent.
    private static string Ascii(ReadOnlySpan<byte> text) => Encoding.ASCII.GetString(text);

    private UInt128 NewTraceId() => new(NewSpanId(), NewSpanId());

    private ulong NewSpanId() => (ulong)random.NextInt64(1, long.MaxValue);
}
