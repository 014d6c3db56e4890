using Mesh.Proxy.Native;

namespace Mesh.Proxy.Connections;

/// <summary>
/// Notices that a client has left while the proxy works for it and reads nothing from it: asks discovery, dials, shakes hands. Work for clients
/// that are gone is what keeps a proxy from recovering when there was too much of it. Lives on the loop.
/// </summary>
internal sealed class ClientWatch : IDisposable
{
    /// <summary>
    /// A client that has closed its sending side may wait for an answer all the same, or be gone: the wire does not tell which. It is believed to
    /// be there for this long, which is many times what a connection takes when all is well.
    /// </summary>
    public static readonly TimeSpan HalfClosedPatience = TimeSpan.FromSeconds(2);

    private readonly Connection _connection;
    private readonly LoopSocket _client;
    private readonly CancellationTokenSource _left = new();
    private readonly LoopTimer _patience;
    private bool _halfClosed;
    private bool _disposed;

    internal ClientWatch(Connection connection, TcpTransport client)
    {
        (_connection, _client) = (connection, client.Socket);
        _patience = client.Loop.Timer(static state => ((ClientWatch)state!).Leave(), this);
        _client.HangUpNoticed = Look;
        if (_client.HungUp) Look();
    }

    /// <summary>Fires, on the loop, when the client has left or the connection was cut; the connection then has its reason.</summary>
    public CancellationToken Left => _left.Token;

    /// <summary>The connection was cut by somebody who has said why.</summary>
    public void Abandon()
    {
        if (!_disposed) _left.Cancel();
    }

    public void Dispose()
    {
        if (_disposed) return;
        _disposed = true;
        _client.HangUpNoticed = null;
        _patience.Stop();
        _left.Dispose();
    }

    private void Look()
    {
        if (_client.IsDead)
        {
            Leave();
        }
        else if (!_halfClosed)
        {
            _halfClosed = true;
            _patience.Arm((long)HalfClosedPatience.TotalMilliseconds);
        }
    }

    private void Leave()
    {
        _connection.EndAs(ConnectionEnd.ClientClosedEarly);
        Abandon();
    }
}
