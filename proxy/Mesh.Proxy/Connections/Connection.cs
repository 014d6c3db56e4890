using System.Diagnostics;
using System.Net;
using Mesh.Proxy.Logging;
using Mesh.Proxy.Metrics;
using Mesh.Proxy.Native;
using Mesh.Proxy.Policy;

namespace Mesh.Proxy.Connections;

/// <summary>
/// One accepted connection from accept to its end: what is known of it, its sockets, its counters, and the one reason it ended. Disposing
/// closes the sockets and records the end, once. Lives on the loop.
/// </summary>
internal sealed partial class Connection : IDisposable
{
    private readonly ConnectionTable _table;
    private readonly long _opened;
    private CountedTransport? _source;
    private CountedTransport? _destination;
    private Transport? _dialled;
    private (IPEndPoint Local, IPEndPoint Remote)? _dialledEnds;
    private Transport? _accepted;
    private ClientWatch? _watch;
    private ConnectionEnd? _end;
    private string? _detail;
    private bool _disposed;

    internal Connection(ConnectionTable table, long id, Direction direction, TcpTransport accepted)
    {
        (_table, Id, Direction, _accepted) = (table, id, direction, accepted);
        Client = accepted.Remote;
        _opened = accepted.Loop.Now;
        Peer = new PeerIdentity.Absent(AbsentReason.NoTlsFromRemote);
    }

    public long Id { get; }

    public Direction Direction { get; }

    public IPEndPoint Client { get; }

    /// <summary>What the connection is for: the application's address (inbound), the authority or address asked for (outbound).</summary>
    public string Target { get; set; } = "";

    /// <summary>The other proxy: who connects (inbound), whom we connected to (outbound).</summary>
    public PeerIdentity Peer { get; set; }

    /// <summary>Allowed only because the policy watches and does not deny.</summary>
    public bool Audited { get; set; }

    public ConnectionEnd? End => _end;

    public ProxyMetrics Metrics => _table.Metrics;

    /// <summary>Called, on the loop, when the proxy is about to end and the connection should when it can. Set by code that knows where one request ends.</summary>
    public Action? DrainRequested { get; set; }

    /// <summary>Says why the connection ends. The first reason stands: what follows is its echo.</summary>
    public void EndAs(ConnectionEnd end, string? detail = null)
    {
        if (_end is not null) return;
        (_end, _detail) = (end, detail);
    }

    /// <summary>TLS has taken over the accepted socket.</summary>
    public void Accepted(Transport transport) => _accepted = transport;

    /// <summary>From here until the watch is disposed the client is not read from; when it leaves, or the connection is cut, the watch says so.</summary>
    public ClientWatch WatchClient(TcpTransport client) => _watch = new ClientWatch(this, client);

    /// <summary>Whether the client of this connection is this proxy.</summary>
    /// <param name="destination">Where the client connected to, before any redirection.</param>
    public bool IsLoop(IPEndPoint destination) =>
        _table.IsOwn(Client, destination, Direction) || (Direction == Direction.Outbound && _table.IsOwn(Client, destination, Direction.Inbound));

    /// <summary>The connection owns the socket that was opened for it.</summary>
    public void Dialled(Transport transport)
    {
        _dialled = transport;
        Undial();
        var (local, remote) = (transport.Local, transport.Remote);
        _dialledEnds = (local, remote);
        _table.Dialled(Direction, local, remote);
    }

    /// <summary>From here on the bytes of <paramref name="transport"/> are counted under <paramref name="labels"/>.</summary>
    public void Count(Transport transport, TcpLabels labels)
    {
        var counted = new CountedTransport(transport, _table.Metrics.Tcp(labels));
        if (labels.Side == TcpSide.Source) _source = counted;
        else _destination = counted;
    }

    /// <summary>Brings the counters up to date, so that a scrape sees long connections before their end.</summary>
    public void Settle()
    {
        _source?.Settle();
        _destination?.Settle();
    }

    /// <summary>Cuts the connection for <paramref name="reason"/>; its own code then finds the sockets closed and unwinds.</summary>
    public void Cut(ConnectionEnd reason)
    {
        EndAs(reason);
        _watch?.Abandon();
        _accepted?.Abort();
        _dialled?.Abort();
    }

    public void Dispose()
    {
        if (_disposed) return;
        _disposed = true;
        Debug.Assert(_end is not null, "a connection ended and nobody said why");
        var end = _end ?? ConnectionEnd.Bug;
        Settle();
        var (up, down) = (_source?.Read ?? 0, _source?.Written ?? 0);
        _source?.Close();
        _destination?.Close();
        // Whoever was refused sees a reset, not an orderly end that could pass for an answer.
        if (end == ConnectionEnd.Completed) _accepted?.Dispose();
        else _accepted?.Abort();
        _dialled?.Dispose();
        (_accepted, _dialled) = (null, null);
        Undial();
        _table.Remove(this);
        _table.Metrics.Ended(Direction, end);
        Log.Ended(_table.Log, _table.AccessLog, this, end, _detail, up, down, TimeSpan.FromMilliseconds(_table.Now - _opened), _table.EndLines(end));
    }

    private void Undial()
    {
        if (_dialledEnds is { } ends) _table.Undialled(Direction, ends.Local, ends.Remote);
        _dialledEnds = null;
    }
}
