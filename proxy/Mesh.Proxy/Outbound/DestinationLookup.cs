using System.Net;
using Mesh.Proxy.Discovery;
using Mesh.Proxy.Settings;

namespace Mesh.Proxy.Outbound;

/// <summary>The two questions outbound connections ask of discovery.</summary>
/// <param name="Resolve">The endpoints of an authority.</param>
/// <param name="Profile">What an address stands for.</param>
internal sealed record DestinationLookup(
    Func<HostPort, TimeSpan, CancellationToken, ValueTask<Resolution>> Resolve,
    Func<IPEndPoint, TimeSpan, CancellationToken, ValueTask<ProfileResolution>> Profile)
{
    /// <summary>For a proxy that has no discovery: nothing is known of anything.</summary>
    public static DestinationLookup None { get; } = new(
        (_, _, _) => ValueTask.FromResult(new Resolution(ResolutionKind.NotFound, null, false)),
        (_, _, _) => ValueTask.FromResult(new ProfileResolution(ResolutionKind.NotFound, null, false)));
}
