using System.Collections.Immutable;
using System.Net;
using Mesh.Proxy.Connections;
using Mesh.Proxy.Inbound;
using Mesh.Proxy.Logging;
using Mesh.Proxy.Metrics;
using Mesh.Proxy.Native;
using Mesh.Proxy.Outbound;
using Mesh.Proxy.Policy;
using Mesh.Proxy.Settings;
using Mesh.Spiffe;

namespace Mesh.Proxy;

/// <summary>
/// The listeners, their connections, and the event loop they live on. Bound first, served once there is a certificate, drained at the end.
/// Its members may be called from any thread; what touches connections happens on the loop.
/// </summary>
internal sealed partial class DataPlane : IDisposable
{
    private readonly EventLoop _loop;
    private readonly ProxySettings _settings;
    private readonly TimeProvider _time;
    private readonly LineLog _log;
    private readonly CurrentTls _tls;
    private readonly ConnectionTable _table;
    private readonly InboundContext _inbound;
    private readonly OutboundContext _outbound;
    private readonly List<(TcpListener Listener, InboundService? Service)> _inboundListeners = [];
    private readonly List<(TcpListener Listener, OutboundService? Service)> _outboundListeners = [];
    private readonly CancellationTokenSource _stopping = new();

    /// <summary>Binds every listener. Nothing is accepted before <see cref="ServeAsync"/>.</summary>
    /// <param name="loop">Not running yet, or the caller is on it.</param>
    /// <exception cref="IOException">An address cannot be bound; the message names it and its setting.</exception>
    public DataPlane(EventLoop loop, ProxySettings settings, DestinationLookup lookup, IPEndPoint? admin, TimeProvider time, LineLog log)
    {
        (_loop, _settings, _time, _log) = (loop, settings, time, log);
        Metrics = new ProxyMetrics(settings.Inbound.Policy);
        _tls = new CurrentTls(time);
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
        _inbound = new InboundContext(
            settings.Inbound, new InboundRules(settings.Inbound.Policy, settings.Inbound.ClusterNetworks), settings.Identity.ServerName, _tls, guarded, Metrics);
        _outbound = new OutboundContext(
            settings.Outbound, lookup, _tls, new OwnListeners(outboundOnly), new EndpointLoad(new Random()), Metrics);
    }

    public ProxyMetrics Metrics { get; }

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
    public Task<int> DrainAsync(TimeSpan grace) => _loop.InvokeAsync(() => _table.DrainAsync(grace));

    /// <summary>Adds the data path's families to a page, with the counters of open connections up to date.</summary>
    public async ValueTask WriteMetricsAsync(PrometheusText page, CancellationToken ct)
    {
        await _loop.InvokeAsync(() =>
        {
            _table.Settle();
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
