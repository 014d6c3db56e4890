using System.Net;
using System.Text;
using System.Text.Json;
using Mesh.Proxy.Admin;
using Mesh.Proxy.Connections;
using Mesh.Proxy.Http;
using Mesh.Proxy.Logging;
using Mesh.Proxy.Policy;
using Mesh.Proxy.Requests;
using Mesh.Spiffe;
using Mesh.Testing;
using HttpVersion = Mesh.Proxy.Http.HttpVersion;

namespace Mesh.Proxy.Tests.Requests;

public sealed class RequestTapTests
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(30);
    private readonly RequestTap _tap = new(new ManualTime());

    [Fact]
    public async Task While_nobody_looks_nothing_is_kept_and_then_only_what_ends_later_is_told()
    {
        var journal = new RequestJournal(null, tap: _tap);
        Assert.Null(journal.Begin(Direction.Inbound, 1, HttpVersion.Http2, Head("/before")));
        using var stop = new CancellationTokenSource();
        await using (var watcher = _tap.WatchAsync(Filter(""), stop.Token).GetAsyncEnumerator())
        {
            var next = watcher.MoveNextAsync();
            Assert.True(_tap.IsWatched);
            var record = journal.Begin(Direction.Inbound, 1, HttpVersion.Http2, Head("/now"))!;
            record.Status = 200;
            journal.End(record);
            Assert.True(await next.AsTask().WaitAsync(Patience));
            var told = JsonDocument.Parse(watcher.Current).RootElement;
            Assert.Equal(("/now", 200, "2026-01-01T00:00:00.000Z"), (told.GetProperty("path").GetString(), told.GetProperty("status").GetInt32(), told.GetProperty("timestamp").GetString()));
        }

        Assert.False(_tap.IsWatched);
        Assert.Null(journal.Begin(Direction.Inbound, 1, HttpVersion.Http2, Head("/after")));
    }

    [Theory]
    [InlineData("", true)]
    [InlineData("direction=inbound", true)]
    [InlineData("direction=outbound", false)]
    [InlineData("method=GET", true)]
    [InlineData("method=GE", false)]
    [InlineData("path=/api", true)]
    [InlineData("path=%2Fapi%2Fa", true)]
    [InlineData("path=/apix", false)]
    [InlineData("authority=web.demo:80", true)]
    [InlineData("authority=WEB.demo", true)]
    [InlineData("authority=web", false)]
    [InlineData("peer=spiffe://example.org/ns/demo/sa/client", true)]
    [InlineData("peer=spiffe%3A%2F%2Fexample.org%2Fns%2Fdemo%2Fsa%2Fother", false)]
    [InlineData("status=404", true)]
    [InlineData("status=4xx", true)]
    [InlineData("status=5xx", false)]
    [InlineData("status=405", false)]
    [InlineData("method=GET&path=/api&status=404&rate=5", true)]
    [InlineData("method=GET&path=/api&status=200", false)]
    public void A_filter_lets_through_what_fits_all_of_it(string query, bool fits)
    {
        var record = new RequestRecord();
        record.Begin(Direction.Inbound, 1, HttpVersion.Http11, Head("/api/a"));
        (record.Status, record.Peer) = (404, new PeerIdentity.Verified(SpiffeId.Parse("spiffe://example.org/ns/demo/sa/client")));
        Assert.Equal(fits, Filter(query).Fits(record));
    }

    [Theory]
    [InlineData("direction=both")]
    [InlineData("path=api")]
    [InlineData("status=4x")]
    [InlineData("status=0xx")]
    [InlineData("status=abc")]
    [InlineData("rate=0")]
    [InlineData("rate=1001")]
    [InlineData("method=")]
    [InlineData("method")]
    [InlineData("other=1")]
    public void What_is_no_filter_is_refused(string query)
    {
        Assert.False(TapFilter.TryParse(query, out _, out var fault));
        Assert.StartsWith("a filter is ", fault, StringComparison.Ordinal);
    }

    [Fact]
    public async Task More_than_the_rate_is_left_out_and_counted()
    {
        var time = new ManualTime();
        var tap = new RequestTap(time);
        await using var watcher = tap.WatchAsync(Filter("rate=2"), CancellationToken.None).GetAsyncEnumerator();
        var next = watcher.MoveNextAsync();
        for (var i = 0; i < 10; i++) Offer(tap);
        time.Advance(TimeSpan.FromSeconds(1));
        Offer(tap);
        Assert.True(await next);
        Assert.True(await watcher.MoveNextAsync());
        Assert.False(JsonDocument.Parse(watcher.Current).RootElement.TryGetProperty("left_out", out _));
        Assert.True(await watcher.MoveNextAsync());
        Assert.Equal(8, JsonDocument.Parse(watcher.Current).RootElement.GetProperty("left_out").GetInt64());
    }

    [Fact]
    public async Task A_reader_who_stops_reading_costs_events_and_no_memory()
    {
        var time = new ManualTime();
        var tap = new RequestTap(time);
        await using var watcher = tap.WatchAsync(Filter("rate=1000"), CancellationToken.None).GetAsyncEnumerator();
        var next = watcher.MoveNextAsync();
        for (var i = 0; i < 3000; i++)
        {
            Offer(tap);
            time.Advance(TimeSpan.FromMilliseconds(1));
        }

        var read = 1;
        Assert.True(await next);
        for (; read < 1024; read++) Assert.True(await watcher.MoveNextAsync());
        Offer(tap);
        long leftOut = 0;
        while (leftOut == 0)
        {
            Assert.True(await watcher.MoveNextAsync());
            read++;
            if (JsonDocument.Parse(watcher.Current).RootElement.TryGetProperty("left_out", out var told)) leftOut = told.GetInt64();
        }

        Assert.Equal(3001, read + leftOut);
    }

    [Fact]
    public async Task The_admin_endpoint_streams_to_this_machine_and_turns_others_away()
    {
        var pages = new AdminPages(() => new Readiness(true, ""), _ => ValueTask.FromResult(""), () => { }, _tap);
        using var server = AdminServer.Bind(new IPEndPoint(IPAddress.Loopback, 0), pages, TimeProvider.System, LineLog.None);
        using var stop = new CancellationTokenSource();
        var running = server.RunAsync(stop.Token);
        using var http = new HttpClient { Timeout = Patience };

        using (var answer = await http.GetAsync($"http://{server.Address}/tap?path=/api", HttpCompletionOption.ResponseHeadersRead))
        {
            Assert.Equal("application/x-ndjson", answer.Content.Headers.ContentType!.ToString());
            using var reader = new StreamReader(await answer.Content.ReadAsStreamAsync());
            await UntilAsync(() => _tap.IsWatched);
            Offer(_tap);
            var first = await reader.ReadLineAsync().WaitAsync(Patience);
            Assert.Equal("/api", JsonDocument.Parse(first!).RootElement.GetProperty("path").GetString());
            Offer(_tap);
            Assert.NotNull(await reader.ReadLineAsync().WaitAsync(Patience));
        }

        await UntilAsync(() => !_tap.IsWatched);
        Assert.Equal(HttpStatusCode.BadRequest, (await http.GetAsync($"http://{server.Address}/tap?other=1")).StatusCode);
        Assert.Equal(HttpStatusCode.MethodNotAllowed, (await http.PostAsync($"http://{server.Address}/tap", null)).StatusCode);
        Assert.True(AdminRequest.TryParse("GET /tap HTTP/1.1"u8, out var request));
        Assert.Equal(403, (await pages.AnswerAsync(request, IPAddress.Parse("10.0.0.1"), CancellationToken.None)).Status);
        Assert.True(AdminRequest.TryParse("GET /tap HTTP/1.1\r\nOrigin: http://evil.example"u8, out request));
        Assert.Equal(403, (await pages.AnswerAsync(request, IPAddress.Loopback, CancellationToken.None)).Status);

        var open = new List<HttpResponseMessage>();
        for (var i = 0; i < RequestTap.MostWatchers; i++) open.Add(await http.GetAsync($"http://{server.Address}/tap", HttpCompletionOption.ResponseHeadersRead));
        await UntilAsync(() => _tap.IsFull);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, (await http.GetAsync($"http://{server.Address}/tap")).StatusCode);
        Assert.Equal(HttpStatusCode.OK, (await http.GetAsync($"http://{server.Address}/ready")).StatusCode);
        await stop.CancelAsync();
        await running.WaitAsync(Patience);
        Assert.False(_tap.IsWatched);
        open.ForEach(a => a.Dispose());
    }

    private static async Task UntilAsync(Func<bool> condition)
    {
        using var deadline = new CancellationTokenSource(Patience);
        using var tick = new PeriodicTimer(TimeSpan.FromMilliseconds(10));
        while (!condition()) await tick.WaitForNextTickAsync(deadline.Token);
    }

    private static void Offer(RequestTap tap)
    {
        var record = new RequestRecord();
        record.Begin(Direction.Inbound, 1, HttpVersion.Http11, Head("/api"));
        tap.Offer(record);
    }

    private static TapFilter Filter(string query)
    {
        Assert.True(TapFilter.TryParse(query, out var filter, out var fault), fault);
        return filter;
    }

    private static HeaderBlock Head(string path)
    {
        var head = new HeaderBlock();
        head.Add(FieldName.Method, "GET"u8);
        head.Add(FieldName.Authority, "web.demo:80"u8);
        head.Add(FieldName.Path, Encoding.ASCII.GetBytes(path));
        return head;
    }
}
