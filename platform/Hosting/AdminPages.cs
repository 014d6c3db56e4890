using System.Buffers;
using System.Collections.Frozen;
using System.Text;
using System.Text.Json;
using Microsoft.AspNetCore.Http;

namespace Mesh.Hosting;

/// <summary>The admin port's pages. Plain HTTP, read only, no request body is looked at.</summary>
/// <param name="readiness">What <c>/ready</c> says.</param>
/// <param name="writeMetrics">What <c>/metrics</c> says.</param>
/// <param name="pages">Further pages, each one JSON document, by path.</param>
/// <param name="time">The clock of both.</param>
internal sealed class AdminPages(Readiness readiness, Action<PrometheusText, DateTimeOffset> writeMetrics, FrozenDictionary<string, Action<Utf8JsonWriter>> pages, TimeProvider time)
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
            case { } path when pages.TryGetValue(path, out var write):
                await WriteAsync(response, "application/json", Json(write), http.RequestAborted);
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
}
