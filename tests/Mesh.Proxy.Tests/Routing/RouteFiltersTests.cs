using System.Collections.Immutable;
using System.Text;
using Mesh.Proxy.Balance;
using Mesh.Proxy.Http;
using Mesh.Proxy.Routing;
using Mesh.Proxy.Settings;
using static Mesh.Proxy.Tests.Routing.Requests;

namespace Mesh.Proxy.Tests.Routing;

public sealed class RouteFiltersTests
{
    private readonly HeaderBlock _answer = new();

    [Fact]
    public void Fields_are_added_then_set_then_removed()
    {
        var modifier = Modifier(add: [("X-A", "2"), ("x-b", "1")], set: [("x-c", "9"), ("accept", "z"), ("x-new", "n")], remove: ["X-B", "user-agent", "x-absent"])!;
        var request = Request("/", fields: [("x-a", "1"), ("x-c", "1"), ("x-c", "2"), ("accept", "a"), ("user-agent", "u")]);
        Assert.True(Filters(new RouteFilter.ModifyRequest(modifier)).Pass(request, default, Random.Shared, _answer));
        Assert.Equal(":method: GET\n:scheme: http\n:authority: web.demo:80\n:path: /\nx-a: 1\nx-a: 2\nx-c: 9\naccept: z\nx-new: n\n", Text(request));
        Assert.Equal(0, _answer.Count);
    }

    [Fact]
    public void Responses_are_changed_by_their_own_modifiers_only()
    {
        var filters = Filters(new RouteFilter.ModifyRequest(Modifier(add: [("x-request", "1")])!), new RouteFilter.ModifyResponse(Modifier(add: [("x-response", "1")])!));
        var response = new HeaderBlock();
        response.Add(FieldName.Status, "200"u8);
        filters.ApplyToResponse(response);
        Assert.Equal(":status: 200\nx-response: 1\n", Text(response));
        var request = Request("/");
        filters.Pass(request, default, Random.Shared, _answer);
        Assert.EndsWith("x-request: 1\n", Text(request), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("connection")]
    [InlineData("Content-Length")]
    [InlineData("transfer-encoding")]
    [InlineData("te")]
    [InlineData("trailer")]
    [InlineData("upgrade")]
    [InlineData("keep-alive")]
    [InlineData("proxy-connection")]
    [InlineData("http2-settings")]
    [InlineData("host")]
    [InlineData("expect")]
    [InlineData(":path")]
    [InlineData(":authority")]
    [InlineData("l5d-client-id")]
    [InlineData("L5d-Dst-Override")]
    [InlineData("l5d-of-the-future")]
    [InlineData("")]
    [InlineData("a b")]
    [InlineData("a\r\nb")]
    [InlineData("\u00e9")]
    public void Framing_and_what_proxies_say_to_each_other_cannot_be_touched(string name)
    {
        Assert.Null(Modifier(add: [(name, "1")]));
        Assert.Null(Modifier(set: [(name, "1")]));
        Assert.Null(Modifier(remove: [name]));
    }

    [Theory]
    [InlineData("a\r\nb")]
    [InlineData("a\0")]
    [InlineData(" a")]
    public void A_value_that_is_none_makes_no_modifier(string value) => Assert.Null(Modifier(set: [("x", value)]));

    [Fact]
    public void More_than_is_sensible_makes_no_modifier()
    {
        Assert.NotNull(Modifier(remove: [.. Enumerable.Range(0, 64).Select(i => $"x-{i}")]));
        Assert.Null(Modifier(remove: [.. Enumerable.Range(0, 65).Select(i => $"x-{i}")]));
        Assert.Null(Modifier(set: [("x", new string('v', HeaderModifier.MaxValue + 1))]));
    }

    [Fact]
    public void Modifying_allocates_nothing()
    {
        var filters = Filters(new RouteFilter.ModifyRequest(Modifier(add: [("x-a", "2")], set: [("x-c", "9"), ("accept", "z")], remove: ["x-b"])!));
        var original = Request("/", fields: [("x-b", "1"), ("accept", "a")]);
        var request = new HeaderBlock();
        void Once()
        {
            request.Clear();
            original.CopyTo(request);
            if (!filters.Pass(request, default, Random.Shared, _answer)) throw new InvalidOperationException();
        }

        for (var i = 0; i < 1_000; i++) Once();
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 1_000; i++) Once();
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    [Fact]
    public void A_failure_answers_in_place_of_the_service()
    {
        Assert.False(Filters(new RouteFilter.Fail(false, 503, "on purpose", 1, 1)).Pass(Request("/"), default, Random.Shared, _answer));
        Assert.Equal(":status: 503\nl5d-proxy-error: on purpose\n", Text(_answer));
        _answer.Clear();
        Assert.False(Filters(new RouteFilter.Fail(true, 14, "bad\r\nx: y", 1, 1)).Pass(Request("/"), default, Random.Shared, _answer));
        Assert.Equal(":status: 200\ncontent-type: application/grpc\ngrpc-status: 14\ngrpc-message: bad??x: y\nl5d-proxy-error: bad??x: y\n", Text(_answer));
    }

    [Fact]
    public void Failures_happen_to_their_share_of_requests()
    {
        var filters = Filters(new RouteFilter.Fail(false, 500, "", 1, 4));
        var random = new Random(7);
        var passed = Enumerable.Range(0, 10_000).Count(_ => filters.Pass(Request("/"), default, random, new HeaderBlock()));
        Assert.InRange(passed, 7_300, 7_700);
        Assert.True(Filters(new RouteFilter.Fail(false, 500, "", 0, 4)).Pass(Request("/"), default, random, _answer));
    }

    [Theory]
    [InlineData(null, null, 0, "/new", false, "http://web.demo:8080/new?q=1")]
    [InlineData("https", null, 0, null, false, "https://web.demo/a/b?q=1")]
    [InlineData("https", null, 8443, null, false, "https://web.demo:8443/a/b?q=1")]
    [InlineData(null, "other", 0, null, false, "http://other:8080/a/b?q=1")]
    [InlineData(null, "other", 80, null, false, "http://other/a/b?q=1")]
    [InlineData(null, "[::1]", 81, null, false, "http://[::1]:81/a/b?q=1")]
    [InlineData(null, null, 0, "/x", true, "http://web.demo:8080/x/b?q=1")]
    [InlineData(null, null, 0, "/x/", true, "http://web.demo:8080/x/b?q=1")]
    [InlineData(null, null, 0, "/", true, "http://web.demo:8080/b?q=1")]
    public void A_redirect_keeps_what_it_does_not_change(string? scheme, string? host, int port, string? path, bool isPrefix, string location)
    {
        var filters = Filters(new RouteFilter.RedirectRequest(new Redirect(scheme, host, port, path, isPrefix, 302)));
        Assert.False(filters.Pass(Request("/a/b?q=1", authority: "web.demo:8080"), new RouteMatch(null, "/a".Length), Random.Shared, _answer));
        Assert.Equal($":status: 302\nlocation: {location}\n", Text(_answer));
    }

    [Fact]
    public void A_redirect_to_where_the_request_is_lets_it_pass()
    {
        var filters = Filters(new RouteFilter.RedirectRequest(new Redirect("http", "web.demo", 8080, null, false, 301)));
        Assert.True(filters.Pass(Request("/a", authority: "web.demo:8080"), default, Random.Shared, _answer));
        Assert.Equal(0, _answer.Count);
    }

    [Fact]
    public void A_redirect_that_cannot_be_written_is_an_error_and_not_half_a_location()
    {
        foreach (var (redirect, path) in new[] { (new Redirect(null, null, 0, "/x", true, 301), "/a"), (new Redirect("https", null, 0, null, false, 301), "/" + new string('a', 3_000)) })
        {
            _answer.Clear();
            Assert.False(Filters(new RouteFilter.RedirectRequest(redirect)).Pass(Request(path), new RouteMatch(null, -1), Random.Shared, _answer));
            Assert.StartsWith(":status: 500\n", Text(_answer), StringComparison.Ordinal);
        }
    }

    [Fact]
    public void Backends_are_chosen_by_weight_among_those_that_are_available()
    {
        var random = new Random(3);
        var backends = new RouteBackends(byWeight: true, [Backend("a", 1), Backend("b", 0), Backend("c", 3)]);
        var counts = Count(backends, random, 0);
        Assert.InRange(counts["a"], 2_350, 2_650);
        Assert.False(counts.ContainsKey("b"));
        Assert.Equal(10_000, Count(backends, random, 0b100)["a"]);
        Assert.Null(backends.Choose(random, 0b101, out var index));
        Assert.Equal(-1, index);
        Assert.Null(RouteBackends.None.Choose(random, 0, out _));
    }

    [Fact]
    public void Backends_in_order_are_taken_in_order()
    {
        var backends = new RouteBackends(byWeight: false, [Backend("a", 0), Backend("b", 0)]);
        Assert.Equal("a", backends.Choose(Random.Shared, 0, out _)!.Backend.Resource.Name);
        Assert.Equal("b", backends.Choose(Random.Shared, 1, out var index)!.Backend.Resource.Name);
        Assert.Equal(1, index);
    }

    [Fact]
    public void Retries_have_their_conditions()
    {
        var retry = new RetryPolicy { MaxRetries = 1, Statuses = [(500, 504), (429, 429)], GrpcCodes = 1u << 14 };
        Assert.True(retry.IsRetryable(500) && retry.IsRetryable(504) && retry.IsRetryable(429));
        Assert.False(retry.IsRetryable(505) || retry.IsRetryable(200));
        Assert.True(retry.IsRetryableGrpc(14));
        Assert.False(retry.IsRetryableGrpc(13) || retry.IsRetryableGrpc(-1) || retry.IsRetryableGrpc(46));
        Assert.Equal(65_536, retry.MaxRequestBytes);
    }

    [Fact]
    public void The_default_policy_sends_every_request_once_to_the_service()
    {
        var policy = OutboundPolicy.Default(HostPort.Parse("web.demo:80"));
        var rule = policy.Http2.Match(Request("/any", "DELETE", "whatever")).Rule!;
        Assert.Equal("web.demo:80", Assert.Single(rule.Backends.All).Backend.Authority!.ToString());
        Assert.Null(rule.Retry);
        Assert.Null(rule.Fault);
        Assert.Equal(default, rule.Timeouts);
        Assert.Null(rule.Backends.All[0].Backend.Accrual);
        Assert.Equal(OutboundPolicy.Default(HostPort.Parse("web.demo:80")).Http1.Match(Request("/")).Rule!.Backends.All[0].Backend, rule.Backends.All[0].Backend);
    }

    private static Dictionary<string, int> Count(RouteBackends backends, Random random, ulong unavailable) =>
        Enumerable.Range(0, 10_000).Select(_ => backends.Choose(random, unavailable, out var index) is { } chosen && chosen == backends.All[index] ? chosen.Backend.Resource.Name : "")
            .CountBy(name => name).ToDictionary();

    private static RouteBackend Backend(string name, uint weight) =>
        new(new Backend(ResourceName.Default(name), HostPort.Parse($"{name}:80"), null, LoadParameters.Default, null), weight, RouteFilters.None);

    private static RouteFilters Filters(params RouteFilter[] all) => new([.. all]);

    private static HeaderModifier? Modifier((string Name, string Value)[]? add = null, (string Name, string Value)[]? set = null, string[]? remove = null) =>
        HeaderModifier.Create(Bytes(add), Bytes(set), remove ?? []);

    private static IEnumerable<(string Name, byte[] Value)> Bytes((string Name, string Value)[]? fields) => (fields ?? []).Select(f => (f.Name, Encoding.ASCII.GetBytes(f.Value)));
}
