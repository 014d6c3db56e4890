using Mesh.Proxy.Logging;
using Mesh.Proxy.Policy;

namespace Mesh.Proxy.Connections;

internal sealed partial class Connection
{
    private static class Log
    {
        /// <summary>The access log: one line for each connection, with it all.</summary>
        public static void Ended(LineLog log, bool accessLog, Connection connection, ConnectionEnd end, string? detail, long up, long down, TimeSpan open)
        {
            var level = (accessLog || connection.Audited) && !IsOurFault(end) ? LogLevel.Info : Level(end);
            if (!log.IsEnabled(level)) return;
            log.Write(
                level,
                3101,
                "connection ended",
                ("direction", connection.Direction.Label()),
                ("connection", connection.Id),
                ("client", connection.Client),
                ("target", connection.Target.Length == 0 ? null : connection.Target),
                (connection.Peer is PeerIdentity.Verified ? "peer" : "no_peer", connection.Peer),
                ("reason", end.Label()),
                ("detail", detail),
                ("audited", connection.Audited ? true : null),
                ("bytes_up", up),
                ("bytes_down", down),
                ("open", open));
        }

        // What a peer can bring about at will stays at Info, or it fills the log; what asks for an operator is a warning.
        private static LogLevel Level(ConnectionEnd end) => end switch
        {
            ConnectionEnd.Completed or ConnectionEnd.ClientClosedEarly or ConnectionEnd.ClientReset or ConnectionEnd.ServerReset
                or ConnectionEnd.IdleTimeout or ConnectionEnd.Drained or ConnectionEnd.TooManyConnections => LogLevel.Debug,
            ConnectionEnd.Bug => LogLevel.Error,
            ConnectionEnd.NoCertificate or ConnectionEnd.LoopRefused => LogLevel.Warn,
            _ => LogLevel.Info,
        };

        private static bool IsOurFault(ConnectionEnd end) => Level(end) >= LogLevel.Warn;
    }
}
