using System.Buffers;
using System.Text;
using System.Text.Json;
using Mesh.Identity.Bundles;
using Mesh.Identity.Metrics;
using Microsoft.AspNetCore.Http;

namespace Mesh.Identity.Health;

/// <summary>The admin port's four pages. Plain HTTP, read only, no request body is looked at.</summary>
/// <remarks><c>/streams</c> is what <c>mesh trust</c> asks each replica: who holds which bundle, since when.</remarks>
internal sealed class AdminPages(Readiness readiness, BundleStreams streams, BundleFeed feed, Action<PrometheusText, DateTimeOffset> writeMetrics, TimeProvider time)
{
    public async Task AnswerAsync(HttpContext http)
    {
        var response = http.Response;
        if (http.Request.Method is not ("GET" or "HEAD"))
        {
            response.StatusCode = StatusCodes.Status405MethodNotAllowed;
            response.Headers.Allow = "GET, HEAD";
            return;
        }

        response.Headers.CacheControl = "no-store";
        switch (http.Request.Path.Value)
        {
            case "/live":
                await WriteAsync(response, "text/plain; charset=utf-8", "live\n"u8.ToArray(), http.RequestAborted);
                break;
            case "/ready":
                var reasons = readiness.Judge(time.GetUtcNow());
                response.StatusCode = reasons.IsEmpty ? StatusCodes.Status200OK : StatusCodes.Status503ServiceUnavailable;
                await WriteAsync(response, "application/json", Json(json => WriteReadiness(json, reasons)), http.RequestAborted);
                break;
            case "/metrics":
                var text = new PrometheusText();
                writeMetrics(text, time.GetUtcNow());
                await WriteAsync(response, PrometheusText.ContentType, Encoding.UTF8.GetBytes(text.ToString()), http.RequestAborted);
                break;
            case "/streams":
                await WriteAsync(response, "application/json", Json(WriteStreams), http.RequestAborted);
                break;
            default:
                response.StatusCode = StatusCodes.Status404NotFound;
                break;
        }
    }

    private static async Task WriteAsync(HttpResponse response, string contentType, ReadOnlyMemory<byte> body, CancellationToken ct)
    {
        response.ContentType = contentType;
        response.ContentLength = body.Length;
        await response.Body.WriteAsync(body, ct);
    }

    private static ReadOnlyMemory<byte> Json(Action<Utf8JsonWriter> write)
    {
        var buffer = new ArrayBufferWriter<byte>();
        using var json = new Utf8JsonWriter(buffer);
        write(json);
        json.Flush();
        return buffer.WrittenMemory;
    }

    private static void WriteReadiness(Utf8JsonWriter json, IReadOnlyCollection<ReadinessReason> reasons)
    {
        json.WriteStartObject();
        json.WriteBoolean("ready", reasons.Count == 0);
        json.WriteStartArray("reasons");
        foreach (var reason in reasons)
        {
            json.WriteStartObject();
            json.WriteString("reason", reason.Reason);
            json.WriteString("sentence", reason.Sentence);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteEndObject();
    }

    private void WriteStreams(Utf8JsonWriter json)
    {
        var sequence = feed.Current?.Sequence ?? 0;
        json.WriteStartObject();
        json.WriteString("trustDomain", feed.TrustDomain.Name);
        json.WriteNumber("sequence", sequence);
        json.WriteString("now", time.GetUtcNow());
        json.WriteStartArray("anchors");
        foreach (var anchor in feed.Current?.Bundle.X509Authorities ?? [])
        {
            json.WriteStartObject();
            json.WriteString("sha256", anchor.Sha256);
            json.WriteString("subjectKeyId", Convert.ToHexStringLower(anchor.SubjectKeyId.Span));
            json.WriteString("notAfter", anchor.NotAfter);
            json.WriteEndObject();
        }

        json.WriteEndArray();
        json.WriteStartArray("streams");
        foreach (var stream in streams.Snapshot()) WriteStream(json, stream, sequence);
        json.WriteEndArray();
        json.WriteEndObject();
    }

    private static void WriteStream(Utf8JsonWriter json, BundleStream stream, ulong sequence)
    {
        json.WriteStartObject();
        json.WriteString("spiffeId", stream.Peer.ToString());
        json.WriteString("peer", stream.PeerAddress);
        json.WriteString("connectedAt", stream.OpenedAt);
        json.WriteString("state", stream.StateAgainst(sequence).Label());
        if (stream.Holding is { } holding)
        {
            json.WriteString("instanceId", holding.InstanceId);
            json.WriteString("version", holding.Version);
            json.WriteNumber("sequence", holding.Sequence);
            json.WriteString("authorityKeyId", holding.AuthorityKeyId);
            if (holding.SvidExpiresAt is { } expiry) json.WriteString("svidExpiresAt", expiry);
            if (stream.HoldingSince is { } since) json.WriteString("since", since);
            if (holding.Rejection.Length > 0) json.WriteString("rejection", holding.Rejection);
        }

        json.WriteEndObject();
    }
}
