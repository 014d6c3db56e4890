using System.Text.Json;
using System.Text.RegularExpressions;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Mesh.Protocol.HttpRoutes;
using Mesh.Protocol.Outbound;

namespace Mesh.Destination.Services;

/// <summary>Reads the routes of one service in the file into what proxies are told (<c>io.linkerd.proxy.outbound</c>).</summary>
internal sealed class RouteReader(JsonReader json, Authority authority)
{
    private const int MaxRoutes = 100;
    private const int MaxParts = 16;
    private const int MaxText = 1_000;

    private static readonly string[] Paths = ["path", "prefix", "pathRegex"];
    private static readonly string[] Protocols = ["detect", "grpc"];
    private static readonly string[] Codes = ["cancelled", "deadline-exceeded", "resource-exhausted", "internal", "unavailable"];

    public OutboundPolicy Read(string at, Dictionary<string, JsonElement> members, bool opaque)
    {
        var protocol = json.Text(members, at, "protocol") ?? Protocols[0];
        if (!Protocols.Contains(protocol)) json.Fault($"{at}.protocol", "must be detect or grpc");
        if (opaque && (members.ContainsKey("routes") || members.ContainsKey("protocol") || members.ContainsKey("failureAccrual")))
            json.Fault(at, "an opaque service has no protocol, failureAccrual or routes");
        var accrual = Accrual(at, members);
        if (opaque) return PolicyMessages.Opaque(authority);
        if (protocol == "grpc") return PolicyMessages.Grpc(authority, [.. json.List(members, at, "routes", MaxRoutes).Select(r => Grpc(r.At, r.Element)).OfType<GrpcRoute>()], accrual);
        return PolicyMessages.Http(authority, [.. json.List(members, at, "routes", MaxRoutes).Select(r => Http(r.At, r.Element)).OfType<HttpRoute>()], accrual);
    }

    private HttpRoute? Http(string at, JsonElement element)
    {
        if (!json.Members(element, at, ["name", "hosts", "matches", "filters", "backends", "timeouts", "retry"], out var members)) return null;
        var rule = new HttpRoute.Types.Rule { Backends = Backends(at, members), Timeouts = Timeouts(at, members) };
        rule.Matches.AddRange(json.List(members, at, "matches", MaxParts).Select(m => Match(m.At, m.Element)));
        rule.Filters.AddRange(json.List(members, at, "filters", MaxParts).Select(f => new FilterElement(json).Read(f.At, f.Element, isGrpc: false)));
        if (Retry(at, members, out var retry))
        {
            rule.Retry = new HttpRoute.Types.Retry { MaxRetries = Max(retry, at), MaxRequestBytes = Bytes(retry, at), Timeout = Time(retry, $"{at}.retry", "timeout"), Conditions = new() };
            if (retry.ContainsKey("codes")) json.Fault($"{at}.retry.codes", "is for services of protocol grpc");
            rule.Retry.Conditions.StatusRanges.AddRange(json.List(retry, $"{at}.retry", "statuses", MaxParts).Select(s => Statuses(s.At, s.Element)));
        }

        var route = new HttpRoute { Metadata = PolicyMessages.Route("HTTPRoute", Name(members, at)), Rules = { rule } };
        route.Hosts.AddRange(Hosts(members, at));
        return route;
    }

    private GrpcRoute? Grpc(string at, JsonElement element)
    {
        if (!json.Members(element, at, ["name", "hosts", "matches", "filters", "backends", "timeouts", "retry"], out var members)) return null;
        var rule = new GrpcRoute.Types.Rule { Backends = GrpcRoute.Types.Distribution.Parser.ParseFrom(Backends(at, members).ToByteString()), Timeouts = Timeouts(at, members) };
        foreach (var (place, one) in json.List(members, at, "matches", MaxParts))
        {
            if (!json.Members(one, place, ["service", "method", "headers"], out var match)) continue;
            var read = new Protocol.GrpcRoutes.GrpcRouteMatch { Rpc = new() { Service = Short(match, place, "service") ?? "", Method = Short(match, place, "method") ?? "" } };
            read.Headers.AddRange(Headers(place, match));
            rule.Matches.Add(read);
        }

        rule.Filters.AddRange(json.List(members, at, "filters", MaxParts).Select(f => GrpcRoute.Types.Filter.Parser.ParseFrom(new FilterElement(json).Read(f.At, f.Element, isGrpc: true).ToByteString())));
        if (Retry(at, members, out var retry))
        {
            rule.Retry = new GrpcRoute.Types.Retry { MaxRetries = Max(retry, at), MaxRequestBytes = Bytes(retry, at), Timeout = Time(retry, $"{at}.retry", "timeout"), Conditions = new() };
            if (retry.ContainsKey("statuses")) json.Fault($"{at}.retry.statuses", "is not for services of protocol grpc");
            foreach (var (place, code) in json.List(retry, $"{at}.retry", "codes", MaxParts))
            {
                var on = rule.Retry.Conditions;
                switch (code.ValueKind == JsonValueKind.String ? Array.IndexOf(Codes, code.GetString()) : -1)
                {
                    case 0: on.Cancelled = true; break;
                    case 1: on.DeadineExceeded = true; break;
                    case 2: on.ResourceExhausted = true; break;
                    case 3: on.Internal = true; break;
                    case 4: on.Unavailable = true; break;
                    default: json.Fault(place, $"must be one of {string.Join(", ", Codes)}"); break;
                }
            }
        }

        var route = new GrpcRoute { Metadata = PolicyMessages.Route("GRPCRoute", Name(members, at)), Rules = { rule } };
        route.Hosts.AddRange(Hosts(members, at));
        return route;
    }

    private HttpRouteMatch Match(string at, JsonElement element)
    {
        var match = new HttpRouteMatch();
        if (!json.Members(element, at, ["path", "prefix", "pathRegex", "method", "headers", "query"], out var members)) return match;
        if (Paths.Count(members.ContainsKey) > 1) json.Fault(at, "has more than one of path, prefix and pathRegex");
        if (Path(members, at, "path") is { } exact) match.Path = new PathMatch { Exact = exact };
        if (Path(members, at, "prefix") is { } prefix) match.Path = new PathMatch { Prefix = prefix };
        if (Pattern(members, at, "pathRegex") is { } regex) match.Path = new PathMatch { Regex = regex };
        if (Short(members, at, "method") is { } method)
        {
            // HTTP's own names are capital; any other is another method, and a misspelling.
            match.Method = new Protocol.HttpTypes.HttpMethod { Unregistered = method };
            if (!method.All(char.IsAsciiLetterUpper)) json.Fault($"{at}.method", "must be a method in capital letters");
        }

        match.Headers.AddRange(Headers(at, members));
        foreach (var (place, one) in json.List(members, at, "query", MaxParts))
        {
            if (!NamedValue(place, one, out var name, out var value, out var pattern)) continue;
            match.QueryParams.Add(pattern is null ? new QueryParamMatch { Name = name, Exact = value } : new QueryParamMatch { Name = name, Regex = pattern });
        }

        return match;
    }

    private IEnumerable<HeaderMatch> Headers(string at, Dictionary<string, JsonElement> members)
    {
        foreach (var (place, one) in json.List(members, at, "headers", MaxParts))
        {
            if (!NamedValue(place, one, out var name, out var value, out var pattern)) continue;
            yield return pattern is null ? new HeaderMatch { Name = name, Exact = ByteString.CopyFromUtf8(value!) } : new HeaderMatch { Name = name, Regex = pattern };
        }
    }

    private bool NamedValue(string at, JsonElement element, out string name, out string? value, out string? pattern)
    {
        (name, value, pattern) = ("", null, null);
        if (!json.Members(element, at, ["name", "value", "regex"], out var members)) return false;
        name = Short(members, at, "name") ?? "";
        value = Short(members, at, "value");
        pattern = Pattern(members, at, "regex");
        if (name.Length > 0 && value is null != pattern is null) return true;
        json.Fault(at, "must have a name, and a value or a regex");
        return false;
    }

    private IEnumerable<HostMatch> Hosts(Dictionary<string, JsonElement> members, string at)
    {
        foreach (var (place, one) in json.List(members, at, "hosts", MaxParts))
        {
            var host = one.ValueKind == JsonValueKind.String ? one.GetString()! : "";
            var name = host.StartsWith("*.", StringComparison.Ordinal) ? host[2..] : host;
            if (Uri.CheckHostName(name) == UriHostNameType.Unknown || name.Length > 253) json.Fault(place, "must be a host name, or *. and the end of one");
            else if (name == host) yield return new HostMatch { Exact = host };
            else yield return new HostMatch { Suffix = new HostMatch.Types.Suffix { ReverseLabels = { name.Split('.').Reverse() } } };
        }
    }

    private HttpRoute.Types.Distribution Backends(string at, Dictionary<string, JsonElement> members)
    {
        if (!members.ContainsKey("backends")) return PolicyMessages.To([(authority, 1)]);
        var backends = new List<(Authority Authority, uint Weight)>();
        foreach (var (place, one) in json.List(members, at, "backends", MaxParts))
        {
            if (!json.Members(one, place, ["authority", "weight"], out var backend)) continue;
            if (Authority.TryParse(json.Text(backend, place, "authority"), out var to) && to.Address is null) backends.Add((to, (uint)(json.Number(backend, place, "weight", 0, 1_000_000) ?? 1)));
            else json.Fault($"{place}.authority", "must be name:port");
        }

        return PolicyMessages.To(backends);
    }

    private Timeouts? Timeouts(string at, Dictionary<string, JsonElement> members)
    {
        if (!members.TryGetValue("timeouts", out var element) || !json.Members(element, $"{at}.timeouts", ["request", "response", "idle"], out var times)) return null;
        return new Timeouts { Request = Time(times, $"{at}.timeouts", "request"), Response = Time(times, $"{at}.timeouts", "response"), Idle = Time(times, $"{at}.timeouts", "idle") };
    }

    private FailureAccrual? Accrual(string at, Dictionary<string, JsonElement> members)
    {
        if (!members.TryGetValue("failureAccrual", out var element) || !json.Members(element, $"{at}.failureAccrual", ["maxFailures", "minBackoff", "maxBackoff"], out var accrual)) return null;
        at += ".failureAccrual";
        // Linkerd's: 7 in a row, 1 s to 1 min, half as much again by chance.
        var min = json.Duration(accrual, at, "minBackoff") ?? TimeSpan.FromSeconds(1);
        var max = json.Duration(accrual, at, "maxBackoff") ?? TimeSpan.FromMinutes(1);
        if (max < min || max == TimeSpan.Zero) json.Fault($"{at}.maxBackoff", "must be above zero and not below minBackoff");
        return new FailureAccrual
        {
            ConsecutiveFailures = new FailureAccrual.Types.ConsecutiveFailures
            {
                MaxFailures = (uint)(json.Number(accrual, at, "maxFailures", 1, 1_000_000) ?? 7),
                Backoff = new ExponentialBackoff { MinBackoff = min.ToDuration(), MaxBackoff = max.ToDuration(), JitterRatio = 0.5f },
            },
        };
    }

    private bool Retry(string at, Dictionary<string, JsonElement> members, out Dictionary<string, JsonElement> retry)
    {
        retry = [];
        return members.TryGetValue("retry", out var element) && json.Members(element, $"{at}.retry", ["max", "maxBodyBytes", "timeout", "statuses", "codes"], out retry);
    }

    private uint Max(Dictionary<string, JsonElement> retry, string at) => (uint)(json.Number(retry, $"{at}.retry", "max", 1, 16) ?? 1);

    private uint Bytes(Dictionary<string, JsonElement> retry, string at) => (uint)(json.Number(retry, $"{at}.retry", "maxBodyBytes", 1, 1024 * 1024) ?? 64 * 1024);

    private HttpRoute.Types.Retry.Types.Conditions.Types.StatusRange Statuses(string at, JsonElement element)
    {
        var text = element.ValueKind == JsonValueKind.String ? element.GetString()! : "";
        var ends = text.Split('-');
        if (ends.Length is 1 or 2 && uint.TryParse(ends[0], out var start) && uint.TryParse(ends[^1], out var end) && start >= 100 && end <= 999 && start <= end) return new() { Start = start, End = end };
        json.Fault(at, "must be a status or a range of them, such as 503 or 500-599");
        return new();
    }

    private Duration? Time(Dictionary<string, JsonElement> members, string at, string name) => json.Duration(members, at, name)?.ToDuration();

    private string Name(Dictionary<string, JsonElement> members, string at)
    {
        var name = Short(members, at, "name");
        if (string.IsNullOrEmpty(name)) json.Fault($"{at}.name", "is required: metrics and logs call the route by it");
        return name ?? "";
    }

    private string? Path(Dictionary<string, JsonElement> members, string at, string name)
    {
        var path = Short(members, at, name);
        if (path is not null && (!path.StartsWith('/') || !path.All(c => c is > ' ' and < (char)127 and not '?' and not '#'))) json.Fault($"{at}.{name}", "must begin with a slash, and have no blank, query or fragment");
        return path;
    }

    private string? Pattern(Dictionary<string, JsonElement> members, string at, string name)
    {
        if (Short(members, at, name) is not { } pattern) return null;
        try
        {
            // Proxies take only what needs no going back, and no more than 512 characters.
            _ = new Regex(pattern, RegexOptions.NonBacktracking);
            if (pattern.Length <= 512) return pattern;
        }
        catch (Exception e) when (e is ArgumentException or NotSupportedException)
        {
        }

        json.Fault($"{at}.{name}", "must be a regular expression of 512 characters at most, without references and looking around");
        return null;
    }

    private string? Short(Dictionary<string, JsonElement> members, string at, string name)
    {
        var text = json.Text(members, at, name);
        if (text is { Length: > MaxText }) json.Fault($"{at}.{name}", $"is longer than {MaxText} characters");
        return text;
    }
}
