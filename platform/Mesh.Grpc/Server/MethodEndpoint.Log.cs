using Grpc.Core;
using Microsoft.Extensions.Logging;

namespace Mesh.Grpc.Server;

internal abstract partial class MethodEndpoint
{
    // A peer can cause the first two at will.
    private static partial class Log
    {
        [LoggerMessage(5001, LogLevel.Debug, "{Method} ended with {StatusCode}: {Detail}", EventName = "MethodRefused")]
        public static partial void MethodRefused(ILogger logger, string method, StatusCode statusCode, string detail);

        [LoggerMessage(5002, LogLevel.Debug, "{Method} was cut short: {StatusCode}", EventName = "MethodCancelled")]
        public static partial void MethodCancelled(ILogger logger, string method, StatusCode statusCode, Exception met);

        [LoggerMessage(5003, LogLevel.Error, "{Method} failed with an unexpected exception", EventName = "MethodFailed")]
        public static partial void MethodFailed(ILogger logger, string method, Exception exception);
    }
}
