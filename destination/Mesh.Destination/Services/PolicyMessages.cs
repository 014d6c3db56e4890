using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Mesh.Protocol.Meta;
using Mesh.Protocol.Outbound;

namespace Mesh.Destination.Services;

/// <summary>Policies as proxies are told them (<c>io.linkerd.proxy.outbound</c>), with what Linkerd's policy controller fills in.</summary>
internal static class PolicyMessages
{
    private static readonly TimeSpan DetectTimeout = TimeSpan.FromSeconds(10);

    /// <param name="authority">The service.</param>
    /// <param name="routes">None: one for everything, to the service.</param>
    /// <param name="accrual">Null: endpoints are not taken out of use.</param>
    public static OutboundPolicy Http(Authority authority, IReadOnlyCollection<HttpRoute> routes, FailureAccrual? accrual)
    {
        if (routes.Count == 0) routes = [new HttpRoute { Metadata = Default("http"), Rules = { new HttpRoute.Types.Rule { Backends = To([(authority, 1)]) } } }];
        var detect = new ProxyProtocol.Types.Detect
        {
            Timeout = DetectTimeout.ToDuration(), Opaque = Bytes(authority), Http1 = new() { FailureAccrual = accrual }, Http2 = new() { FailureAccrual = accrual },
        };
        detect.Http1.Routes.AddRange(routes);
        detect.Http2.Routes.AddRange(routes);
        return new OutboundPolicy { Metadata = Service(authority), Protocol = new ProxyProtocol { Detect = detect } };
    }

    public static OutboundPolicy Grpc(Authority authority, IReadOnlyCollection<GrpcRoute> routes, FailureAccrual? accrual)
    {
        if (routes.Count == 0)
            routes = [new GrpcRoute { Metadata = Default("grpc"), Rules = { new GrpcRoute.Types.Rule { Backends = GrpcRoute.Types.Distribution.Parser.ParseFrom(To([(authority, 1)]).ToByteString()) } } }];
        var grpc = new ProxyProtocol.Types.Grpc { FailureAccrual = accrual };
        grpc.Routes.AddRange(routes);
        return new OutboundPolicy { Metadata = Service(authority), Protocol = new ProxyProtocol { Grpc = grpc } };
    }

    public static OutboundPolicy Opaque(Authority authority) => new() { Metadata = Service(authority), Protocol = new ProxyProtocol { Opaque = Bytes(authority) } };

    public static HttpRoute.Types.Distribution To(IReadOnlyCollection<(Authority Authority, uint Weight)> backends)
    {
        if (backends.Count == 0) return new HttpRoute.Types.Distribution { Empty = new() };
        var all = new HttpRoute.Types.Distribution.Types.RandomAvailable();
        all.Backends.AddRange(backends.Select(b => new HttpRoute.Types.WeightedRouteBackend { Weight = b.Weight, Backend = new() { Backend = Balancer(b.Authority) } }));
        return new HttpRoute.Types.Distribution { RandomAvailable = all };
    }

    public static Metadata Route(string kind, string name) => new() { Resource = new Resource { Group = "gateway.networking.k8s.io", Kind = kind, Name = name } };

    private static Backend Balancer(Authority authority) => new()
    {
        Metadata = Service(authority),
        Queue = new Queue { Capacity = 100, FailfastTimeout = Duration.FromTimeSpan(TimeSpan.FromSeconds(3)) },
        Balancer = new Backend.Types.BalanceP2c
        {
            Discovery = new() { Dst = new() { Path = authority.ToString() } },
            PeakEwma = new() { DefaultRtt = Duration.FromTimeSpan(TimeSpan.FromMilliseconds(30)), Decay = Duration.FromTimeSpan(TimeSpan.FromSeconds(10)) },
        },
    };

    private static ProxyProtocol.Types.Opaque Bytes(Authority authority)
    {
        var first = new OpaqueRoute.Types.Distribution.Types.FirstAvailable { Backends = { new OpaqueRoute.Types.RouteBackend { Backend = Balancer(authority) } } };
        return new() { Routes = { new OpaqueRoute { Metadata = Default("opaque"), Rules = { new OpaqueRoute.Types.Rule { Backends = new() { FirstAvailable = first } } } } } };
    }

    private static Metadata Default(string name) => new() { Default = name };

    // Names of services are name.namespace and more.
    private static Metadata Service(Authority authority)
    {
        var labels = authority.Host.Split('.');
        return new Metadata { Resource = new Resource { Group = "core", Kind = "Service", Name = labels[0], Namespace = labels.Length > 1 ? labels[1] : "", Port = (uint)authority.Port } };
    }
}
