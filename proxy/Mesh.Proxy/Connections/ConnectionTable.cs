using System.Net;
using Mesh.Proxy.Logging;
using Mesh.Proxy.Metrics;
using Mesh.Proxy.Native;

namespace Mesh.Proxy.Connections;

/// <summary>The connections that are open now, bounded in number. Lives on the loop.</summary>
internal sealed class ConnectionTable(EventLoop loop, ProxyMetrics metrics, LineLog log, bool accessLog, TimeProvider time)
{
    // One for each reason: a peer that is refused all day must not hide what happens to others, nor fill the disk.
    private readonly LineLimit[] _endLines =
        [.. Enumerable.Range(0, ConnectionEndText.Count).Select(_ => new LineLimit(burst: 20, TimeSpan.FromSeconds(1), time))];

    private readonly HashSet<Connection> _open = [];
    private readonly int[] _counts = new int[2];
    private readonly HashSet<(IPEndPoint Local, IPEndPoint Remote)>[] _dialled = [[], []];
    private TaskCompletionSource? _empty;
    private long _lastId;

    public ProxyMetrics Metrics => metrics;

    public LineLog Log => log;

    public bool AccessLog => accessLog;

    public long Now => loop.Now;

    public int Count => _open.Count;

    public Connection Add(Direction direction, TcpTransport accepted)
    {
        var connection = new Connection(this, ++_lastId, direction, accepted);
        _open.Add(connection);
        _counts[(int)direction]++;
        return connection;
    }

    /// <summary>
    /// Whether <paramref name="client"/> is a socket that a connection of <paramref name="direction"/> opened to <paramref name="destination"/>:
    /// what we dialled was redirected to ourselves, as happens when the redirection does not leave out the proxy's own user. Both ends are
    /// compared: the kernel gives the same local port to sockets with different destinations, so that the client's alone may be the application's.
    /// </summary>
    public bool IsOwn(IPEndPoint client, IPEndPoint destination, Direction direction) => _dialled[(int)direction].Contains((client, destination));

    /// <summary>Keeps the lines of our own faults few: what brings one about can be a peer's doing.</summary>
    public LineLimit BugLines { get; } = new(burst: 20, TimeSpan.FromSeconds(1), time);

    /// <summary>Keeps the lines of connections that ended for one reason few; every end is counted in the metrics.</summary>
    public LineLimit EndLines(ConnectionEnd end) => _endLines[(int)end];

    public int CountOf(Direction direction) => _counts[(int)direction];

    /// <summary>Brings the byte counters of all open connections up to date.</summary>
    public void Settle()
    {
        foreach (var connection in _open) connection.Settle();
    }

    /// <summary>Waits for the open connections to end, for <paramref name="grace"/> at most; then cuts those that are left and says how many.</summary>
    public async ValueTask<int> DrainAsync(TimeSpan grace)
    {
        foreach (var connection in _open.ToArray()) connection.DrainRequested?.Invoke();
        if (_open.Count == 0) return 0;
        // A second, more impatient drain ends the wait of the first as well.
        if (_empty is null || _empty.Task.IsCompleted) _empty = new TaskCompletionSource();
        var over = loop.Timer(static state => ((TaskCompletionSource)state!).TrySetResult(), _empty);
        over.Arm((long)grace.TotalMilliseconds);
        await _empty.Task;
        over.Stop();
        var left = _open.ToArray();
        foreach (var connection in left) connection.Cut(ConnectionEnd.Drained);
        return left.Length;
    }

    internal void Dialled(Direction direction, IPEndPoint local, IPEndPoint remote) => _dialled[(int)direction].Add((local, remote));

    internal void Undialled(Direction direction, IPEndPoint local, IPEndPoint remote) => _dialled[(int)direction].Remove((local, remote));

    internal void Remove(Connection connection)
    {
        _open.Remove(connection);
        _counts[(int)connection.Direction]--;
        if (_open.Count == 0) _empty?.TrySetResult();
    }
}
