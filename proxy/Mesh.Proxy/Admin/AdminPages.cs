using System.Net;
using Mesh.Proxy.Metrics;
using Mesh.Proxy.Requests;

namespace Mesh.Proxy.Admin;

/// <summary>An answer of the admin endpoint.</summary>
internal sealed record AdminAnswer(int Status, string Body, string ContentType = "text/plain; charset=utf-8")
{
    /// <summary>Lines without end that follow the head, in place of <see cref="Body"/>. They are sent as they come.</summary>
    public Func<CancellationToken, IAsyncEnumerable<string>>? Lines { get; init; }

    public string Phrase => Status switch
    {
        200 => "OK",
        400 => "Bad Request",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        431 => "Request Header Fields Too Large",
        _ => "Service Unavailable",
    };

    public static AdminAnswer Of(int status) => new AdminAnswer(status, "") is var bare ? bare with { Body = bare.Phrase + "\n" } : bare;
}

/// <summary>The pages: <c>/metrics</c>, <c>/ready</c>, <c>/live</c>, <c>/tap</c>, <c>/shutdown</c>.</summary>
/// <param name="readiness">Asked at every probe.</param>
/// <param name="metrics">Builds the Prometheus page; called for each scrape, so that nothing is computed when nobody looks.</param>
/// <param name="shutdown">Begins an orderly shutdown.</param>
/// <param name="tap">Shows requests; null when there are none to show.</param>
internal sealed class AdminPages(Func<Readiness> readiness, Func<CancellationToken, ValueTask<string>> metrics, Action shutdown, RequestTap? tap = null)
{
    public async ValueTask<AdminAnswer> AnswerAsync(AdminRequest request, IPAddress client, CancellationToken ct)
    {
        var reads = request.Method is "GET" or "HEAD";
        switch (request.Path)
        {
            case "/live" when reads:
                return new AdminAnswer(200, "live\n");
            case "/ready" when reads:
                var (ready, sentence) = readiness();
                return new AdminAnswer(ready ? 200 : 503, sentence + "\n");
            case "/metrics" when reads:
                return new AdminAnswer(200, await metrics(ct), PrometheusText.ContentType);
            case "/tap" when request.Method == "GET":
                // Requests are the business of those who are on this machine: whom a client asks, and for what.
                return !IPAddress.IsLoopback(client) || request.FromBrowser ? AdminAnswer.Of(403) : Tap(request.Query);
            case "/shutdown" when request.Method == "POST":
                // The application of this pod may end its proxy; the network may not, nor a web page in a browser on this machine.
                if (!IPAddress.IsLoopback(client) || request.FromBrowser) return AdminAnswer.Of(403);
                shutdown();
                return new AdminAnswer(200, "shutting down\n");
            case "/live" or "/ready" or "/metrics" or "/tap" or "/shutdown":
                return AdminAnswer.Of(405);
            default:
                return AdminAnswer.Of(404);
        }
    }

    private AdminAnswer Tap(string query)
    {
        if (tap is null) return AdminAnswer.Of(404);
        if (!TapFilter.TryParse(query, out var filter, out var fault)) return new AdminAnswer(400, fault);
        return tap.IsFull
            ? new AdminAnswer(503, $"{RequestTap.MostWatchers} are looking already\n")
            : new AdminAnswer(200, "", "application/x-ndjson") { Lines = ct => tap.WatchAsync(filter, ct) };
    }
}
