using Mesh.Proxy.Logging;

namespace Mesh.Proxy.Connections;

internal sealed partial class Acceptor
{
    private static class Log
    {
        public static void Bug(LineLog log, long connection, Exception bug, long leftOut) => log.Write(
            LogLevel.Error, 3102, "a connection ended by a fault of the proxy; others go on", ("connection", connection), ("exception", bug.ToString()),
            ("left_out", leftOut == 0 ? null : leftOut));
    }
}
