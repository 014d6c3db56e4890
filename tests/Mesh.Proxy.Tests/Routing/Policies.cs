using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Mesh.Protocol.HttpRoutes;
using Mesh.Protocol.HttpTypes;
using Mesh.Protocol.Meta;
using Mesh.Protocol.Outbound;

namespace Mesh.Proxy.Tests.Routing;

/// <summary>Messages of the control plane in few words.</summary>
internal static class Policies
{
    public static Metadata Name(string name) => new() { Resource = new Resource { Group = "gateway.networking.k8s.io", Kind = "HTTPRoute", Namespace = "demo", Name = name } };

    public static Duration Ms(double milliseconds) => Duration.FromTimeSpan(TimeSpan.FromMilliseconds(milliseconds));

    public static Backend Balancer(string authority) => new()
    {
        Metadata = new Metadata { Default = authority },
        Balancer = new Backend.Types.BalanceP2c
        {
            Discovery = new Backend.Types.EndpointDiscovery { Dst = new Backend.Types.EndpointDiscovery.Types.DestinationGet { Path = authority } },
            PeakEwma = new Backend.Types.BalanceP2c.Types.PeakEwma { DefaultRtt = Ms(50), Decay = Ms(5_000) },
        },
    };

    public static HttpRoute.Types.Distribution To(string authority) => Weighted((authority, 1));

    public static HttpRoute.Types.Distribution Weighted(params (string Authority, uint Weight)[] backends)
    {
        var all = new HttpRoute.Types.Distribution.Types.RandomAvailable();
        all.Backends.AddRange(backends.Select(b => new HttpRoute.Types.WeightedRouteBackend { Weight = b.Weight, Backend = new HttpRoute.Types.RouteBackend { Backend = Balancer(b.Authority) } }));
        return new HttpRoute.Types.Distribution { RandomAvailable = all };
    }

    public static HttpRoute Route(string name, HttpRoute.Types.Rule rule) => new() { Metadata = Name(name), Rules = { rule } };

    public static HttpRoute.Types.Rule Rule(HttpRouteMatch? match = null, params HttpRoute.Types.Filter[] filters)
    {
        var rule = new HttpRoute.Types.Rule { Backends = To("web.demo:80") };
        if (match is not null) rule.Matches.Add(match);
        rule.Filters.AddRange(filters);
        return rule;
    }

    public static HttpRouteMatch Prefix(string path) => new() { Path = new PathMatch { Prefix = path } };

    public static Headers Headers(params (string Name, string Value)[] all)
    {
        var headers = new Headers();
        headers.Headers_.AddRange(all.Select(h => new Headers.Types.Header { Name = h.Name, Value = ByteString.CopyFromUtf8(h.Value) }));
        return headers;
    }

    public static OutboundPolicy Message(params HttpRoute[] routes) => Message(null, routes);

    public static OutboundPolicy Message(FailureAccrual? accrual, params HttpRoute[] routes)
    {
        var message = new OutboundPolicy
        {
            Metadata = new Metadata { Resource = new Resource { Group = "core", Kind = "Service", Namespace = "demo", Name = "web", Port = 80 } },
            Protocol = new ProxyProtocol { Detect = new ProxyProtocol.Types.Detect { Timeout = Ms(3_000), Http1 = new(), Http2 = new(), Opaque = new() } },
        };
        message.Protocol.Detect.Http1.Routes.AddRange(routes);
        message.Protocol.Detect.Http2.Routes.AddRange(routes);
        message.Protocol.Detect.Http1.FailureAccrual = message.Protocol.Detect.Http2.FailureAccrual = accrual;
        var bytes = new OpaqueRoute.Types.Distribution { FirstAvailable = new() };
        bytes.FirstAvailable.Backends.Add(new OpaqueRoute.Types.RouteBackend { Backend = Balancer("web.demo:80") });
        message.Protocol.Detect.Opaque.Routes.Add(new OpaqueRoute { Metadata = new Metadata { Default = "opaque" }, Rules = { new OpaqueRoute.Types.Rule { Backends = bytes } } });
        return message;
    }
}
