using Mesh.Proxy.Http.Http2;
using Mesh.Proxy.Http.Streams;
using Mesh.Proxy.Metrics;
using Mesh.Proxy.Native;

namespace Mesh.Proxy.Upstreams;

/// <summary>
/// HTTP/2 connections to one server: one carries all requests; a further one is opened only when the server allows no more streams on those there
/// are, and when one is going away.
/// </summary>
internal sealed class Http2Upstream(UpstreamSet set, Dial dial, TcpCounters counters, Http2Options options) : Upstream(set, dial, counters), IHttp2Owner
{
    // With a peer of ours that is 4,000 requests at once to one server.
    private const int MaxConnections = 4;

    private readonly List<Http2Connection> _connections = [];
    private bool _connecting;

    public override HttpStream? TryOpen(IStreamHandler handler)
    {
        foreach (var connection in _connections)
        {
            if (connection.CanOpen) return connection.Open(handler);
        }

        return null;
    }

    public override void Drain()
    {
        base.Drain();
        foreach (var connection in _connections.ToArray()) connection.BeginDrain();
    }

    void IHttp2Owner.OnRoomForStream(Http2Connection connection)
    {
        if (HasWaiting) ServeWaiting();
    }

    void IHttp2Owner.OnGoingAway(Http2Connection connection)
    {
        _connections.Remove(connection);
        if (HasWaiting) ConnectIfNeeded();
    }

    protected override void ConnectIfNeeded()
    {
        if (_connecting || IsStopped || _connections.Count >= MaxConnections) return;
        _connecting = true;
        Connect();
    }

    protected override void OnDialled(bool connected) => _connecting = false;

    protected override async ValueTask ServeAsync(Transport transport, DateTimeOffset? validUntil)
    {
        OnDialled(connected: true);
        var connection = new Http2Connection(transport, options, requests: null) { Owner = this };
        if (IsStopped) return;
        _connections.Add(connection);
        using var expiry = Set.WhenOver(validUntil, connection.BeginDrain);
        var serving = connection.RunAsync();
        ServeWaiting();
        await serving;
        _connections.Remove(connection);
    }
}
