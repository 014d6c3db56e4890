using System.Collections.Immutable;
using System.Text;
using Mesh.Proxy.Http;

namespace Mesh.Proxy.Routing;

/// <summary>Which requests a rule takes: those that fit everything in it.</summary>
/// <param name="Path">By path.</param>
/// <param name="Method">By this method only; null: any.</param>
/// <param name="Headers">By fields of the head; all of these.</param>
/// <param name="Query">By parameters of the query; all of these.</param>
internal sealed record RequestMatch(PathPattern Path, string? Method, ImmutableArray<FieldMatch> Headers, ImmutableArray<QueryMatch> Query)
{
    private readonly byte[]? _method = Method is null ? null : Encoding.ASCII.GetBytes(Method);

    /// <summary>Every request.</summary>
    public static RequestMatch Any { get; } = new(PathPattern.Any, null, [], []);

    /// <param name="request">With the pseudo-fields of HTTP/2, whatever version it came in.</param>
    /// <param name="path">Of the request, without the query.</param>
    /// <param name="query">Of the request; empty when there is none.</param>
    public bool IsMatch(HeaderBlock request, ReadOnlySpan<byte> path, ReadOnlySpan<byte> query)
    {
        if (_method is not null && !request.ValueOf(FieldName.Method).SequenceEqual(_method)) return false;
        if (!Path.IsMatch(path)) return false;
        foreach (var field in Headers)
            if (!field.IsMatch(request)) return false;
        foreach (var parameter in Query)
            if (!parameter.IsMatch(query)) return false;
        return true;
    }

    /// <summary>
    /// Above zero when this is the more specific one by Gateway API ("HTTPRouteRule", "GRPCRouteMatch"): the path, the method, the number of fields,
    /// the number of parameters.
    /// </summary>
    public int CompareTo(RequestMatch other)
    {
        var order = (Path.Rank, Path.Length, Path.SecondLength).CompareTo((other.Path.Rank, other.Path.Length, other.Path.SecondLength));
        if (order == 0) order = (Method is not null).CompareTo(other.Method is not null);
        return order != 0 ? order : (Headers.Length, Query.Length).CompareTo((other.Headers.Length, other.Query.Length));
    }
}
