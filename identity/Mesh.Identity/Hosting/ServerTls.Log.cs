using Microsoft.Extensions.Logging;

namespace Mesh.Identity.Hosting;

internal sealed partial class ServerTls
{
    private static partial class Log
    {
        [LoggerMessage(1301, LogLevel.Information, "Refused the client certificate of {Peer}: {Reason}", EventName = "ClientCertificateRefused")]
        public static partial void ClientRefused(ILogger log, string peer, string reason);
    }
}
