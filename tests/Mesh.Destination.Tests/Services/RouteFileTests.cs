using Google.Protobuf.WellKnownTypes;
using Mesh.Destination.Services;
using Mesh.Protocol.Outbound;

namespace Mesh.Destination.Tests.Services;

/// <summary>Routes in the file of services.</summary>
public sealed class RouteFileTests
{
    [Fact]
    public void Routes_become_what_proxies_are_told()
    {
        var policy = Policy("""
            "failureAccrual": { "maxFailures": 5, "maxBackoff": "30s" },
            "routes": [ {
              "name": "api", "hosts": [ "web.demo", "*.example.com" ],
              "matches": [ { "prefix": "/api", "method": "GET", "headers": [ { "name": "x-version", "value": "2" } ], "query": [ { "name": "q", "regex": "[a-z]+" } ] }, { "path": "/exact" } ],
              "filters": [ { "requestHeaders": { "set": { "x-seen": "yes" }, "remove": [ "x-gone" ] } }, { "redirect": { "scheme": "https", "prefix": "/v2", "status": 302 } }, { "fail": { "status": 503, "message": "no", "percent": 5 } } ],
              "backends": [ { "authority": "web.demo:80", "weight": 9 }, { "authority": "canary.demo:81" } ],
              "timeouts": { "request": "5s", "response": "2s", "idle": "1m" },
              "retry": { "max": 2, "timeout": "500ms", "statuses": [ "500-599", "429" ] } } ]
            """);
        Assert.Equal(("web", "demo", 80u), (policy.Metadata.Resource.Name, policy.Metadata.Resource.Namespace, policy.Metadata.Resource.Port));
        var detect = policy.Protocol.Detect;
        Assert.Equal(detect.Http1.Routes, detect.Http2.Routes);
        Assert.Equal((5u, Duration.FromTimeSpan(TimeSpan.FromSeconds(30))), (detect.Http1.FailureAccrual.ConsecutiveFailures.MaxFailures, detect.Http2.FailureAccrual.ConsecutiveFailures.Backoff.MaxBackoff));
        var route = Assert.Single(detect.Http1.Routes);
        Assert.Equal("web.demo", route.Hosts[0].Exact);
        Assert.Equal(["com", "example"], route.Hosts[1].Suffix.ReverseLabels);
        var rule = Assert.Single(route.Rules);
        Assert.Equal(("/api", "GET", "2", "[a-z]+"), (rule.Matches[0].Path.Prefix, rule.Matches[0].Method.Unregistered, rule.Matches[0].Headers[0].Exact.ToStringUtf8(), rule.Matches[0].QueryParams[0].Regex));
        Assert.Equal("/exact", rule.Matches[1].Path.Exact);
        Assert.Equal("yes", rule.Filters[0].RequestHeaderModifier.Set.Headers_[0].Value.ToStringUtf8());
        Assert.Equal(("/v2", 302u), (rule.Filters[1].Redirect.Path.Prefix, rule.Filters[1].Redirect.Status));
        Assert.Equal((503u, 5u, 100u), (rule.Filters[2].FailureInjector.Status, rule.Filters[2].FailureInjector.Ratio.Numerator, rule.Filters[2].FailureInjector.Ratio.Denominator));
        Assert.Equal([("web.demo:80", 9u), ("canary.demo:81", 1u)], rule.Backends.RandomAvailable.Backends.Select(b => (b.Backend.Backend.Balancer.Discovery.Dst.Path, b.Weight)));
        Assert.Equal(5, rule.Timeouts.Request.Seconds);
        Assert.Equal((2u, 65_536u, 500_000_000), (rule.Retry.MaxRetries, rule.Retry.MaxRequestBytes, rule.Retry.Timeout.Nanos));
        Assert.Equal([(500u, 599u), (429u, 429u)], rule.Retry.Conditions.StatusRanges.Select(r => (r.Start, r.End)));
    }

    [Fact]
    public void The_example_in_the_guide_is_good()
    {
        var root = AppContext.BaseDirectory;
        while (!System.IO.File.Exists(Path.Combine(root, "Mesh.sln"))) root = Path.GetDirectoryName(root)!;
        var guide = System.IO.File.ReadAllText(Path.Combine(root, "docs", "destination.md"));
        var example = guide.Split("```json\n")[1].Split("```")[0];
        var table = ServiceFile.Parse(example, out var faults);
        Assert.Empty(faults);
        Assert.Equal(["api", "old", "rest"], Assert.Single(table!.Services).Policy.Protocol.Detect.Http1.Routes.Select(r => r.Metadata.Resource.Name));
    }

    [Fact]
    public void Calls_of_grpc_have_services_methods_and_codes()
    {
        var policy = Policy("""
            "protocol": "grpc", "routes": [ { "name": "hello", "matches": [ { "service": "pkg.Greeter", "method": "Hello" } ], "filters": [ { "fail": { "status": 14 } } ],
              "retry": { "codes": [ "unavailable", "deadline-exceeded" ] } } ]
            """);
        var rule = Assert.Single(Assert.Single(policy.Protocol.Grpc.Routes).Rules);
        Assert.Equal(("pkg.Greeter", "Hello"), (rule.Matches[0].Rpc.Service, rule.Matches[0].Rpc.Method));
        Assert.Equal(14u, rule.Filters[0].FailureInjector.Code);
        Assert.Equal((1u, true, true, false), (rule.Retry.MaxRetries, rule.Retry.Conditions.Unavailable, rule.Retry.Conditions.DeadineExceeded, rule.Retry.Conditions.Internal));
        Assert.Equal("web.demo:80", rule.Backends.RandomAvailable.Backends[0].Backend.Backend.Balancer.Discovery.Dst.Path);
    }

    [Fact]
    public void Without_routes_everything_goes_to_the_service()
    {
        var detect = Policy("\"routes\": []").Protocol.Detect;
        Assert.Equal("http", Assert.Single(detect.Http2.Routes).Metadata.Default);
        Assert.Null(detect.Http2.FailureAccrual);
        Assert.Equal("web.demo:80", detect.Opaque.Routes[0].Rules[0].Backends.FirstAvailable.Backends[0].Backend.Balancer.Discovery.Dst.Path);
        Assert.Single(Policy("\"protocol\": \"grpc\"").Protocol.Grpc.Routes);
        Assert.Equal(ProxyProtocol.KindOneofCase.Opaque, Policy("\"opaque\": true").Protocol.KindCase);
    }

    [Theory]
    [InlineData("\"protocol\": \"http9\"", "services[0].protocol:")]
    [InlineData("\"opaque\": true, \"routes\": []", "services[0]:")]
    [InlineData("\"routes\": {}", "services[0].routes:")]
    [InlineData("\"routes\": [ {} ]", "services[0].routes[0].name:")]
    [InlineData("\"routes\": [ { \"name\": \"a\", \"colour\": 1 } ]", "services[0].routes[0].colour:")]
    [InlineData("\"routes\": [ { \"name\": \"a\", \"hosts\": [ \"a b\" ] } ]", "services[0].routes[0].hosts[0]:")]
    [InlineData("\"routes\": [ { \"name\": \"a\", \"matches\": [ { \"path\": \"a\" } ] } ]", "services[0].routes[0].matches[0].path:")]
    [InlineData("\"routes\": [ { \"name\": \"a\", \"matches\": [ { \"path\": \"/a\", \"prefix\": \"/\" } ] } ]", "services[0].routes[0].matches[0]:")]
    [InlineData("\"routes\": [ { \"name\": \"a\", \"matches\": [ { \"pathRegex\": \"(\" } ] } ]", "services[0].routes[0].matches[0].pathRegex:")]
    [InlineData("\"routes\": [ { \"name\": \"a\", \"matches\": [ { \"pathRegex\": \"(?=a)\" } ] } ]", "services[0].routes[0].matches[0].pathRegex:")]
    [InlineData("\"routes\": [ { \"name\": \"a\", \"matches\": [ { \"method\": \"get\" } ] } ]", "services[0].routes[0].matches[0].method:")]
    [InlineData("\"routes\": [ { \"name\": \"a\", \"matches\": [ { \"headers\": [ { \"name\": \"x\" } ] } ] } ]", "services[0].routes[0].matches[0].headers[0]:")]
    [InlineData("\"routes\": [ { \"name\": \"a\", \"filters\": [ { } ] } ]", "services[0].routes[0].filters[0]:")]
    [InlineData("\"routes\": [ { \"name\": \"a\", \"filters\": [ { \"fail\": { } } ] } ]", "services[0].routes[0].filters[0].fail.status:")]
    [InlineData("\"routes\": [ { \"name\": \"a\", \"filters\": [ { \"redirect\": { \"scheme\": \"ftp\" } } ] } ]", "services[0].routes[0].filters[0].redirect.scheme:")]
    [InlineData("\"routes\": [ { \"name\": \"a\", \"filters\": [ { \"requestHeaders\": { \"set\": [] } } ] } ]", "services[0].routes[0].filters[0].requestHeaders.set:")]
    [InlineData("\"routes\": [ { \"name\": \"a\", \"backends\": [ { \"authority\": \"10.0.0.1:80\" } ] } ]", "services[0].routes[0].backends[0].authority:")]
    [InlineData("\"routes\": [ { \"name\": \"a\", \"backends\": [ { \"authority\": \"a:80\", \"weight\": -1 } ] } ]", "services[0].routes[0].backends[0].weight:")]
    [InlineData("\"routes\": [ { \"name\": \"a\", \"timeouts\": { \"request\": \"soon\" } } ]", "services[0].routes[0].timeouts.request:")]
    [InlineData("\"routes\": [ { \"name\": \"a\", \"retry\": { \"max\": 100 } } ]", "services[0].routes[0].retry.max:")]
    [InlineData("\"routes\": [ { \"name\": \"a\", \"retry\": { \"statuses\": [ \"5xx\" ] } } ]", "services[0].routes[0].retry.statuses[0]:")]
    [InlineData("\"routes\": [ { \"name\": \"a\", \"retry\": { \"codes\": [ \"internal\" ] } } ]", "services[0].routes[0].retry.codes:")]
    [InlineData("\"protocol\": \"grpc\", \"routes\": [ { \"name\": \"a\", \"retry\": { \"codes\": [ \"teapot\" ] } } ]", "services[0].routes[0].retry.codes[0]:")]
    [InlineData("\"failureAccrual\": { \"maxFailures\": 0 }", "services[0].failureAccrual.maxFailures:")]
    [InlineData("\"failureAccrual\": { \"minBackoff\": \"2m\" }", "services[0].failureAccrual.maxBackoff:")]
    public void A_fault_is_told_with_its_place(string members, string place)
    {
        Assert.Null(ServiceFile.Parse(File(members), out var faults));
        Assert.Contains(faults, f => f.StartsWith(place, StringComparison.Ordinal));
    }

    [Fact]
    public void Services_that_differ_in_routes_only_are_not_the_same()
    {
        Assert.Equal(Read("\"routes\": []"), Read("\"routes\": [ ]"));
        Assert.NotEqual(Read("\"routes\": [ { \"name\": \"a\" } ]"), Read("\"routes\": [ { \"name\": \"b\" } ]"));
    }

    private static OutboundPolicy Policy(string members) => Read(members).Policy;

    private static Service Read(string members)
    {
        var table = ServiceFile.Parse(File(members), out var faults);
        Assert.Empty(faults);
        return Assert.Single(table!.Services);
    }

    private static string File(string members) => $$"""{ "services": [ { "authority": "web.demo:80", {{members}} } ] }""";
}
