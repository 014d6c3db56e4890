using System.Text;
using System.Text.Json;
using Mesh.Proxy.Connections;
using Mesh.Proxy.Http;
using Mesh.Proxy.Logging;
using Mesh.Proxy.Policy;
using Mesh.Proxy.Requests;
using Mesh.Spiffe;
using Mesh.Testing;
using HttpVersion = Mesh.Proxy.Http.HttpVersion;

namespace Mesh.Proxy.Tests.Requests;

public sealed class RequestJournalTests
{
    private static readonly SpiffeId Client = SpiffeId.Parse("spiffe://example.org/ns/demo/sa/client");

    [Fact]
    public void Nobody_looks_nothing_is_kept() =>
        Assert.Null(RequestJournal.None.Begin(Direction.Inbound, 1, HttpVersion.Http2, Head()));

    [Fact]
    public async Task A_line_of_the_access_log_tells_a_request_in_json()
    {
        var line = JsonDocument.Parse(await LineAsync(LogFormat.Json, Fill)).RootElement;
        Assert.Equal(
            """
            {"timestamp":"2026-01-01T00:00:00.000Z","level":"info","event":3103,"message":"request ended","direction":"inbound","connection":7,"method":"POST","authority":"web.demo:80","path":"/cart?id=1","version":"HTTP/2","status":200,"grpc_status":14,"peer":"spiffe://example.org/ns/demo/sa/client","endpoint":"10.0.0.7:8080","route":"cart","retries":1,"bytes_up":10,"bytes_down":20,"latency_ms":1.5,"duration_ms":2.25,"user_agent":"curl/8","request_id":"r-1"}
            """,
            line.GetRawText());
    }

    [Fact]
    public async Task A_line_of_the_access_log_tells_a_request_in_text() => Assert.Equal(
        "2026-01-01T00:00:00.000Z info  3103 request ended direction=inbound connection=7 method=POST authority=web.demo:80 path=\"/cart?id=1\" version=HTTP/2 status=200 grpc_status=14 "
        + "peer=spiffe://example.org/ns/demo/sa/client endpoint=10.0.0.7:8080 route=cart retries=1 bytes_up=10 bytes_down=20 latency_ms=1.5 duration_ms=2.25 user_agent=curl/8 request_id=r-1",
        await LineAsync(LogFormat.Text, Fill));

    [Fact]
    public async Task A_request_without_an_answer_says_why()
    {
        var line = await LineAsync(LogFormat.Text, record =>
        {
            record.Peer = new PeerIdentity.Absent(AbsentReason.NoTlsFromRemote);
            record.Reason = "connect_failed";
        });
        Assert.Contains(" reason=connect_failed no_peer=no_tls_from_remote bytes_up=0 bytes_down=0 duration_ms=0 ", line, StringComparison.Ordinal);
        Assert.DoesNotContain(" status=", line, StringComparison.Ordinal);
        Assert.DoesNotContain("latency_ms", line, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(LogFormat.Text)]
    [InlineData(LogFormat.Json)]
    public async Task A_client_cannot_start_a_line_reach_a_terminal_or_forge_a_field(object format)
    {
        var line = await LineAsync((LogFormat)format, _ => { }, agent: "a\u001b[31m\"b\n\u009b \u202e reason=none");
        Assert.DoesNotContain('\n', line);
        Assert.DoesNotContain(line, c => c is < ' ' or > '~');
        if ((LogFormat)format == LogFormat.Text) Assert.Contains("user_agent=\"a\\\\x1b[31m\\\"b\\\\x0a", line, StringComparison.Ordinal);
        else Assert.StartsWith("a\\x1b[31m\"b\\x0a", JsonDocument.Parse(line).RootElement.GetProperty("user_agent").GetString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Long_values_are_cut_and_no_other_field_is_told()
    {
        var line = await LineAsync(LogFormat.Json, _ => { }, path: "/" + new string('a', 30_000), agent: new string('b', 9_000), extra: "secret-token");
        Assert.InRange(line.Length, 1500, 2000);
        Assert.DoesNotContain("secret-token", line, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_record_is_used_again_and_tells_nothing_of_the_request_before()
    {
        var output = new StringWriter();
        await using (var log = new LineLog(output, LogLevel.Info, LogFormat.Text, new ManualTime()))
        {
            var journal = new RequestJournal(log);
            var first = journal.Begin(Direction.Inbound, 7, HttpVersion.Http2, Head())!;
            Fill(first);
            journal.End(first);
            var empty = new HeaderBlock();
            empty.Add(FieldName.Method, "GET"u8);
            empty.Add(FieldName.Host, "other"u8);
            empty.Add(FieldName.Path, "/"u8);
            var second = journal.Begin(Direction.Outbound, 8, HttpVersion.Http11, empty)!;
            Assert.Same(first, second);
            journal.End(second);
        }

        Assert.Equal(
            "2026-01-01T00:00:00.000Z info  3103 request ended direction=outbound connection=8 method=GET authority=other path=/ version=HTTP/1.1 bytes_up=0 bytes_down=0 duration_ms=0",
            output.ToString().Split('\n')[1]);
    }

    [Theory]
    [InlineData(200, -1, null, false)]
    [InlineData(503, -1, null, true)]
    [InlineData(200, 14, null, true)]
    [InlineData(0, -1, "connection_lost", true)]
    [InlineData(0, -1, "client_left", false)]
    public void A_record_knows_a_failure(int status, int grpc, string? reason, bool failure) =>
        Assert.Equal(failure, new RequestRecord { Status = status, GrpcStatus = grpc, Reason = reason }.IsFailure);

    private static void Fill(RequestRecord record)
    {
        (record.Peer, record.Endpoint, record.Route) = (new PeerIdentity.Verified(Client), "10.0.0.7:8080", "cart");
        (record.Status, record.GrpcStatus, record.Retries) = (200, 14, 1);
        (record.BytesUp, record.BytesDown, record.LatencyMicroseconds, record.DurationMicroseconds) = (10, 20, 1_500, 2_250);
    }

    private static HeaderBlock Head(string path = "/cart?id=1", string agent = "curl/8", string extra = "x")
    {
        var head = new HeaderBlock();
        head.Add(FieldName.Method, "POST"u8);
        head.Add(FieldName.Authority, "web.demo:80"u8);
        head.Add(FieldName.Path, Encoding.UTF8.GetBytes(path));
        head.Add(FieldName.UserAgent, Encoding.UTF8.GetBytes(agent));
        head.Add(FieldName.XRequestId, "r-1"u8);
        head.Add(FieldName.Authorization, Encoding.UTF8.GetBytes(extra));
        return head;
    }

    private static async Task<string> LineAsync(LogFormat format, Action<RequestRecord> fill, string path = "/cart?id=1", string agent = "curl/8", string extra = "x")
    {
        var output = new StringWriter();
        await using (var log = new LineLog(output, LogLevel.Info, format, new ManualTime()))
        {
            var journal = new RequestJournal(log);
            var record = journal.Begin(Direction.Inbound, 7, HttpVersion.Http2, Head(path, agent, extra))!;
            fill(record);
            journal.End(record);
        }

        return output.ToString().TrimEnd('\n');
    }
}
