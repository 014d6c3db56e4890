using Mesh.Spiffe;
using Microsoft.Extensions.Logging;

namespace Mesh.Identity.Issuance;

internal sealed partial class OwnSvid
{
    private static partial class Log
    {
        [LoggerMessage(1110, LogLevel.Information, "Serving TLS as {Svid}", EventName = "OwnCertificateRenewed")]
        public static partial void Renewed(ILogger log, string svid);

        [LoggerMessage(1111, LogLevel.Warning, "Could not sign a certificate for the service itself ({SpiffeId}): {Cause}", EventName = "OwnCertificateFailed")]
        public static partial void Refused(ILogger log, SpiffeId spiffeId, string cause);
    }
}
