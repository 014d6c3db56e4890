using System.Net;
using Mesh.Proxy.Connections;
using Mesh.Proxy.Metrics;
using Mesh.Proxy.Native;

namespace Mesh.Proxy.Upstreams;

/// <summary>
/// What the upstreams of one direction share: their loop, the connections they have open, and the one place that catches what escapes their code.
/// Lives on the loop.
/// </summary>
internal sealed class UpstreamSet(EventLoop loop, Direction direction, ConnectionTable table, TimeProvider time, Action<Direction, Dialled> notConnected, Action<Exception> bug)
{
    private readonly HashSet<Held> _open = [];

    public EventLoop Loop => loop;

    /// <summary>A server could not be connected to: for the log.</summary>
    public void NotConnected(Dialled why) => notConnected(direction, why);

    /// <summary>Connections open now.</summary>
    public int Count => _open.Count;

    /// <summary>Runs a piece of code of its own, which is nobody's to await: a fault of ours in it is told and ends nothing else.</summary>
    public void Run(Func<Task> work) => _ = RunAsync(work);

    /// <summary>A connection is open until the result is disposed, which closes it: its bytes are counted, and what it dialled is known to be ours.</summary>
    public IDisposable Hold(Transport transport, TcpCounters counters)
    {
        var held = new Held(this, transport, new CountedTransport(transport, counters));
        _open.Add(held);
        table.Dialled(direction, held.Local, held.Remote);
        return held;
    }

    /// <summary>Calls <paramref name="drain"/> when what a connection was trusted for is over, unless the result is disposed before; null when that is never.</summary>
    public Expiry? WhenOver(DateTimeOffset? validUntil, Action drain) => validUntil is { } until ? new Expiry(loop, until - time.GetUtcNow(), drain) : null;

    /// <summary>Brings the byte counters of all open connections up to date.</summary>
    public void Settle()
    {
        foreach (var held in _open) held.Counted.Settle();
    }

    /// <summary>Closes every connection, whatever it is doing.</summary>
    public void Cut()
    {
        foreach (var held in _open.ToArray()) held.Transport.Abort();
    }

    private async Task RunAsync(Func<Task> work)
    {
        try
        {
            await work();
        }
        catch (Exception fault)
        {
            bug(fault);
        }
    }

    private void Release(Held held)
    {
        _open.Remove(held);
        table.Undialled(direction, held.Local, held.Remote);
    }

    private sealed class Held(UpstreamSet set, Transport transport, CountedTransport counted) : IDisposable
    {
        private bool _disposed;

        public Transport Transport => transport;

        public CountedTransport Counted => counted;

        // Asked for while the socket is open: afterwards it has none.
        public IPEndPoint Local { get; } = transport.Local;

        public IPEndPoint Remote { get; } = transport.Remote;

        public void Dispose()
        {
            if (_disposed) return;
            _disposed = true;
            counted.Close();
            set.Release(this);
            transport.Dispose();
        }
    }
}
