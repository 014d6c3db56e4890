using System.Collections.Immutable;
using System.Text;
using Mesh.Proxy.Http;
using Mesh.Proxy.Routing;

namespace Mesh.Proxy.Tests.Routing;

/// <summary>Requests and routes in few words.</summary>
internal static class Requests
{
    public static HeaderBlock Request(string path, string method = "GET", string authority = "web.demo:80", params (string Name, string Value)[] fields)
    {
        var block = new HeaderBlock();
        block.Add(FieldName.Method, Encoding.ASCII.GetBytes(method));
        block.Add(FieldName.Scheme, "http"u8);
        block.Add(FieldName.Authority, Encoding.ASCII.GetBytes(authority));
        block.Add(FieldName.Path, Encoding.ASCII.GetBytes(path));
        foreach (var (name, value) in fields) block.Add(Encoding.ASCII.GetBytes(name), Encoding.ASCII.GetBytes(value));
        return block;
    }

    /// <summary>A head as lines.</summary>
    public static string Text(HeaderBlock block)
    {
        var text = new StringBuilder();
        for (var i = 0; i < block.Count; i++) text.Append(Encoding.ASCII.GetString(block[i].Name)).Append(": ").Append(Encoding.ASCII.GetString(block[i].Value)).Append('\n');
        return text.ToString();
    }

    public static RouteRule Rule(string name) => new() { Route = ResourceName.Default(name) };

    public static RequestMatch Match(PathPattern? path = null, string? method = null, int headers = 0, int query = 0) => new(
        path ?? PathPattern.Any, method,
        [.. Enumerable.Range(0, headers).Select(i => new FieldMatch($"x-{i}", new ValuePattern("1"u8)))],
        [.. Enumerable.Range(0, query).Select(i => new QueryMatch($"q{i}", new ValuePattern("1"u8)))]);

    public static Route Route(string name, ImmutableArray<HostPattern> hosts, params RequestMatch[] matches) => new(hosts, [([.. matches], Rule(name))]);

    public static string? Name(RouteMatch match) => match.Rule?.Route.Name;
}
