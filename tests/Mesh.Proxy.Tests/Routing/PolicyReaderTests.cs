using System.Collections.Immutable;
using Google.Protobuf;
using Mesh.Protocol.GrpcRoutes;
using Mesh.Protocol.HttpRoutes;
using Mesh.Protocol.HttpTypes;
using Mesh.Protocol.OpaqueRoutes;
using Mesh.Protocol.Outbound;
using Mesh.Proxy.Balance;
using Mesh.Proxy.Http;
using Mesh.Proxy.Routing;
using Mesh.Testing;
using static Mesh.Proxy.Tests.Routing.Policies;
using Filter = Mesh.Protocol.Outbound.HttpRoute.Types.Filter;
using FailureAccrual = Mesh.Protocol.Outbound.FailureAccrual;
using HttpMethod = Mesh.Protocol.HttpTypes.HttpMethod;

namespace Mesh.Proxy.Tests.Routing;

public sealed class PolicyReaderTests
{
    [Fact]
    public void A_whole_policy_becomes_the_model()
    {
        var match = new HttpRouteMatch
        {
            Path = new PathMatch { Prefix = "/api" }, Method = new HttpMethod { Registered = HttpMethod.Types.Registered.Post },
            Headers = { new HeaderMatch { Name = "X-Version", Exact = ByteString.CopyFromUtf8("2") } }, QueryParams = { new QueryParamMatch { Name = "q", Regex = "[a-z]+" } },
        };
        var rule = Rule(match, new Filter { RequestHeaderModifier = new RequestHeaderModifier { Set = Headers(("x-seen", "yes")), Remove = { "x-gone" } } });
        rule.Backends = Weighted(("web.demo:80", 9), ("canary.demo:80", 1));
        rule.Timeouts = new Timeouts { Request = Ms(2_500), Response = Ms(1_500), Idle = Ms(0.2) };
        rule.Retry = new HttpRoute.Types.Retry
        {
            MaxRetries = 3, Timeout = Ms(400), Backoff = new() { MinBackoff = Ms(10), MaxBackoff = Ms(100), JitterRatio = 0.5f },
            Conditions = new() { StatusRanges = { new HttpRoute.Types.Retry.Types.Conditions.Types.StatusRange { Start = 500, End = 599 } } },
        };
        var route = Route("web", rule);
        route.Hosts.Add(new HostMatch { Suffix = new HostMatch.Types.Suffix { ReverseLabels = { "com", "example" } } });
        var policy = Good(Message(Consecutive(5, 1_000, 30_000), route));

        Assert.Equal((PolicyProtocol.Detect, 3_000), (policy.Protocol, policy.DetectTimeout));
        Assert.Equal(new ResourceName("core", "Service", "demo", "web", Port: 80), policy.Parent);
        var found = policy.Http2.Match(Requests.Request("/api/x?q=abc", "POST", "www.example.com", ("x-version", "2")));
        Assert.Equal(4, found.PrefixLength);
        var read = found.Rule!;
        Assert.Equal("HTTPRoute/demo/web", read.Route.ToString());
        Assert.Equal(new RouteTimeouts(2_500, 1_500, 1), read.Timeouts);
        Assert.Equal((3, 65_536, 400), (read.Retry!.MaxRetries, read.Retry.MaxRequestBytes, read.Retry.Timeout));
        Assert.Equal(Mesh.Proxy.Balance.ExponentialBackoff.Create(10, 100, 0.5), read.Retry.Backoff);
        Assert.True(read.Retry.IsRetryable(503));
        Assert.Equal([("web.demo:80", 9u), ("canary.demo:80", 1u)], read.Backends.All.Select(b => (b.Backend.Authority!.ToString(), b.Weight)));
        Assert.Equal(new LoadParameters(50, 5_000), read.Backends.All[0].Backend.Load);
        Assert.Equal(new FailureAccrualParameters(5, Mesh.Proxy.Balance.ExponentialBackoff.Create(1_000, 30_000, 0.5)!), read.Backends.All[0].Backend.Accrual);
        Assert.IsType<RouteFilter.ModifyRequest>(Assert.Single(read.Filters.All));
        Assert.Equal("web.demo:80", Assert.Single(policy.Opaque.Backends.All).Backend.Authority!.ToString());

        foreach (var other in new[]
        {
            Requests.Request("/api/x?q=abc", "GET", "www.example.com", ("x-version", "2")), Requests.Request("/api/x?q=abc", "POST", "www.example.org", ("x-version", "2")),
            Requests.Request("/api/x?q=ABC", "POST", "www.example.com", ("x-version", "2")), Requests.Request("/api/x?q=abc", "POST", "www.example.com"),
        })
            Assert.Null(policy.Http1.Match(other).Rule);
    }

    [Fact]
    public void Equal_messages_make_equal_backends_so_that_balancers_can_stay() =>
        Assert.Equal(
            Good(Message(Consecutive(7, 1_000, 60_000), Route("a", Rule()))).Http1.Routes[0].Rules[0].Rule.Backends.All[0].Backend,
            Good(Message(Consecutive(7, 1_000, 60_000), Route("b", Rule(Prefix("/x"))))).Http1.Routes[0].Rules[0].Rule.Backends.All[0].Backend);

    [Fact]
    public void Calls_of_grpc_are_routed_retried_and_failed_as_such()
    {
        var rule = new GrpcRoute.Types.Rule
        {
            Matches = { new GrpcRouteMatch { Rpc = new GrpcRpcMatch { Service = "pkg.Greeter", Method = "Hello" } } },
            Backends = GrpcRoute.Types.Distribution.Parser.ParseFrom(To("web.demo:80").ToByteString()),
            Retry = new GrpcRoute.Types.Retry { MaxRetries = 1, Conditions = new() { Unavailable = true, DeadineExceeded = true } },
            Filters = { new GrpcRoute.Types.Filter { FailureInjector = new GrpcFailureInjector { Code = 14, Message = "no" } } },
        };
        var policy = Good(new Protocol.Outbound.OutboundPolicy { Protocol = new ProxyProtocol { Grpc = new() { Routes = { new GrpcRoute { Rules = { rule } } } } } });
        Assert.Equal(PolicyProtocol.Grpc, policy.Protocol);
        Assert.Null(policy.Http2.Match(Requests.Request("/pkg.Greeter/Hello")).Rule);
        Assert.Null(policy.Http2.Match(Requests.Request("/pkg.Greeter/Bye", "POST")).Rule);
        var found = policy.Http2.Match(Requests.Request("/pkg.Greeter/Hello", "POST")).Rule!;
        Assert.True(found.Retry!.IsRetryableGrpc(14) && found.Retry.IsRetryableGrpc(4));
        Assert.False(found.Retry.IsRetryableGrpc(13));
        Assert.Equal((true, 14), Assert.IsType<RouteFilter.Fail>(Assert.Single(found.Filters.All)) is var fail ? (fail.IsGrpc, fail.Code) : default);
    }

    /// <summary>Each breaks one thing in the rule for "/bad"; the rule for "/good" goes on.</summary>
    private static readonly Dictionary<string, Action<HttpRoute.Types.Rule>> _broken = new()
    {
        { "path", r => r.Matches[0].Path = new PathMatch { Regex = "(" } },
        { "path of a later kind", r => r.Matches[0].Path = new PathMatch() },
        { "relative path", r => r.Matches[0].Path = new PathMatch { Exact = "bad" } },
        { "header", r => r.Matches[0].Headers.Add(new HeaderMatch { Name = "x" }) },
        { "header name", r => r.Matches[0].Headers.Add(new HeaderMatch { Name = "a b", Exact = ByteString.Empty }) },
        { "query", r => r.Matches[0].QueryParams.Add(new QueryParamMatch { Name = "x", Regex = @"\1" }) },
        { "method", r => r.Matches[0].Method = new HttpMethod { Unregistered = "G T" } },
        { "too many headers", r => r.Matches[0].Headers.AddRange(Enumerable.Range(0, 17).Select(i => new HeaderMatch { Name = $"x{i}", Exact = ByteString.Empty })) },
        { "filter of a later kind", r => r.Filters.Add(new Filter()) },
        { "framing", r => r.Filters.Add(new Filter { RequestHeaderModifier = new RequestHeaderModifier { Remove = { "content-length" } } }) },
        { "proxies' field", r => r.Filters.Add(new Filter { ResponseHeaderModifier = new ResponseHeaderModifier { Set = Headers(("l5d-client-id", "x")) } }) },
        { "failure status", r => r.Filters.Add(new Filter { FailureInjector = new HttpFailureInjector { Status = 99 } }) },
        { "failure ratio", r => r.Filters.Add(new Filter { FailureInjector = new HttpFailureInjector { Status = 500, Ratio = new Ratio { Numerator = 1 } } }) },
        { "redirect status", r => r.Filters.Add(new Filter { Redirect = new RequestRedirect { Status = 200 } }) },
        { "redirect scheme", r => r.Filters.Add(new Filter { Redirect = new RequestRedirect { Scheme = new Scheme { Unregistered = "javascript" } } }) },
        { "redirect host", r => r.Filters.Add(new Filter { Redirect = new RequestRedirect { Host = "a\r\nb" } }) },
        { "redirect host with port", r => r.Filters.Add(new Filter { Redirect = new RequestRedirect { Host = "a:1" } }) },
        { "redirect path", r => r.Filters.Add(new Filter { Redirect = new RequestRedirect { Path = new PathModifier { Full = "x" } } }) },
        { "prefix replaced without a prefix", r => { r.Matches[0].Path = new PathMatch { Exact = "/bad" }; r.Filters.Add(new Filter { Redirect = new RequestRedirect { Path = new PathModifier { Prefix = "/x" } } }); } },
        { "too many filters", r => r.Filters.AddRange(Enumerable.Range(0, 17).Select(_ => new Filter { ResponseHeaderModifier = new ResponseHeaderModifier() })) },
        { "no backends", r => r.Backends = null },
        { "backend of a later kind", r => r.Backends.RandomAvailable.Backends[0].Backend.Backend = new Protocol.Outbound.Backend() },
        { "backend without a name", r => r.Backends = To("nowhere") },
        { "filter of a backend", r => r.Backends.RandomAvailable.Backends[0].Backend.Filters.Add(new Filter()) },
        { "too many backends", r => r.Backends = Weighted([.. Enumerable.Range(1, 65).Select(i => ($"web.demo:{i}", 1u))]) },
        { "negative duration", r => r.Timeouts = new Timeouts { Request = new Google.Protobuf.WellKnownTypes.Duration { Seconds = -1 } } },
        { "retry without conditions", r => r.Retry = new HttpRoute.Types.Retry { MaxRetries = 1 } },
        { "retry status", r => r.Retry = new HttpRoute.Types.Retry { MaxRetries = 1, Conditions = new() { StatusRanges = { new HttpRoute.Types.Retry.Types.Conditions.Types.StatusRange { Start = 599, End = 500 } } } } },
        { "retry back-off", r => r.Retry = new HttpRoute.Types.Retry { MaxRetries = 1, Conditions = new(), Backoff = new() } },
    };

    public static TheoryData<string> Broken => [.. _broken.Keys];

    [Theory]
    [MemberData(nameof(Broken))]
    public void What_is_not_understood_refuses_its_requests_and_no_others(string what)
    {
        var bad = Rule(Prefix("/bad"));
        _broken[what](bad);
        var policy = PolicyReader.Read(Message(Route("bad", bad), Route("good", Rule(new HttpRouteMatch { Path = new PathMatch { Exact = "/good" } }))), "mesh", out var faults);
        // Once for HTTP/1 and once for HTTP/2.
        Assert.Equal(2, faults.Length);
        Assert.StartsWith("HTTPRoute/demo/bad: ", faults[0], StringComparison.Ordinal);
        // With the fields that one of them asks for.
        var refused = policy.Http1.Match(Requests.Request("/bad", fields: [.. Enumerable.Range(0, 17).Select(i => ($"x{i}", ""))])).Rule;
        Assert.True(refused?.Fault is not null, what);
        Assert.Null(policy.Http1.Match(Requests.Request("/good")).Rule!.Fault);
    }

    [Fact]
    public void A_match_that_is_not_understood_lets_nothing_slip_to_a_wider_route()
    {
        var policy = PolicyReader.Read(Message(Route("wide", Rule()), Route("bad", Rule(new HttpRouteMatch { Path = new PathMatch { Regex = "/admin(?=x)" }, Method = new HttpMethod { Registered = HttpMethod.Types.Registered.Get } }))), "mesh", out _);
        Assert.NotNull(policy.Http1.Match(Requests.Request("/admin")).Rule!.Fault);
        Assert.Null(policy.Http1.Match(Requests.Request("/admin", "POST")).Rule!.Fault);
    }

    [Fact]
    public void A_host_that_is_not_understood_refuses_its_route()
    {
        var bad = Route("bad", Rule(Prefix("/x")));
        bad.Hosts.Add(new HostMatch { Exact = "a b" });
        var policy = PolicyReader.Read(Message(bad), "mesh", out _);
        Assert.NotNull(policy.Http1.Match(Requests.Request("/x")).Rule!.Fault);
    }

    [Fact]
    public void Failure_accrual_that_is_not_understood_refuses_all()
    {
        var policy = PolicyReader.Read(Message(new FailureAccrual { ConsecutiveFailures = new() { MaxFailures = 3 } }, Route("a", Rule())), "mesh", out _);
        Assert.NotNull(policy.Http1.Match(Requests.Request("/")).Rule!.Fault);
        // Zero failures are its way to say that there is none.
        Assert.Null(Good(Message(new FailureAccrual { ConsecutiveFailures = new() }, Route("a", Rule()))).Http1.Routes[0].Rules[0].Rule.Backends.All[0].Backend.Accrual);
        var unified = new FailureAccrual { Unified = new() { MaxConsecutiveFailures = 4, Backoff = new() { MinBackoff = Ms(1), MaxBackoff = Ms(2) } } };
        Assert.Equal(4, Good(Message(unified, Route("a", Rule()))).Http1.Routes[0].Rules[0].Rule.Backends.All[0].Backend.Accrual!.MaxFailures);
    }

    [Fact]
    public void More_than_a_proxy_shall_hold_is_refused_as_a_whole()
    {
        var routes = Enumerable.Range(0, 257).Select(i => Route($"r{i}", Rule())).ToArray();
        Assert.NotNull(PolicyReader.Read(Message(routes), "mesh", out _).Http1.Match(Requests.Request("/")).Rule!.Fault);
        Assert.Null(PolicyReader.Read(Message(routes[..256]), "mesh", out _).Http1.Match(Requests.Request("/")).Rule!.Fault);
        var rule = Rule();
        for (var i = 0; i < 2_049; i++) rule.Matches.Add(Prefix($"/{i}"));
        Assert.NotNull(PolicyReader.Read(Message(Route("many", rule)), "mesh", out _).Http1.Match(Requests.Request("/anything")).Rule!.Fault);
    }

    [Fact]
    public void A_protocol_of_later_times_and_a_policy_without_any_refuse_everything()
    {
        foreach (var message in new[] { new Protocol.Outbound.OutboundPolicy(), new Protocol.Outbound.OutboundPolicy { Protocol = new ProxyProtocol() }, new Protocol.Outbound.OutboundPolicy { Protocol = new ProxyProtocol { Detect = new() } } })
        {
            var policy = PolicyReader.Read(message, "mesh", out var faults);
            Assert.NotEmpty(faults);
            Assert.NotNull(policy.Http1.Match(Requests.Request("/")).Rule!.Fault);
            Assert.NotNull(policy.Http2.Match(Requests.Request("/")).Rule!.Fault);
            Assert.NotNull(policy.Opaque.Fault);
        }
    }

    [Fact]
    public void Bytes_are_refused_where_a_filter_says_so()
    {
        var message = Message(Route("a", Rule()));
        var rule = message.Protocol.Detect.Opaque.Routes[0].Rules[0];
        rule.Filters.Add(new OpaqueRoute.Types.Filter { Forbidden = new Forbidden() });
        Assert.Equal("forbidden", PolicyReader.Read(message, "mesh", out _).Opaque.Fault);
        rule.Filters.Clear();
        rule.Backends.FirstAvailable.Backends[0].Filters.Add(new OpaqueRoute.Types.Filter { Forbidden = new Forbidden() });
        Assert.NotNull(PolicyReader.Read(message, "mesh", out _).Opaque.Fault);
    }

    [Fact]
    public void Damaged_messages_never_throw()
    {
        var rule = Rule(new HttpRouteMatch { Path = new PathMatch { Regex = "/a{2,3}" }, Headers = { new HeaderMatch { Name = "a", Regex = "b" } } }, new Filter { Redirect = new RequestRedirect { Host = "a", Path = new PathModifier { Full = "/x" } } });
        rule.Retry = new HttpRoute.Types.Retry { MaxRetries = 1, Conditions = new() { StatusRanges = { new HttpRoute.Types.Retry.Types.Conditions.Types.StatusRange { Start = 500, End = 599 } } } };
        var bytes = Message(Consecutive(7, 1, 2), Route("a", rule)).ToByteArray();
        var random = new Random(31);
        var read = 0;
        for (var i = 0; i < 20_000; i++)
        {
            var damaged = (byte[])bytes.Clone();
            for (var flips = random.Next(1, 4); flips > 0; flips--) damaged[random.Next(damaged.Length)] ^= (byte)(1 << random.Next(8));
            Protocol.Outbound.OutboundPolicy message;
            try
            {
                message = Protocol.Outbound.OutboundPolicy.Parser.ParseFrom(damaged);
            }
            catch (InvalidProtocolBufferException)
            {
                continue;
            }

            _ = PolicyReader.Read(message, "mesh", out ImmutableArray<string> _).Http1.Match(Requests.Request("/aa"));
            read++;
        }

        Assert.InRange(read, 1_000, 20_000);
    }

    private static FailureAccrual Consecutive(uint max, double min, double most) =>
        new() { ConsecutiveFailures = new() { MaxFailures = max, Backoff = new() { MinBackoff = Ms(min), MaxBackoff = Ms(most), JitterRatio = 0.5f } } };

    private static Mesh.Proxy.Routing.OutboundPolicy Good(Protocol.Outbound.OutboundPolicy message)
    {
        var policy = PolicyReader.Read(message, "mesh", out var faults);
        Assert.Empty(faults);
        return policy;
    }
}
