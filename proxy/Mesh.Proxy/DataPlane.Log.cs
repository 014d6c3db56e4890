using System.Net;
using Mesh.Proxy.Connections;
using Mesh.Proxy.Logging;
using Mesh.Proxy.Upstreams;

namespace Mesh.Proxy;

internal sealed partial class DataPlane
{
    private static class Log
    {
        public static void Listening(LineLog log, Direction direction, IPEndPoint address, string? target) =>
            log.Write(LogLevel.Info, 3001, "listening", ("direction", direction.Label()), ("address", address), ("for", target));

        public static void NotConnected(LineLog log, Direction direction, Dialled why, long leftOut) => log.Write(
            LogLevel.Warn, 3105, "no connection to a server; requests for it fail or go elsewhere",
            ("direction", direction.Label()), ("reason", why.End.Label()), ("detail", why.Detail), ("left_out", leftOut == 0 ? null : leftOut));

        public static void Bug(LineLog log, Exception bug, long leftOut) => log.Write(
            LogLevel.Error, 3104, "a connection to a server ended by a fault of the proxy; others go on", ("exception", bug.ToString()), ("left_out", leftOut == 0 ? null : leftOut));
    }
}
