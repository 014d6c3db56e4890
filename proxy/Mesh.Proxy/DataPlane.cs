using System.Collections.Immutable;
using System.Net;
using Mesh.Proxy.Connections;
using Mesh.Proxy.Exchanges;
using Mesh.Proxy.Inbound;
using Mesh.Proxy.Logging;
using Mesh.Proxy.Metrics;
using Mesh.Proxy.Native;
using Mesh.Proxy.Outbound;
using Mesh.Proxy.Policy;
using Mesh.Proxy.Requests;
using Mesh.Proxy.Routing;
using Mesh.Proxy.Settings;
using Mesh.Proxy.Tracing;
using Mesh.Proxy.Upstreams;
using Mesh.Spiffe;

namespace Mesh.Proxy;

/// <summary>
/// The listeners, their connections, and the event loop they live on. Bound first, served once there is a certificate, drained at the end.
/// Its members may be called from any thread; what touches connections happens on the loop.
/// </summary>
internal sealed partial class DataPlane : IDisposable
{
    // Linkerd's times for a request that waits for a server.
    private static readonly TimeSpan InboundFailFast = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan OutboundFailFast = TimeSpan.FromSeconds(3);

    private readonly EventLoop _loop;
    private readonly ProxySettings _settings;
    private readonly TimeProvider _time;
    private readonly LineLog _log;
    private readonly CurrentTls _tls;
    private readonly ConnectionTable _table;
    private readonly InboundContext _inbound;
    private readonly OutboundContext _outbound;
    private readonly LineLimit _notConnectedLines;
    private readonly List<(TcpListener Listener, InboundService? Service)> _inboundListeners = [];
    private readonly List<(TcpListener Listener, OutboundService? Service)> _outboundListeners = [];
    private readonly CancellationTokenSource _stopping = new();

    /// <summary>Binds every listener. Nothing is accepted before <see cref="ServeAsync"/>.</summary>
    /// <param name="loop">Not running yet, or the caller is on it.</param>
    /// <param name="tracer">Null when no spans are made.</param>
    /// <param name="tap">Null when nobody can look at requests.</param>
    /// <exception cref="IOException">An address cannot be bound; the message names it and its setting.</exception>
    public DataPlane(EventLoop loop, ProxySettings settings, DestinationLookup lookup, IPEndPoint? admin, TimeProvider time, LineLog log, Tracer? tracer = null, RequestTap? tap = null)
    {
        (_loop, _settings, _time, _log) = (loop, settings, time, log);
        Metrics = new ProxyMetrics(settings.Inbound.Policy);
        Journal = new RequestJournal(settings.AccessLog ? log : null, tracer, tap);
        _tls = new CurrentTls(time);
        _notConnectedLines = new LineLimit(burst: 20, TimeSpan.FromSeconds(1), time);
        _table = new ConnectionTable(loop, Metrics, log, settings.AccessLog, time);
        try
        {
            Bind();
        }
        catch (IOException)
        {
            Close();
            throw;
        }

        var own = _inboundListeners.Select(l => l.Listener.Local).Concat(_outboundListeners.Select(l => l.Listener.Local));
        ImmutableArray<IPEndPoint> outboundOnly = [.. own];
        // What comes from the network must not reach the admin endpoint as if it came from this pod.
        var guarded = new OwnListeners(admin is null ? outboundOnly : outboundOnly.Add(admin));
        var inboundUpstreams = new UpstreamSet(loop, Direction.Inbound, _table, time, TellNotConnected, TellBug);
        var inboundHttp = new InboundHttp(
            new ExchangePool(loop, InboundFailFast), new ApplicationUpstreams(inboundUpstreams, settings.Inbound.ConnectTimeout, Metrics), inboundUpstreams,
            new ExchangeAccount(Direction.Inbound, Metrics.Requests, Journal));
        _inbound = new InboundContext(
            settings.Inbound, new InboundRules(settings.Inbound.Policy, settings.Inbound.ClusterNetworks), settings.Identity.ServerName, _tls, guarded, Metrics, inboundHttp);
        var random = new Random();
        var ownOutbound = new OwnListeners(outboundOnly);
        var dialer = new EndpointDialer(loop, settings.Outbound, _tls, ownOutbound, Metrics);
        var outboundHttp = new OutboundHttp(
            new UpstreamSet(loop, Direction.Outbound, _table, time, TellNotConnected, TellBug), new ExchangePool(loop, OutboundFailFast), dialer, lookup, settings.Outbound.DiscoveryTimeout, Metrics,
            new ExchangeAccount(Direction.Outbound, Metrics.Requests, Journal), random);
        _outbound = new OutboundContext(settings.Outbound, lookup, ownOutbound, new EndpointLoad(random), dialer, outboundHttp);
    }

    public ProxyMetrics Metrics { get; }

    /// <summary>Where exchanges tell of requests.</summary>
    public RequestJournal Journal { get; }

    /// <summary>The addresses bound, in the order of the settings, the shared listener first.</summary>
    public ImmutableArray<IPEndPoint> InboundAddresses => [.. _inboundListeners.Select(l => l.Listener.Local)];

    public ImmutableArray<IPEndPoint> OutboundAddresses => [.. _outboundListeners.Select(l => l.Listener.Local)];

    /// <summary>Puts a certificate and a bundle in force for connections that start from now on. Complete when it is.</summary>
    /// <exception cref="System.Security.Cryptography.CryptographicException">The TLS library refuses the certificate; the one before stays.</exception>
    public async Task UseIdentityAsync(X509Svid svid, ITrustBundleSource bundles)
    {
        // Built here, since it costs public-key arithmetic, and only swapped on the loop.
        var snapshot = new TlsSnapshot(svid, bundles, _time);
        await _loop.InvokeAsync(() =>
        {
            _tls.Use(snapshot);
            return true;
        });
    }

    /// <summary>Puts the routes of a service in force for its requests from now on.</summary>
    public void UsePolicy(HostPort authority, OutboundPolicy policy) => _loop.Post(() => _outbound.Http.Use(authority, policy));

    /// <summary>Accepts connections until <see cref="StopAcceptingAsync"/>. Ends earlier only by a fault.</summary>
    public Task ServeAsync() => _loop.InvokeAsync(async () =>
    {
        var acceptors = new List<Task>();
        foreach (var (listener, service) in _inboundListeners)
        {
            var acceptor = new Acceptor(listener, Direction.Inbound, _settings.Inbound.MaxConnections, _table, _log);
            acceptors.Add(acceptor.RunAsync((connection, client) => new InboundConnection(_inbound, connection, client, service).RunAsync()));
            Log.Listening(_log, Direction.Inbound, listener.Local, service?.Application.ToString());
        }

        foreach (var (listener, service) in _outboundListeners)
        {
            var acceptor = new Acceptor(listener, Direction.Outbound, _settings.Outbound.MaxConnections, _table, _log);
            acceptors.Add(acceptor.RunAsync((connection, client) => new OutboundConnection(_outbound, connection, client, service).RunAsync()));
            Log.Listening(_log, Direction.Outbound, listener.Local, service?.Authority.ToString());
        }

        await Task.WhenAny(acceptors);
        if (!_stopping.IsCancellationRequested) throw new InvalidOperationException("A listener stopped accepting though nobody asked it to.");
        await Task.WhenAll(acceptors);
    });

    /// <summary>No new connections; those that are open go on.</summary>
    public Task StopAcceptingAsync() => _loop.InvokeAsync(() =>
    {
        _stopping.Cancel();
        Close();
        return true;
    });

    /// <summary>Waits for open connections, for <paramref name="grace"/> at most, cuts the rest and says how many those were.</summary>
    public Task<int> DrainAsync(TimeSpan grace) => _loop.InvokeAsync(async () =>
    {
        var cut = await _table.DrainAsync(grace);
        _inbound.Http.Applications.Dispose();
        _outbound.Http.Dispose();
        return cut;
    });

    /// <summary>Adds the data path's families to a page, with the counters of open connections up to date.</summary>
    public async ValueTask WriteMetricsAsync(PrometheusText page, CancellationToken ct)
    {
        await _loop.InvokeAsync(() =>
        {
            _table.Settle();
            _inbound.Http.Upstreams.Settle();
            _outbound.Http.Upstreams.Settle();
            return true;
        }).WaitAsync(ct);
        Metrics.WriteTo(page);
    }

    /// <summary>After the loop has ended.</summary>
    public void Dispose()
    {
        _tls.Dispose();
        _stopping.Dispose();
    }

    // Requests that fail for it are counted; why they do is said here, and not for each of them.
    private void TellNotConnected(Direction direction, Dialled why)
    {
        if (_notConnectedLines.Admit(out var leftOut)) Log.NotConnected(_log, direction, why, leftOut);
    }

    // What escapes the connections that requests share; those that clients made are watched over by the acceptor.
    private void TellBug(Exception bug)
    {
        if (_table.BugLines.Admit(out var leftOut)) Log.Bug(_log, bug, leftOut);
    }

    private void Bind()
    {
        if (_settings.Inbound.Listen is { } inbound) _inboundListeners.Add((Listen("INBOUND_LISTEN_ADDR", inbound), null));
        foreach (var service in _settings.Inbound.Services) _inboundListeners.Add((Listen("INBOUND_SERVICES", service.Listen), service));
        if (_settings.Outbound.Listen is { } outbound) _outboundListeners.Add((Listen("OUTBOUND_LISTEN_ADDR", outbound), null));
        foreach (var service in _settings.Outbound.Services) _outboundListeners.Add((Listen("OUTBOUND_SERVICES", service.Listen), service));
    }

    private TcpListener Listen(string setting, IPEndPoint address)
    {
        try
        {
            return TcpListener.Listen(_loop, address);
        }
        catch (IOException refused)
        {
            throw new IOException($"{ProxyEnvironment.Prefix}{setting}: {refused.Message}", refused);
        }
    }

    private void Close()
    {
        foreach (var (listener, _) in _inboundListeners) listener.Dispose();
        foreach (var (listener, _) in _outboundListeners) listener.Dispose();
    }
}
