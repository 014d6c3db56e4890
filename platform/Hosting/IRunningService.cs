using System.Net;

namespace Mesh.Hosting;

/// <summary>A service that is up: where it listens, and the two ways it ends.</summary>
internal interface IRunningService : IAsyncDisposable
{
    /// <summary>Of the gRPC port.</summary>
    IPEndPoint Address { get; }

    IPEndPoint AdminAddress { get; }

    /// <summary>Completes when a part that has to run for as long as the service does has ended: the reason to exit with a failure.</summary>
    Task<Exception> Failed { get; }

    /// <summary>Stops accepting, tells streams to go elsewhere, waits for what is under way, and cuts the rest at the end of the grace period.</summary>
    /// <returns>How many connections were cut.</returns>
    Task<int> StopAsync();
}
