using Microsoft.Extensions.Logging;

namespace Mesh.Identity.Hosting;

internal static partial class IdentityProcess
{
    private static partial class Log
    {
        [LoggerMessage(1001, LogLevel.Information, "Identity service {SpiffeId} {Version} listens on {GrpcAddress}, admin on {AdminAddress}", EventName = "Started")]
        public static partial void Started(ILogger log, string spiffeId, string version, string grpcAddress, string adminAddress);

        [LoggerMessage(1002, LogLevel.Information, "Stopping: no new connections, calls under way have {Seconds} s", EventName = "Stopping")]
        public static partial void Stopping(ILogger log, double seconds);

        [LoggerMessage(1003, LogLevel.Information, "Stopped; {Cut} calls were cut", EventName = "Stopped")]
        public static partial void Stopped(ILogger log, int cut);

        [LoggerMessage(1004, LogLevel.Critical, "A part of the service has failed; the process ends", EventName = "Failed")]
        public static partial void Failed(ILogger log, Exception reason);

        [LoggerMessage(1005, LogLevel.Critical, "The service could not start: {Reason}", EventName = "NotStarted")]
        public static partial void NotStarted(ILogger log, string reason);
    }
}
