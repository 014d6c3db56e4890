using System.Collections.Immutable;
using System.Globalization;
using System.Text;
using Mesh.Protocol.HttpRoutes;
using Mesh.Protocol.HttpTypes;
using Mesh.Protocol.Outbound;
using Mesh.Proxy.Http;

namespace Mesh.Proxy.Routing;

/// <summary>Reads the filters of one rule or backend.</summary>
internal static class FilterReader
{
    private const int MaxFilters = 16;

    /// <param name="filters">Those of gRPC in the form of HTTP's, which is the same on the wire.</param>
    /// <param name="isGrpc">Whether failures are gRPC's.</param>
    /// <param name="byPrefix">Whether every match of the rule is by a prefix, so that a redirect may replace it.</param>
    /// <param name="rule">Learns what cannot be understood.</param>
    public static RouteFilters Read(IReadOnlyCollection<HttpRoute.Types.Filter> filters, bool isGrpc, bool byPrefix, RuleReader rule)
    {
        if (filters.Count == 0) return RouteFilters.None;
        if (filters.Count > MaxFilters) rule.Refuse("too many filters");
        var all = ImmutableArray.CreateBuilder<RouteFilter>();
        foreach (var filter in filters.Take(MaxFilters))
        {
            if (Read(filter, isGrpc, byPrefix) is { } read) all.Add(read);
            else rule.Refuse($"a filter that is not understood ({filter.KindCase})");
        }

        return new RouteFilters(all.ToImmutable());
    }

    private static RouteFilter? Read(HttpRoute.Types.Filter filter, bool isGrpc, bool byPrefix) => filter.KindCase switch
    {
        HttpRoute.Types.Filter.KindOneofCase.FailureInjector => Failure(filter.FailureInjector, isGrpc),
        HttpRoute.Types.Filter.KindOneofCase.RequestHeaderModifier =>
            Modifier(filter.RequestHeaderModifier.Add, filter.RequestHeaderModifier.Set, filter.RequestHeaderModifier.Remove) is { } modifier ? new RouteFilter.ModifyRequest(modifier) : null,
        HttpRoute.Types.Filter.KindOneofCase.ResponseHeaderModifier when !isGrpc =>
            Modifier(filter.ResponseHeaderModifier.Add, filter.ResponseHeaderModifier.Set, filter.ResponseHeaderModifier.Remove) is { } modifier ? new RouteFilter.ModifyResponse(modifier) : null,
        HttpRoute.Types.Filter.KindOneofCase.Redirect when !isGrpc => Redirect(filter.Redirect, byPrefix),
        _ => null,
    };

    private static RouteFilter.Fail? Failure(HttpFailureInjector injector, bool isGrpc)
    {
        var code = injector.Status;
        if (isGrpc ? code > 16 : code is < 200 or > 599) return null;
        var (numerator, denominator) = injector.Ratio is { } ratio ? (ratio.Numerator, ratio.Denominator) : (1, 1);
        return denominator == 0 ? null : new RouteFilter.Fail(isGrpc, (int)code, injector.Message, numerator, denominator);
    }

    private static HeaderModifier? Modifier(Headers? add, Headers? set, IEnumerable<string> remove) => HeaderModifier.Create(Fields(add), Fields(set), remove);

    private static IEnumerable<(string Name, byte[] Value)> Fields(Headers? headers) => headers is null ? [] : headers.Headers_.Select(h => (h.Name, h.Value.ToByteArray()));

    private static RouteFilter.RedirectRequest? Redirect(RequestRedirect redirect, bool byPrefix)
    {
        string? scheme = null;
        if (redirect.Scheme is { } given)
        {
            scheme = given.TypeCase == Scheme.TypeOneofCase.Registered && given.Registered is Scheme.Types.Registered.Http or Scheme.Types.Registered.Https
                ? given.Registered.ToString().ToLower(CultureInfo.InvariantCulture)
                : null;
            if (scheme is null) return null;
        }

        var host = redirect.Host.Length == 0 ? null : redirect.Host;
        // A name or an address in brackets: a colon of its own would be a second port.
        if (host is not null && (host.Length > 253 || !FieldSyntax.IsAuthority(Encoding.UTF8.GetBytes(host)) || (host[0] != '[' && host.Contains(':')) || (host[0] == '[' && host[^1] != ']'))) return null;
        if (redirect.Port > ushort.MaxValue || redirect.Status is not (0 or (>= 300 and < 400))) return null;
        var path = redirect.Path?.ReplaceCase switch
        {
            null => null,
            PathModifier.ReplaceOneofCase.Full => redirect.Path.Full,
            PathModifier.ReplaceOneofCase.Prefix => redirect.Path.Prefix,
            _ => "",
        };
        var isPrefix = redirect.Path?.ReplaceCase == PathModifier.ReplaceOneofCase.Prefix;
        if (isPrefix && !byPrefix) return null;
        if (isPrefix && path!.Length == 0) path = "/";
        if (path is not null && !RuleReader.IsPath(path)) return null;
        return new RouteFilter.RedirectRequest(new Redirect(scheme, host, (int)redirect.Port, path, isPrefix, redirect.Status == 0 ? 301 : (int)redirect.Status));
    }
}
