using System.Net;
using Mesh.Proxy.Discovery;
using Mesh.Proxy.Routing;
using Mesh.Proxy.Settings;

namespace Mesh.Proxy.Outbound;

/// <summary>What outbound connections ask of discovery, and tell it.</summary>
/// <param name="Resolve">The endpoints of an authority.</param>
/// <param name="Known">The endpoints of an authority if they are known, without waiting; null when they are not.</param>
/// <param name="Profile">What an address stands for.</param>
/// <param name="Hold">A connection to an address is open until the result is disposed; null when nothing is kept of the address.</param>
internal sealed record DestinationLookup(
    Func<HostPort, TimeSpan, CancellationToken, ValueTask<Resolution>> Resolve,
    Func<HostPort, EndpointSet?> Known,
    Func<IPEndPoint, TimeSpan, CancellationToken, ValueTask<ProfileResolution>> Profile,
    Func<IPEndPoint, IDisposable?> Hold)
{
    /// <summary>The routes of an authority.</summary>
    public Func<HostPort, TimeSpan, CancellationToken, ValueTask<PolicyResolution>> Policy { get; init; } = (_, _, _) => ValueTask.FromResult(default(PolicyResolution));

    /// <summary>For a proxy that has no discovery: nothing is known of anything.</summary>
    public static DestinationLookup None { get; } = new(
        (_, _, _) => ValueTask.FromResult(new Resolution(ResolutionKind.NotFound, null, false)),
        _ => null,
        (_, _, _) => ValueTask.FromResult(new ProfileResolution(ResolutionKind.NotFound, null, false)),
        _ => null);
}
