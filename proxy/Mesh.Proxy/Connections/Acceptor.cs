using Mesh.Proxy.Logging;
using Mesh.Proxy.Native;

namespace Mesh.Proxy.Connections;

/// <summary>Takes connections off one listener and starts their code. The only place that catches what escapes a connection.</summary>
internal sealed partial class Acceptor(TcpListener listener, Direction direction, int maxConnections, ConnectionTable table, LineLog log)
{
    /// <summary>Runs until the listener is closed. The connections go on.</summary>
    public async Task RunAsync(Func<Connection, TcpTransport, ValueTask> serve)
    {
        while (true)
        {
            var (_, client) = await listener.AcceptAsync();
            if (client is null) return;
            var connection = table.Add(direction, client);
            if (table.CountOf(direction) > maxConnections)
            {
                connection.EndAs(ConnectionEnd.TooManyConnections);
                connection.Dispose();
                continue;
            }

            // The table owns it: it ends by itself, or is cut there.
            _ = RunAsync(connection, client, serve);
        }
    }

    private async Task RunAsync(Connection connection, TcpTransport client, Func<Connection, TcpTransport, ValueTask> serve)
    {
        try
        {
            await serve(connection, client);
        }
        catch (Exception bug)
        {
            if (table.BugLines.Admit(out var leftOut)) Log.Bug(log, connection.Id, bug, leftOut);
            connection.EndAs(ConnectionEnd.Bug, bug.GetType().Name);
        }
        finally
        {
            connection.Dispose();
        }
    }
}
