using System.Net.Sockets;
using Mesh.Proxy.Logging;

namespace Mesh.Proxy.Admin;

internal sealed partial class AdminServer
{
    private static class Log
    {
        public static void AcceptFailed(LineLog log, SocketError error) =>
            log.Write(LogLevel.Warn, 3401, "the admin endpoint could not accept a connection", ("error", error));
    }
}
