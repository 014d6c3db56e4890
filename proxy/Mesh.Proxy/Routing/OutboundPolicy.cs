using Mesh.Proxy.Balance;
using Mesh.Proxy.Settings;

namespace Mesh.Proxy.Routing;

/// <summary>How a connection to a service is spoken on.</summary>
internal enum PolicyProtocol
{
    /// <summary>Look at the first bytes.</summary>
    Detect = 0,

    /// <summary>Do not look at the bytes.</summary>
    Opaque = 1,

    Http1 = 2,
    Http2 = 3,
    Grpc = 4,

    /// <summary>The client's own TLS: passed through.</summary>
    Tls = 5,
}

/// <summary>What becomes of the traffic to one service. Immutable; a change is a new one.</summary>
internal sealed record OutboundPolicy
{
    /// <summary>Linkerd's.</summary>
    public const long DefaultDetectTimeout = 10_000;

    /// <summary>Of the service, for metrics and logs.</summary>
    public required ResourceName Parent { get; init; }

    /// <summary>The control plane has none for this service.</summary>
    public bool IsDefault { get; private init; }

    public PolicyProtocol Protocol { get; init; }

    /// <summary>Milliseconds for the first bytes to come before they count as none; at least 1.</summary>
    public long DetectTimeout { get; init; } = DefaultDetectTimeout;

    /// <summary>For requests that came as HTTP/1.</summary>
    public required RouteTable Http1 { get; init; }

    /// <summary>For requests that came as HTTP/2, gRPC among them.</summary>
    public required RouteTable Http2 { get; init; }

    /// <summary>For bytes that are not HTTP, and for TLS that is passed through.</summary>
    public required RouteRule Opaque { get; init; }

    /// <summary>Of a service that has none: every request goes to its endpoints, once, without limits of time; nothing is taken out of use.</summary>
    public static OutboundPolicy Default(HostPort authority)
    {
        var backend = new Backend(new ResourceName("core", "Service", "", authority.Host, Port: authority.Port), authority, null, LoadParameters.Default, null);
        var rule = new RouteRule
        {
            Route = ResourceName.Default("http"),
            Backends = new RouteBackends(byWeight: false, [new RouteBackend(backend, 1, RouteFilters.None)]),
        };
        var table = RouteTable.Single(rule);
        return new OutboundPolicy { Parent = backend.Resource, IsDefault = true, Http1 = table, Http2 = table, Opaque = rule with { Route = ResourceName.Default("opaque") } };
    }
}
