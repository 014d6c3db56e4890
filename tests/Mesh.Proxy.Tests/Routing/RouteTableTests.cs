using System.Collections.Immutable;
using System.Text;
using Mesh.Proxy.Http;
using Mesh.Proxy.Routing;
using static Mesh.Proxy.Tests.Routing.Requests;

namespace Mesh.Proxy.Tests.Routing;

public sealed class RouteTableTests
{
    private static readonly HeaderBlock Everything = Request(
        "/a/b?q0=1&q1=1&q2=1", "GET", "www.example.com:80", ("x-0", "1"), ("x-1", "1"), ("x-2", "1"));

    /// <summary>Gateway API, HTTPRouteRule and HTTPRouteSpec.hostnames: of each pair both take the request, and the first is to have it wherever it stands.</summary>
    public static TheoryData<string, string> Precedence => new()
    {
        { "exact", "prefix /a/b" },
        { "exact", "prefix /a with everything" },
        { "regex", "prefix /a/b" },
        { "exact", "regex" },
        { "prefix /a/b", "prefix /a" },
        { "prefix /a/b", "prefix /a with everything" },
        { "prefix /a", "prefix /" },
        { "host suffix .com", "prefix /" },
        { "method", "two headers" },
        { "method", "two headers, two parameters" },
        { "two headers", "one header" },
        { "two headers", "one header, two parameters" },
        { "one header, two parameters", "one header" },
        { "one header", "two parameters" },
        { "two parameters", "any" },
        { "host", "host suffix, exact" },
        { "host suffix .example.com", "host suffix .com, exact" },
        { "host suffix .com", "exact" },
    };

    [Theory]
    [MemberData(nameof(Precedence))]
    public void The_more_specific_comes_first_wherever_it_stands(string first, string second)
    {
        Assert.Equal(first, Name(new RouteTable([Described(first), Described(second)]).Match(Everything)));
        Assert.Equal(first, Name(new RouteTable([Described(second), Described(first)]).Match(Everything)));
    }

    [Fact]
    public void What_is_equal_goes_to_the_first()
    {
        Assert.Equal("one", Name(new RouteTable([Route("one", []), Route("two", [])]).Match(Everything)));
        var rules = new RouteTable([new Route([], [([Match(method: "GET")], Rule("one")), ([Match(method: "GET")], Rule("two"))])]);
        Assert.Equal("one", Name(rules.Match(Everything)));
    }

    [Fact]
    public void A_request_that_the_more_specific_host_does_not_take_goes_to_the_less_specific()
    {
        var table = new RouteTable([Route("any", []), Route("host", [HostPattern.Exact("www.example.com")], Match(new PathPattern.Exact("/x")))]);
        Assert.Equal("host", Name(table.Match(Request("/x", authority: "www.example.com"))));
        Assert.Equal("any", Name(table.Match(Request("/y", authority: "www.example.com"))));
    }

    [Fact]
    public void No_route_is_no_rule() => Assert.Null(new RouteTable([Route("x", [], Match(new PathPattern.Exact("/x")))]).Match(Everything).Rule);

    [Theory]
    [InlineData("/a", "/a", true)]
    [InlineData("/a", "/a/", true)]
    [InlineData("/a", "/a/b", true)]
    [InlineData("/a", "/a?b", true)]
    [InlineData("/a", "/ab", false)]
    [InlineData("/a", "/", false)]
    [InlineData("/a/", "/a", true)]
    [InlineData("/a/", "/a/b", true)]
    [InlineData("/a/", "/ab", false)]
    [InlineData("/", "/anything", true)]
    [InlineData("/", "*", true)]
    [InlineData("/a", "/A", false)]
    [InlineData("/a", "/%61", false)]
    public void Prefixes_take_whole_segments(string prefix, string path, bool takes)
    {
        var match = RouteTableOf(new PathPattern.Prefix(prefix)).Match(Request(path));
        Assert.Equal(takes, match.Rule is not null);
        if (takes) Assert.Equal(prefix.TrimEnd('/').Length, match.PrefixLength);
    }

    [Theory]
    [InlineData("/a.b", "/axb", true)]
    [InlineData("/a", "/ab", false)]
    [InlineData("a", "/a", false)]
    [InlineData("/a|/b", "/b", true)]
    [InlineData("/a|/b", "/bc", false)]
    [InlineData("/[0-9]{3}", "/123?x", true)]
    public void A_regular_expression_is_of_the_whole_path(string pattern, string path, bool takes) =>
        Assert.Equal(takes, RouteTableOf(new PathPattern.Pattern(BoundedRegex.Create(pattern)!)).Match(Request(path)).Rule is not null);

    [Theory]
    [InlineData("(")]
    [InlineData("a)|(b")]
    [InlineData("(?=a)")]
    [InlineData(@"(a)\1")]
    [InlineData("a{2000}")]
    [InlineData("((a{100}){100}){100}")]
    [InlineData("(?x)a #")]
    [InlineData("a{99999999999999999999}")]
    public void Patterns_that_are_none_or_too_much_are_not_made(string pattern) => Assert.Null(BoundedRegex.Create(pattern));

    [Fact]
    public void Patterns_longer_than_the_bound_are_not_made()
    {
        Assert.NotNull(BoundedRegex.Create(new string('a', BoundedRegex.MaxPattern)));
        Assert.Null(BoundedRegex.Create(new string('a', BoundedRegex.MaxPattern + 1)));
    }

    [Fact]
    public void A_pattern_that_others_choke_on_ends()
    {
        // 2 to the power of 30,000 ways for one that goes back.
        var regex = BoundedRegex.Create("(a+)+b")!;
        Assert.False(regex.IsMatch(Encoding.ASCII.GetBytes(new string('a', 30_000))));
        Assert.True(regex.IsMatch(Encoding.ASCII.GetBytes(new string('a', 30_000) + "b")));
    }

    [Theory]
    [InlineData("", "", "/s/m", true)]
    [InlineData("s", "", "/s/m", true)]
    [InlineData("s", "m", "/s/m", true)]
    [InlineData("", "m", "/t/m", true)]
    [InlineData("s", "m", "/s/n", false)]
    [InlineData("s", "m", "/t/m", false)]
    [InlineData("s", "", "/s", false)]
    [InlineData("s", "", "/s/m/x", false)]
    [InlineData("", "", "no slash", false)]
    public void Calls_are_told_by_service_and_method(string service, string method, string path, bool takes) =>
        Assert.Equal(takes, RouteTableOf(new PathPattern.Rpc(service, method)).Match(Request(path)).Rule is not null);

    [Fact]
    public void Of_calls_the_service_counts_before_the_method_and_both_before_headers()
    {
        var table = new RouteTable([
            Route("headers", [], Match(new PathPattern.Rpc("", ""), headers: 2)), Route("method", [], Match(new PathPattern.Rpc("", "m"))),
            Route("service", [], Match(new PathPattern.Rpc("s", ""))), Route("both", [], Match(new PathPattern.Rpc("s", "m")))]);
        Assert.Equal("both", Name(table.Match(Request("/s/m"))));
        Assert.Equal("service", Name(table.Match(Request("/s/n"))));
        Assert.Equal("method", Name(table.Match(Request("/t/m"))));
        Assert.Equal("headers", Name(table.Match(Request("/t/n", fields: [("x-0", "1"), ("x-1", "1")]))));
    }

    [Theory]
    [InlineData("www.example.com", "www.example.com", true)]
    [InlineData("www.example.com", "WWW.Example.COM:8080", true)]
    [InlineData("www.example.com", "www.example.com.", true)]
    [InlineData("www.example.com", "example.com", false)]
    [InlineData("*.example.com", "www.example.com", true)]
    [InlineData("*.example.com", "a.b.example.com:1", true)]
    [InlineData("*.example.com", "example.com", false)]
    [InlineData("*.example.com", ".example.com", false)]
    [InlineData("*.example.com", "badexample.com", false)]
    [InlineData("[::1]", "[::1]:80", true)]
    [InlineData("[::1]", "[::1]", true)]
    public void Hosts_are_told_in_any_case_and_without_ports(string pattern, string authority, bool takes)
    {
        var host = pattern[0] == '*' ? HostPattern.Suffix(pattern[1..]) : HostPattern.Exact(pattern);
        Assert.Equal(takes, new RouteTable([Route("x", [host])]).Match(Request("/", authority: authority)).Rule is not null);
    }

    [Theory]
    [InlineData("/?q=a%09b", false)]
    [InlineData("/?q=a+b", true)]
    [InlineData("/?q=a%20b", true)]
    [InlineData("/?%71=a%20b", true)]
    [InlineData("/?x=1&q=a+b&y", true)]
    [InlineData("/?q=other&q=a+b", false)]
    [InlineData("/?q", false)]
    [InlineData("/?q=a%2", false)]
    [InlineData("/?q=a%zzb", false)]
    [InlineData("/q=a+b", false)]
    public void Parameters_are_decoded_and_of_several_the_first_counts(string path, bool takes)
    {
        var match = new RequestMatch(PathPattern.Any, null, [], [new QueryMatch("q", new ValuePattern("a b"u8))]);
        Assert.Equal(takes, new RouteTable([Route("x", [], match)]).Match(Request(path)).Rule is not null);
    }

    [Fact]
    public void A_very_long_parameter_is_not_matched_and_hides_nothing_behind_it()
    {
        var table = new RouteTable([Route("x", [], new RequestMatch(PathPattern.Any, null, [], [new QueryMatch("q", new ValuePattern("1"u8))]))]);
        Assert.NotNull(table.Match(Request($"/?{new string('k', 2_000)}=1&q=1")).Rule);
        Assert.Null(table.Match(Request($"/?q={new string('1', 2_000)}&q=1")).Rule);
    }

    [Fact]
    public void Any_of_several_fields_of_a_name_will_do_known_or_not()
    {
        foreach (var name in new[] { "x-own", "accept" })
        {
            var table = new RouteTable([Route("x", [], new RequestMatch(PathPattern.Any, null, [new FieldMatch(name.ToUpperInvariant(), new ValuePattern("b"u8))], []))]);
            Assert.NotNull(table.Match(Request("/", fields: [(name, "a"), (name, "b")])).Rule);
            Assert.Null(table.Match(Request("/", fields: [(name, "a"), (name, "B")])).Rule);
            Assert.Null(table.Match(Request("/")).Rule);
        }

        var pattern = new RouteTable([Route("x", [], new RequestMatch(PathPattern.Any, null, [new FieldMatch("x-own", new ValuePattern(BoundedRegex.Create("v[0-9]")!))], []))]);
        Assert.NotNull(pattern.Match(Request("/", fields: [("x-own", "v2")])).Rule);
        Assert.Null(pattern.Match(Request("/", fields: [("x-own", "v22")])).Rule);
    }

    /// <summary>Random tables and requests against the definition: of all that take the request the greatest by the keys, then the first.</summary>
    [Fact]
    public void It_finds_what_the_definition_says()
    {
        var random = new Random(29);
        HostPattern[] hosts = [HostPattern.Exact("a.example.com"), HostPattern.Exact("example.com"), HostPattern.Suffix(".example.com"), HostPattern.Suffix(".com")];
        PathPattern[] paths = [PathPattern.Any, new PathPattern.Prefix("/a"), new PathPattern.Prefix("/a/b"), new PathPattern.Exact("/a"), new PathPattern.Exact("/a/b"), new PathPattern.Pattern(BoundedRegex.Create("/a.*")!)];
        string?[] methods = [null, "GET", "POST"];
        var found = 0;
        for (var round = 0; round < 2_000; round++)
        {
            ImmutableArray<Route> routes = [.. Enumerable.Range(0, random.Next(1, 8)).Select(r => new Route(
                [.. hosts.Where(_ => random.Next(4) == 0)],
                [.. Enumerable.Range(0, random.Next(1, 4)).Select(rule => ((ImmutableArray<RequestMatch>)[.. Enumerable.Range(0, random.Next(0, 3)).Select(_ =>
                    Match(paths[random.Next(paths.Length)], methods[random.Next(methods.Length)], random.Next(3), random.Next(3)))], Rule($"{r}.{rule}")))]))];
            var authority = new[] { "a.example.com", "example.com", "b.com", "other" }[random.Next(4)];
            var path = new[] { "/", "/a", "/a/b", "/a/b/c", "/ab" }[random.Next(5)] + new[] { "", "?q0=1", "?q0=1&q1=1" }[random.Next(3)];
            var request = Request(path, methods[random.Next(1, 3)]!, authority, [.. Enumerable.Range(0, random.Next(3)).Select(i => ($"x-{i}", "1"))]);
            RouteTable.SplitPath(request, out var bare, out var query);

            ((int, int) Host, RequestMatch Match, string Name)? best = null;
            foreach (var route in routes)
            foreach (var host in route.Hosts.IsEmpty ? [HostPattern.Any] : route.Hosts)
            foreach (var (matches, rule) in route.Rules)
            foreach (var match in matches.IsEmpty ? [RequestMatch.Any] : matches)
            {
                if (!host.IsMatch(HostPattern.Of(request)) || !match.IsMatch(request, bare, query)) continue;
                var order = best is null ? 1 : host.Rank.CompareTo(best.Value.Host);
                if (order == 0) order = match.CompareTo(best!.Value.Match);
                if (order > 0) best = (host.Rank, match, rule.Route.Name);
            }

            found += best is null ? 0 : 1;
            Assert.Equal(best?.Name, Name(new RouteTable(routes).Match(request)));
        }

        Assert.InRange(found, 500, 1_900);
    }

    [Fact]
    public void Matching_allocates_nothing()
    {
        var table = new RouteTable([
            Route("none", [HostPattern.Exact("www.example.com")], Match(new PathPattern.Exact("/x"), "GET", 2, 2)),
            Route("pattern", [], new RequestMatch(new PathPattern.Pattern(BoundedRegex.Create("/a/[a-z]+")!), "GET",
                [new FieldMatch("x-0", new ValuePattern(BoundedRegex.Create("[0-9]")!))], [new QueryMatch("q1", new ValuePattern(BoundedRegex.Create("1|2")!))])),
            Route("any", [])]);
        void Once() => _ = Name(table.Match(Everything)) == "pattern" ? 0 : throw new InvalidOperationException("another route");
        for (var i = 0; i < 2_000; i++) Once();
        var before = GC.GetAllocatedBytesForCurrentThread();
        for (var i = 0; i < 1_000; i++) Once();
        Assert.Equal(0, GC.GetAllocatedBytesForCurrentThread() - before);
    }

    private static RouteTable RouteTableOf(PathPattern path) => new([Route("x", [], Match(path))]);

    private static Route Described(string name) => name switch
    {
        "exact" => Route(name, [], Match(new PathPattern.Exact("/a/b"))),
        "regex" => Route(name, [], Match(new PathPattern.Pattern(BoundedRegex.Create("/.*")!))),
        "prefix /a/b" => Route(name, [], Match(new PathPattern.Prefix("/a/b"))),
        "prefix /a" => Route(name, [], Match(new PathPattern.Prefix("/a"))),
        "prefix /" => Route(name, [], Match(new PathPattern.Prefix("/"))),
        "prefix /a with everything" => Route(name, [], Match(new PathPattern.Prefix("/a"), "GET", 3, 3)),
        "method" => Route(name, [], Match(method: "GET")),
        "two headers" => Route(name, [], Match(headers: 2)),
        "one header" => Route(name, [], Match(headers: 1)),
        "one header, two parameters" => Route(name, [], Match(headers: 1, query: 2)),
        "two headers, two parameters" => Route(name, [], Match(headers: 2, query: 2)),
        "two parameters" => Route(name, [], Match(query: 2)),
        "any" => Route(name, []),
        "host" => Route(name, [HostPattern.Exact("www.example.com")]),
        "host suffix, exact" or "host suffix .com, exact" => Route(name, [HostPattern.Suffix(".com")], Match(new PathPattern.Exact("/a/b"))),
        "host suffix .example.com" => Route(name, [HostPattern.Suffix(".example.com")]),
        "host suffix .com" => Route(name, [HostPattern.Suffix(".com")]),
        _ => throw new ArgumentOutOfRangeException(nameof(name), name, null),
    };
}
