using Mesh.Proxy.Connections;
using Mesh.Proxy.Exchanges;
using Mesh.Proxy.Http.Streams;
using Mesh.Proxy.Metrics;
using Mesh.Proxy.Native;

namespace Mesh.Proxy.Upstreams;

/// <summary>A connection made, or why not.</summary>
internal readonly record struct Dialled(Transport? Transport, ConnectionEnd End, string Detail)
{
    /// <summary>Until when what both sides proved holds; requests go over another connection afterwards. Null in plaintext.</summary>
    public DateTimeOffset? ValidUntil { get; init; }

    /// <summary>What a client is told when this is the reason that its request has no server.</summary>
    public Refusal Refusal => End switch
    {
        ConnectionEnd.NoCertificate => Refusal.NoCertificate,
        ConnectionEnd.TlsHandshakeFailed or ConnectionEnd.IdentityRejected => Refusal.HandshakeFailed,
        ConnectionEnd.LoopRefused => Refusal.LoopRefused,
        _ => Refusal.ConnectFailed,
    };
}

/// <summary>Connects to the one server of an upstream, TLS and all. Runs on the loop; ends when the token fires.</summary>
internal delegate ValueTask<Dialled> Dial(CancellationToken stop);

/// <summary>
/// The connections to one server in one version of HTTP: opens them when requests need them, keeps them for the next, and lets requests wait, in
/// order and bounded in number, while there is none. Lives on the loop.
/// </summary>
internal abstract class Upstream(UpstreamSet set, Dial dial, TcpCounters counters) : IDisposable
{
    /// <summary>Requests that may wait for one server, for the fail-fast time at most: a bound on memory. Linkerd's.</summary>
    public const int MaxWaiting = 10_000;

    private static readonly TimeSpan FirstBackoff = TimeSpan.FromMilliseconds(100);
    private static readonly TimeSpan LongestBackoff = TimeSpan.FromSeconds(5);

    private readonly Queue<(Exchange Exchange, int Ticket)> _waiting = new();
    private readonly CancellationTokenSource _stop = new();
    private long _backoff;
    private long _notBefore;

    protected UpstreamSet Set { get; } = set;

    protected bool IsStopped { get; private set; }

    /// <summary>Requests under way.</summary>
    public int Pending { get; private set; }

    /// <summary>The last attempt to connect failed a short while ago: others should be preferred.</summary>
    public bool IsBackingOff => Set.Loop.Now < _notBefore;

    protected bool HasWaiting => _waiting.Count > 0;

    /// <summary>Those that left while they waited are counted too, until their turn comes.</summary>
    protected int WaitingCount => _waiting.Count;

    /// <summary>A stream for a request, if one can be had now.</summary>
    public abstract HttpStream? TryOpen(IStreamHandler handler);

    /// <summary>Puts a request in the queue; it is told by <see cref="Exchange.OnStream"/> or <see cref="Exchange.OnUnavailable"/>. False when the queue is full.</summary>
    public bool TryWait(Exchange exchange)
    {
        while (_waiting.TryPeek(out var first) && first.Exchange.Ticket != first.Ticket) _waiting.Dequeue();
        if (_waiting.Count >= MaxWaiting || IsStopped) return false;
        _waiting.Enqueue((exchange, exchange.Ticket));
        ConnectIfNeeded();
        return true;
    }

    /// <summary>No further connections; those that are open end when their requests have.</summary>
    public virtual void Drain()
    {
        if (IsStopped) return;
        IsStopped = true;
        _stop.Cancel();
        FailWaiting(Refusal.NoEndpoint);
    }

    public void Dispose()
    {
        Drain();
        _stop.Dispose();
    }

    internal void Began() => Pending++;

    internal void Finished() => Pending--;

    /// <summary>Opens a connection if those that wait need one more.</summary>
    protected abstract void ConnectIfNeeded();

    /// <summary>
    /// Serves one connection to its end; the transport is closed afterwards. After <paramref name="validUntil"/> it takes no new request: the
    /// certificates it was made with have expired, and a connection must not outlive what it was trusted for.
    /// </summary>
    protected abstract ValueTask ServeAsync(Transport transport, DateTimeOffset? validUntil);

    /// <summary>Opens a connection and serves it.</summary>
    protected void Connect() => Set.Run(ConnectAsync);

    /// <summary>An attempt to connect is over.</summary>
    protected abstract void OnDialled(bool connected);

    /// <summary>Gives streams to those that wait, in order, while there are any to be had.</summary>
    protected void ServeWaiting()
    {
        while (_waiting.TryPeek(out var first))
        {
            if (first.Exchange.Ticket != first.Ticket)
            {
                _waiting.Dequeue();
                continue;
            }

            if (TryOpen(first.Exchange) is not { } stream) return;
            _waiting.Dequeue();
            first.Exchange.OnStream(stream);
        }
    }

    private void FailWaiting(Refusal why)
    {
        // Those that try here once more wait anew. If that attempt fails at once, it fails them alone: with all the others it would be a call within a call for each.
        var failed = _waiting.ToArray();
        _waiting.Clear();
        foreach (var (exchange, ticket) in failed)
        {
            if (exchange.Ticket == ticket) exchange.OnUnavailable(why);
        }
    }

    private async Task ConnectAsync()
    {
        if (IsStopped) return;
        Dialled dialled;
        try
        {
            dialled = await dial(_stop.Token);
        }
        catch
        {
            // A fault of ours, told where it is caught; those that wait must not wait for what does not come.
            OnDialled(connected: false);
            FailWaiting(Refusal.ConnectFailed);
            throw;
        }

        if (dialled.Transport is not { } transport)
        {
            _backoff = Math.Clamp(_backoff * 2, (long)FirstBackoff.TotalMilliseconds, (long)LongestBackoff.TotalMilliseconds);
            _notBefore = Set.Loop.Now + _backoff;
            if (!IsStopped) Set.NotConnected(dialled);
            OnDialled(connected: false);
            FailWaiting(dialled.Refusal);
            return;
        }

        _backoff = 0;
        _notBefore = 0;
        using var held = Set.Hold(transport, counters);
        await ServeAsync(transport, dialled.ValidUntil);
    }
}
