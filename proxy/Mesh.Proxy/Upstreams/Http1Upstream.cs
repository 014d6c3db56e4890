using Mesh.Proxy.Http.Http1;
using Mesh.Proxy.Http.Streams;
using Mesh.Proxy.Metrics;
using Mesh.Proxy.Native;

namespace Mesh.Proxy.Upstreams;

/// <summary>HTTP/1 connections to one server: as many as there are requests at once, kept for the next. The one used last is taken first, so that others become idle and end.</summary>
internal sealed class Http1Upstream(UpstreamSet set, Dial dial, TcpCounters counters) : Upstream(set, dial, counters), IHttp1ClientOwner
{
    // A server with more requests than this at once has enough to do.
    private const int MaxConnections = 1_000;

    // Milliseconds. Shorter than most servers wait (Node 5 s, nginx 75 s), where the request that meets their close would be lost.
    private const long KeepIdle = 4_000;

    private readonly HashSet<Http1ClientConnection> _open = [];
    private readonly List<(Http1ClientConnection Connection, long Since)> _idle = [];
    private LoopTimer? _sweep;
    private int _connecting;

    public override HttpStream? TryOpen(IStreamHandler handler)
    {
        while (_idle.Count > 0)
        {
            var last = _idle[^1];
            _idle.RemoveAt(_idle.Count - 1);
            if (last.Connection.TryOpen(handler) is { } stream) return stream;
        }

        return null;
    }

    public override void Drain()
    {
        base.Drain();
        foreach (var connection in _open.ToArray()) connection.BeginDrain();
        _sweep?.Stop();
    }

    void IHttp1ClientOwner.OnIdle(Http1ClientConnection connection)
    {
        if (IsStopped)
        {
            connection.BeginDrain();
            return;
        }

        _idle.Add((connection, Set.Loop.Now));
        if (HasWaiting) ServeWaiting();
        if (_idle.Count == 1) (_sweep ??= Set.Loop.Timer(static state => ((Http1Upstream)state!).Sweep(), this)).Arm(KeepIdle);
    }

    void IHttp1ClientOwner.OnClosed(Http1ClientConnection connection) => Forget(connection);

    protected override void ConnectIfNeeded()
    {
        if (IsStopped || _connecting >= WaitingCount || _open.Count + _connecting >= MaxConnections) return;
        _connecting++;
        Connect();
    }

    protected override void OnDialled(bool connected) => _connecting--;

    protected override async ValueTask ServeAsync(Transport transport, DateTimeOffset? validUntil)
    {
        OnDialled(connected: true);
        if (IsStopped) return;
        var connection = new Http1ClientConnection(transport, this);
        _open.Add(connection);
        using var expiry = Set.WhenOver(validUntil, connection.BeginDrain);
        var serving = connection.RunAsync();
        ((IHttp1ClientOwner)this).OnIdle(connection);
        await serving;
        Forget(connection);
        if (HasWaiting) ConnectIfNeeded();
    }

    private void Forget(Http1ClientConnection connection)
    {
        _open.Remove(connection);
        var at = _idle.FindIndex(i => ReferenceEquals(i.Connection, connection));
        if (at >= 0) _idle.RemoveAt(at);
    }

    private void Sweep()
    {
        var before = Set.Loop.Now - KeepIdle;
        // The oldest are in front.
        var old = 0;
        while (old < _idle.Count && _idle[old].Since <= before) old++;
        var ending = _idle.GetRange(0, old);
        _idle.RemoveRange(0, old);
        foreach (var (connection, _) in ending) connection.BeginDrain();
        if (_idle.Count > 0) _sweep!.Arm(Math.Max(1, _idle[0].Since - before));
    }
}
