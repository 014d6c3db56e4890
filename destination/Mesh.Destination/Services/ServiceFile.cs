using System.Collections.Immutable;
using System.Globalization;
using System.Net;
using System.Text.Json;
using Mesh.Spiffe;

namespace Mesh.Destination.Services;

/// <summary>
/// The file that takes the place of the Kubernetes API on a machine without one:
/// <code>
/// { "services": [ { "authority": "web.demo.svc.cluster.local:80", "opaque": false,
///     "endpoints": [ { "address": "127.0.0.1:8080", "identity": "spiffe://example.org/ns/demo/sa/web", "serverName": "web.demo...",
///                      "inboundPort": 4143, "weight": 10000, "opaque": false, "labels": { "pod": "web-0" } } ] } ] }
/// </code>
/// What a service's <c>routes</c> hold is in docs/destination.md.
/// Only <c>authority</c> and <c>address</c> are required; <c>identity</c> asks for <c>serverName</c>. Unknown members are faults: they are misspellings.
/// </summary>
internal static class ServiceFile
{
    private const int MaxServices = 10_000;
    private const int MaxEndpoints = 100_000;
    private const int MaxLabels = 32;

    private static readonly JsonDocumentOptions Options = new() { AllowDuplicateProperties = false, MaxDepth = 16, CommentHandling = JsonCommentHandling.Skip, AllowTrailingCommas = true };

    /// <summary>Reads the whole file. Every fault is listed with the place it is at; with any fault there is no table.</summary>
    public static ServiceTable? Parse(string json, out ImmutableArray<string> faults)
    {
        var reader = new Reader();
        try
        {
            using var document = JsonDocument.Parse(json, Options);
            var services = reader.Services(document.RootElement);
            faults = reader.Faults;
            return faults.IsEmpty ? new ServiceTable(services) : null;
        }
        catch (JsonException malformed)
        {
            faults = [string.Create(CultureInfo.InvariantCulture, $"line {malformed.LineNumber + 1}: not JSON: {malformed.Message}")];
            return null;
        }
    }

    private sealed class Reader : JsonReader
    {
        private int _endpoints;

        public List<Service> Services(JsonElement root)
        {
            var services = new List<Service>();
            if (!Members(root, "the file", ["services"], out var members) || !members.TryGetValue("services", out var list) || list.ValueKind != JsonValueKind.Array)
            {
                Fault("services", "must be there, a list");
                return services;
            }

            var seen = new HashSet<Authority>();
            foreach (var (index, element) in list.EnumerateArray().Index())
            {
                if (index == MaxServices)
                {
                    Fault("services", $"holds more than {MaxServices} entries");
                    break;
                }

                if (Service($"services[{index}]", element) is not { } service) continue;
                if (!seen.Add(service.Authority)) Fault($"services[{index}].authority", $"{service.Authority} is there twice");
                services.Add(service);
            }

            return services;
        }

        private Service? Service(string at, JsonElement element)
        {
            if (!Members(element, at, ["authority", "opaque", "endpoints", "protocol", "failureAccrual", "routes"], out var members)) return null;
            if (!Authority.TryParse(Text(members, at, "authority"), out var authority)) Fault($"{at}.authority", "must be name:port");
            else if (authority.Address is not null) Fault($"{at}.authority", "must be a name, not an address");
            var opaque = Flag(members, at, "opaque");
            var endpoints = ImmutableArray.CreateBuilder<Endpoint>();
            if (members.TryGetValue("endpoints", out var list) && list.ValueKind == JsonValueKind.Array)
            {
                foreach (var (index, one) in list.EnumerateArray().Index())
                {
                    if (++_endpoints > MaxEndpoints)
                    {
                        Fault(at, $"the file holds more than {MaxEndpoints} endpoints");
                        break;
                    }

                    if (Endpoint($"{at}.endpoints[{index}]", one, opaque) is { } endpoint) endpoints.Add(endpoint);
                }
            }
            else if (members.ContainsKey("endpoints"))
            {
                Fault($"{at}.endpoints", "must be a list");
            }

            if (authority is null) return null;
            endpoints.Sort((a, b) => string.CompareOrdinal(a.Address.ToString(), b.Address.ToString()));
            for (var i = 1; i < endpoints.Count; i++)
                if (endpoints[i].Address.Equals(endpoints[i - 1].Address)) Fault($"{at}.endpoints", $"{endpoints[i].Address} is there twice");
            return new Service(authority, opaque, endpoints.ToImmutable()) { Policy = new RouteReader(this, authority).Read(at, members, opaque) };
        }

        private Endpoint? Endpoint(string at, JsonElement element, bool opaque)
        {
            if (!Members(element, at, ["address", "identity", "serverName", "inboundPort", "weight", "opaque", "labels"], out var members)) return null;
            if (!IPEndPoint.TryParse(Text(members, at, "address") ?? "", out var address) || address.Port == 0)
            {
                Fault($"{at}.address", "must be IP:port");
                return null;
            }

            SpiffeId? identity = null;
            if (Text(members, at, "identity") is { } name)
            {
                if (!SpiffeId.TryParse(name, out identity, out var fault)) Fault($"{at}.identity", fault.Sentence());
                else if (identity.IsRoot) Fault($"{at}.identity", "must name a workload, not a trust domain");
            }

            var serverName = Text(members, at, "serverName");
            if (identity is not null && string.IsNullOrEmpty(serverName)) Fault($"{at}.serverName", "is required beside identity: the name its proxy answers to");
            if (serverName is { Length: > 253 }) Fault($"{at}.serverName", "is longer than 253 characters");
            return new Endpoint
            {
                Address = address,
                Identity = identity,
                ServerName = serverName,
                InboundPort = Number(members, at, "inboundPort", 1, 65535) is { } port ? (int)port : null,
                Weight = (uint)(Number(members, at, "weight", 1, 1_000_000) ?? 10_000),
                Opaque = opaque || Flag(members, at, "opaque"),
                Labels = Labels(members, at),
            };
        }

        private ImmutableSortedDictionary<string, string> Labels(Dictionary<string, JsonElement> members, string at)
        {
            var labels = ImmutableSortedDictionary.CreateBuilder<string, string>(StringComparer.Ordinal);
            if (!members.TryGetValue("labels", out var element)) return labels.ToImmutable();
            if (element.ValueKind != JsonValueKind.Object)
            {
                Fault($"{at}.labels", "must be an object of texts");
                return labels.ToImmutable();
            }

            foreach (var label in element.EnumerateObject())
            {
                if (labels.Count == MaxLabels || label.Value.ValueKind != JsonValueKind.String || label.Name.Length > 128 || label.Value.GetString()!.Length > 256)
                {
                    Fault($"{at}.labels", $"at most {MaxLabels}, names up to 128 and texts up to 256 characters");
                    break;
                }

                labels[label.Name] = label.Value.GetString()!;
            }

            return labels.ToImmutable();
        }
    }
}
