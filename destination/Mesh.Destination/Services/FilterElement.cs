using System.Text.Json;
using Google.Protobuf;
using Mesh.Protocol.HttpRoutes;
using Mesh.Protocol.HttpTypes;
using Mesh.Protocol.Outbound;

namespace Mesh.Destination.Services;

/// <summary>Reads one filter of a route in the file. Proxies judge it again: what may not be touched is theirs to say.</summary>
internal sealed class FilterElement(JsonReader json)
{
    private const int MaxFields = 64;

    public HttpRoute.Types.Filter Read(string at, JsonElement element, bool isGrpc)
    {
        var filter = new HttpRoute.Types.Filter();
        if (!json.Members(element, at, isGrpc ? ["requestHeaders", "fail"] : ["requestHeaders", "responseHeaders", "redirect", "fail"], out var members)) return filter;
        if (members.Count != 1) json.Fault(at, "must have one member, which says what the filter does");
        foreach (var (kind, value) in members)
        {
            var place = $"{at}.{kind}";
            switch (kind)
            {
                case "requestHeaders" when json.Members(value, place, ["add", "set", "remove"], out var fields):
                    filter.RequestHeaderModifier = new RequestHeaderModifier { Add = Fields(fields, place, "add"), Set = Fields(fields, place, "set") };
                    filter.RequestHeaderModifier.Remove.AddRange(Names(fields, place));
                    break;
                case "responseHeaders" when json.Members(value, place, ["add", "set", "remove"], out var fields):
                    filter.ResponseHeaderModifier = new ResponseHeaderModifier { Add = Fields(fields, place, "add"), Set = Fields(fields, place, "set") };
                    filter.ResponseHeaderModifier.Remove.AddRange(Names(fields, place));
                    break;
                case "redirect" when json.Members(value, place, ["scheme", "host", "port", "path", "prefix", "status"], out var redirect):
                    filter.Redirect = Redirect(place, redirect);
                    break;
                case "fail" when json.Members(value, place, ["status", "message", "percent"], out var fail):
                    var status = isGrpc ? json.Number(fail, place, "status", 0, 16) : json.Number(fail, place, "status", 200, 599);
                    if (!fail.ContainsKey("status")) json.Fault($"{place}.status", "is required");
                    filter.FailureInjector = new HttpFailureInjector
                    {
                        Status = (uint)(status ?? 0), Message = json.Text(fail, place, "message") ?? "",
                        Ratio = new Ratio { Numerator = (uint)(json.Number(fail, place, "percent", 0, 100) ?? 100), Denominator = 100 },
                    };
                    break;
            }
        }

        return filter;
    }

    private RequestRedirect Redirect(string at, Dictionary<string, JsonElement> members)
    {
        var redirect = new RequestRedirect { Host = json.Text(members, at, "host") ?? "", Port = (uint)(json.Number(members, at, "port", 1, 65535) ?? 0), Status = (uint)(json.Number(members, at, "status", 300, 399) ?? 0) };
        if (json.Text(members, at, "scheme") is { } scheme)
        {
            if (scheme is not ("http" or "https")) json.Fault($"{at}.scheme", "must be http or https");
            redirect.Scheme = new Scheme { Registered = scheme == "https" ? Scheme.Types.Registered.Https : Scheme.Types.Registered.Http };
        }

        if (members.ContainsKey("path") && members.ContainsKey("prefix")) json.Fault(at, "has both path and prefix");
        if (json.Text(members, at, "path") is { } path) redirect.Path = new PathModifier { Full = path };
        if (json.Text(members, at, "prefix") is { } prefix) redirect.Path = new PathModifier { Prefix = prefix };
        return redirect;
    }

    private Headers? Fields(Dictionary<string, JsonElement> members, string at, string name)
    {
        if (!members.TryGetValue(name, out var element)) return null;
        var headers = new Headers();
        if (element.ValueKind != JsonValueKind.Object || element.GetPropertyCount() > MaxFields || !element.EnumerateObject().All(f => f.Value.ValueKind == JsonValueKind.String))
        {
            json.Fault($"{at}.{name}", $"must be an object of at most {MaxFields} texts");
            return headers;
        }

        headers.Headers_.AddRange(element.EnumerateObject().Select(f => new Headers.Types.Header { Name = f.Name, Value = ByteString.CopyFromUtf8(f.Value.GetString()!) }));
        return headers;
    }

    private IEnumerable<string> Names(Dictionary<string, JsonElement> members, string at)
    {
        foreach (var (place, name) in json.List(members, at, "remove", MaxFields))
        {
            if (name.ValueKind == JsonValueKind.String) yield return name.GetString()!;
            else json.Fault(place, "must be a text");
        }
    }
}
