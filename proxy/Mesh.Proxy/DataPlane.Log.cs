using System.Net;
using Mesh.Proxy.Connections;
using Mesh.Proxy.Logging;

namespace Mesh.Proxy;

internal sealed partial class DataPlane
{
    private static class Log
    {
        public static void Listening(LineLog log, Direction direction, IPEndPoint address, string? target) =>
            log.Write(LogLevel.Info, 3001, "listening", ("direction", direction.Label()), ("address", address), ("for", target));
    }
}
