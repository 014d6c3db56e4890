using System.Collections.Immutable;
using Mesh.Proxy.Http;

namespace Mesh.Proxy.Routing;

/// <summary>A route as it is configured: the requests it is for, and what becomes of them.</summary>
/// <param name="Hosts">For these; empty: for every host.</param>
/// <param name="Rules">Each with the requests it takes, any of which will do.</param>
internal sealed record Route(ImmutableArray<HostPattern> Hosts, ImmutableArray<(ImmutableArray<RequestMatch> Matches, RouteRule Rule)> Rules);

/// <summary>What a request was found to be.</summary>
/// <param name="Rule">What becomes of it; null: no route is for it, which is 404, or for gRPC UNIMPLEMENTED.</param>
/// <param name="PrefixLength">Bytes of the path that a prefix took; -1 when it was not a prefix that took the request.</param>
internal readonly record struct RouteMatch(RouteRule? Rule, int PrefixLength);

/// <summary>
/// The routes of one service for one protocol, in the order of Gateway API: the more specific host, then the more specific match, then the route and
/// the rule that stand first. The order does not depend on the request, so it is made once, and the first that takes a request is the one. Immutable.
/// </summary>
internal sealed class RouteTable
{
    private readonly ImmutableArray<(HostPattern Host, ImmutableArray<(RequestMatch Match, RouteRule Rule)> Entries)> _hosts;

    public RouteTable(ImmutableArray<Route> routes)
    {
        Routes = routes;
        var hosts = new List<(HostPattern Host, List<(RequestMatch Match, RouteRule Rule)> Entries)>();
        foreach (var route in routes)
        {
            foreach (var host in route.Hosts.IsEmpty ? [HostPattern.Any] : route.Hosts)
            {
                var at = hosts.FindIndex(h => h.Host.Equals(host));
                if (at < 0) hosts.Add((host, []));
                hosts[at < 0 ? ^1 : at].Entries.AddRange(route.Rules.SelectMany(r => (r.Matches.IsEmpty ? [RequestMatch.Any] : r.Matches).Select(m => (m, r.Rule))));
            }
        }

        // Sorting by LINQ is stable: what is equal stays in the order it came in.
        _hosts = [.. hosts.OrderByDescending(h => h.Host.Rank)
            .Select(h => (h.Host, h.Entries.OrderByDescending(e => e.Match, Comparer<RequestMatch>.Create((a, b) => a.CompareTo(b))).ToImmutableArray()))];
    }

    public ImmutableArray<Route> Routes { get; }

    /// <summary>One rule for every request.</summary>
    public static RouteTable Single(RouteRule rule) => new([new Route([], [([], rule)])]);

    /// <summary>What becomes of a request; allocates nothing.</summary>
    /// <param name="request">With the pseudo-fields of HTTP/2, whatever version it came in.</param>
    public RouteMatch Match(HeaderBlock request)
    {
        var host = HostPattern.Of(request);
        SplitPath(request, out var path, out var query);
        foreach (var (pattern, entries) in _hosts)
        {
            if (!pattern.IsMatch(host)) continue;
            foreach (var (match, rule) in entries)
            {
                if (match.IsMatch(request, path, query)) return new RouteMatch(rule, match.Path is PathPattern.Prefix prefix ? prefix.Length : -1);
            }
        }

        return new RouteMatch(null, -1);
    }

    internal static void SplitPath(HeaderBlock request, out ReadOnlySpan<byte> path, out ReadOnlySpan<byte> query)
    {
        var target = request.ValueOf(FieldName.Path);
        var mark = target.IndexOf((byte)'?');
        path = mark < 0 ? target : target[..mark];
        query = mark < 0 ? default : target[(mark + 1)..];
    }
}
