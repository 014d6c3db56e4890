using Mesh.Spiffe;
using Microsoft.Extensions.Logging;

namespace Mesh.Identity.Bundles;

internal sealed partial class TrustEndpoint
{
    private static partial class Log
    {
        // A proxy can say this at will, but its next status with the same text is not logged again.
        [LoggerMessage(1201, LogLevel.Information, "{SpiffeId} ({Instance}) holds bundle {Sequence} and did not take the newest: {Rejection}", EventName = "BundleUpdateRejected")]
        public static partial void UpdateRejected(ILogger log, SpiffeId spiffeId, string instance, ulong sequence, string rejection);
    }
}
