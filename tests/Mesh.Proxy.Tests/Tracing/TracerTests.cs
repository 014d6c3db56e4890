using System.Globalization;
using System.Text;
using Mesh.Proxy.Connections;
using Mesh.Proxy.Http;
using Mesh.Proxy.Policy;
using Mesh.Proxy.Requests;
using Mesh.Proxy.Tracing;
using Mesh.Spiffe;
using Mesh.Testing;
using HttpVersion = Mesh.Proxy.Http.HttpVersion;

namespace Mesh.Proxy.Tests.Tracing;

public sealed class TracerTests
{
    private const string Trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    private const string Parent = "00f067aa0ba902b7";

    private readonly List<TraceSpan> _spans = [];

    [Fact]
    public void A_sampled_request_goes_on_as_a_child_and_ends_as_a_span()
    {
        var (journal, head) = (Journal(0), Head(("traceparent", $"00-{Trace}-{Parent}-01")));
        var record = journal.Begin(Direction.Outbound, 1, HttpVersion.Http11, head)!;
        var written = Value(head, "traceparent");
        (record.Status, record.Endpoint, record.Route, record.DurationMicroseconds) = (200, "10.0.0.7:8080", "cart", 1_500);
        record.Peer = new PeerIdentity.Verified(SpiffeId.Parse("spiffe://example.org/ns/demo/sa/web"));
        journal.End(record);

        var span = Assert.Single(_spans);
        Assert.Equal(written, $"00-{span.Ids.TraceId:x32}-{span.Ids.SpanId:x16}-01");
        Assert.Equal((Trace, 0x00f067aa0ba902b7ul), (span.Ids.TraceId.ToString("x32", CultureInfo.InvariantCulture), span.Ids.ParentId));
        Assert.NotEqual(span.Ids.ParentId, span.Ids.SpanId);
        Assert.Equal(("GET cart", 15_000L, null), (span.Name, span.EndedAt - span.Ids.StartedAt, span.Error));
        Assert.Equal(
            "http.request.method=GET url.path=/a url.query=b=1 url.scheme=http network.protocol.name=http network.protocol.version=1.1 server.address=web.demo "
            + "http.response.status_code=200 network.peer.address=10.0.0.7:8080 http.route=cart mesh.direction=outbound mesh.peer=spiffe://example.org/ns/demo/sa/web",
            string.Join(' ', span.Attributes.Select(a => $"{a.Key}={a.Text ?? a.Number.ToString(CultureInfo.InvariantCulture)}")));
    }

    [Theory]
    [InlineData("traceparent", $"00-{Trace}-{Parent}-00")]
    [InlineData("b3", "0")]
    [InlineData("b3", $"{Trace}-{Parent}-0")]
    [InlineData("x-b3-sampled", "0")]
    public void A_request_that_is_not_to_be_recorded_goes_on_unchanged(string name, string value)
    {
        var head = Head((name, value));
        Assert.Null(Journal(1).Begin(Direction.Inbound, 1, HttpVersion.Http2, head));
        Assert.Equal(value, Value(head, name));
        Assert.Equal(4, head.Count);
    }

    [Fact]
    public void Where_nobody_has_decided_probability_does_and_the_next_proxy_is_told()
    {
        var head = Head();
        Assert.Null(Journal(0).Begin(Direction.Outbound, 1, HttpVersion.Http2, head));
        Assert.Matches("^00-[0-9a-f]{32}-[0-9a-f]{16}-00$", Value(head, "traceparent"));

        head = Head(("tracestate", "leftover=1"));
        var record = Journal(1).Begin(Direction.Outbound, 1, HttpVersion.Http2, head)!;
        Assert.Matches("^00-[0-9a-f]{32}-[0-9a-f]{16}-01$", Value(head, "traceparent"));
        Assert.Equal(-1, head.Find("tracestate"u8));
        Assert.Equal(0ul, record.Span!.Value.ParentId);

        head = Head(("b3", $"{Trace}-{Parent}"));
        Assert.Null(Journal(0).Begin(Direction.Outbound, 1, HttpVersion.Http2, head));
        Assert.Equal($"{Trace}-{Parent}-0", Value(head, "b3"));

        head = Head(("b3", "1"));
        Assert.NotNull(Journal(0).Begin(Direction.Outbound, 1, HttpVersion.Http2, head));
        Assert.Matches("^[0-9a-f]{32}-[0-9a-f]{16}-1$", Value(head, "b3"));
    }

    [Theory]
    [InlineData(Direction.Inbound, 404, -1, null, null)]
    [InlineData(Direction.Outbound, 404, -1, null, "404")]
    [InlineData(Direction.Inbound, 503, -1, null, "503")]
    [InlineData(Direction.Inbound, 200, 14, null, "14")]
    [InlineData(Direction.Inbound, 200, 0, null, null)]
    [InlineData(Direction.Outbound, 0, -1, "connect_failed", "connect_failed")]
    public void Errors_are_those_of_the_semantic_conventions(object direction, int status, int grpc, string? reason, string? expected)
    {
        var journal = Journal(1);
        var record = journal.Begin((Direction)direction, 1, HttpVersion.Http2, Head())!;
        (record.Status, record.GrpcStatus, record.Reason) = (status, grpc, reason);
        journal.End(record);
        var span = Assert.Single(_spans);
        Assert.Equal(expected, span.Error);
        Assert.Equal(expected, span.Attributes.FirstOrDefault(a => a.Key == "error.type").Text);
    }

    [Fact]
    public void A_method_that_a_client_invents_is_no_name()
    {
        var journal = Journal(1);
        var record = journal.Begin(Direction.Inbound, 1, HttpVersion.Http2, Head("BREW"))!;
        journal.End(record);
        var span = Assert.Single(_spans);
        Assert.Equal("HTTP", span.Name);
        Assert.Contains(SpanAttribute.Of("http.request.method", "_OTHER"), span.Attributes);
        Assert.Contains(SpanAttribute.Of("http.request.method_original", "BREW"), span.Attributes);
    }

    private RequestJournal Journal(double probability) => new(null, new Tracer(probability, _spans.Add, new Random(7), new ManualTime()));

    private static HeaderBlock Head(params (string Name, string Value)[] fields) => Head("GET", fields);

    private static HeaderBlock Head(string method, params (string Name, string Value)[] fields)
    {
        var head = new HeaderBlock();
        head.Add(FieldName.Method, Encoding.ASCII.GetBytes(method));
        head.Add(FieldName.Authority, "web.demo"u8);
        head.Add(FieldName.Path, "/a?b=1"u8);
        foreach (var (name, value) in fields) head.Add(Encoding.ASCII.GetBytes(name), Encoding.ASCII.GetBytes(value));
        return head;
    }

    private static string Value(HeaderBlock head, string name) => Encoding.ASCII.GetString(head.Value(head.Find(Encoding.ASCII.GetBytes(name))));
}
