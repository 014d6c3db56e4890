using System.Collections.Immutable;

namespace Mesh.Proxy.Routing;

/// <summary>What becomes of the requests that a rule takes. Immutable.</summary>
internal sealed record RouteRule
{
    /// <summary>Of the route, for metrics and logs.</summary>
    public required ResourceName Route { get; init; }

    /// <summary>What is done to requests and responses, in order.</summary>
    public RouteFilters Filters { get; init; } = RouteFilters.None;

    /// <summary>Where requests go; empty: nowhere, which is 500.</summary>
    public RouteBackends Backends { get; init; } = RouteBackends.None;

    public RouteTimeouts Timeouts { get; init; }

    /// <summary>Null: no request is sent a second time, other than one of which nothing was sent.</summary>
    public RetryPolicy? Retry { get; init; }

    /// <summary>Why its requests are refused with 500: something in the rule could not be understood. Null for a good rule.</summary>
    public string? Fault { get; init; }
}

/// <summary>Milliseconds; 0: no limit.</summary>
/// <param name="Request">From the beginning of the request to the end of the response, retries and all.</param>
/// <param name="Response">From the end of the request to the end of the response.</param>
/// <param name="Idle">Without a byte in either direction.</param>
internal readonly record struct RouteTimeouts(long Request, long Response, long Idle);

/// <summary>The Kubernetes resource, or the default, that a part of a policy comes from.</summary>
/// <param name="Kind">Such as <c>HTTPRoute</c> or <c>Service</c>; <c>default</c> for what no resource stands for.</param>
internal sealed record ResourceName(string Group, string Kind, string Namespace, string Name, string Section = "", int Port = 0)
{
    // Made once: it stands in the log line of every request.
    private readonly string _text = Namespace.Length == 0 ? $"{Kind}/{Name}" : $"{Kind}/{Namespace}/{Name}";

    public static ResourceName Default(string name) => new("", "default", "", name);

    public override string ToString() => _text;
}
