using Mesh.Proxy.Logging;
using Mesh.Proxy.Policy;

namespace Mesh.Proxy.Connections;

internal sealed partial class Connection
{
    private static class Log
    {
        /// <summary>
        /// The access log: one line for each connection, with it all. Unless every line is asked for (access log, audit, debug), lines of one reason
        /// that come too fast are left out, and the next says how many those were.
        /// </summary>
        public static void Ended(LineLog log, bool accessLog, Connection connection, ConnectionEnd end, string? detail, long up, long down, TimeSpan open, LineLimit limit)
        {
            var everyLine = accessLog || connection.Audited;
            var level = everyLine && end != ConnectionEnd.Bug ? LogLevel.Info : Level(end);
            long leftOut = 0;
            if (!log.IsEnabled(level) || (!everyLine && !log.IsEnabled(LogLevel.Debug) && !limit.Admit(out leftOut))) return;
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
                ("open", open),
                ("left_out", leftOut == 0 ? null : leftOut));
        }

        // What a peer can bring about at will stays at Info, or it fills the log. That there is no certificate is told once, by who renews it.
        private static LogLevel Level(ConnectionEnd end) => end switch
        {
            ConnectionEnd.Completed or ConnectionEnd.ClientClosedEarly or ConnectionEnd.ClientReset or ConnectionEnd.ServerReset
                or ConnectionEnd.IdleTimeout or ConnectionEnd.Drained or ConnectionEnd.TooManyConnections => LogLevel.Debug,
            ConnectionEnd.Bug => LogLevel.Error,
            _ => LogLevel.Info,
        };
    }
}
