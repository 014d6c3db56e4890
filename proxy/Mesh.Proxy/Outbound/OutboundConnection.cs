using System.Net;
using Mesh.Proxy.Connections;
using Mesh.Proxy.Detect;
using Mesh.Proxy.Discovery;
using Mesh.Proxy.Metrics;
using Mesh.Proxy.Native;
using Mesh.Proxy.Policy;
using Mesh.Proxy.Settings;

namespace Mesh.Proxy.Outbound;

/// <summary>What all outbound connections share.</summary>
internal sealed record OutboundContext(
    OutboundSettings Settings, DestinationLookup Lookup, CurrentTls Tls, OwnListeners Own, EndpointLoad Load, ProxyMetrics Metrics);

/// <summary>One connection from the application beside us to the mesh, stage by stage as <c>InboundConnection</c>.</summary>
internal sealed class OutboundConnection(OutboundContext context, Connection connection, TcpTransport client, OutboundService? service)
{
    // More would make a client wait longer for the same answer: with each one further, its own connect timeout.
    private const int MaxAttempts = 3;

    private Endpoint? _chosen;
    private IDisposable? _held;

    public async ValueTask RunAsync()
    {
        try
        {
            if (await ReachAsync() is { } server) await ForwardAsync(server);
        }
        finally
        {
            if (_chosen is not null) context.Load.Finished(_chosen);
            _held?.Dispose();
        }
    }

    /// <summary>All that is done before there is anything to forward; it ends when the client leaves.</summary>
    private async ValueTask<Transport?> ReachAsync()
    {
        using var watch = connection.WatchClient(client);
        try
        {
            // Every session is bytes so far: HTTP is told apart here, before a route is chosen for each request.
            var server = await RouteAsync(watch.Left) switch
            {
                OutboundRoute.Endpoints endpoints => await ConnectAsync(endpoints, watch.Left),
                OutboundRoute.Original original => await ConnectAsync(original, watch.Left),
                OutboundRoute.Refused refused => Refuse(refused.End, refused.Detail),
                _ => null,
            };
            return watch.Left.IsCancellationRequested ? null : server;
        }
        catch (OperationCanceledException) when (watch.Left.IsCancellationRequested)
        {
            return null;
        }
    }

    private async ValueTask<OutboundRoute> RouteAsync(CancellationToken left)
    {
        var limit = context.Settings.DiscoveryTimeout;
        if (service is not null)
        {
            connection.Target = service.Authority.ToString();
            return await OutboundRoute.ForAuthorityAsync(service.Authority, context.Lookup, limit, left);
        }

        var original = client.OriginalDestination;
        connection.Target = original?.ToString() ?? "";
        if (original is null || original.Equals(client.Local) || context.Own.Contains(original))
            return new OutboundRoute.Refused(ConnectionEnd.LoopRefused, "the connection was made to the proxy itself and not redirected");
        if (connection.IsLoop(original)) return new OutboundRoute.Refused(ConnectionEnd.LoopRefused, "the proxy's own connections are redirected to itself");
        var route = await OutboundRoute.ForAddressAsync(original, context.Lookup, context.Settings.Undiscovered, limit, left);
        _held = context.Lookup.Hold(original);
        return route;
    }

    /// <summary>Tries endpoints until one answers as who it should be. No byte of the client's has been sent before that, so trying again is safe.</summary>
    private async ValueTask<Transport?> ConnectAsync(OutboundRoute.Endpoints route, CancellationToken left)
    {
        var tried = new List<Endpoint>();
        var failure = (End: ConnectionEnd.NoEndpoint, Detail: "");
        while (tried.Count < MaxAttempts && !left.IsCancellationRequested && context.Load.Pick(route.Candidates, tried) is { } endpoint)
        {
            tried.Add(endpoint);
            _chosen = endpoint;
            context.Load.Started(endpoint);
            var (server, end, detail) = await DialAsync(endpoint, left);
            if (server is not null) return Connected(server);
            context.Load.Finished(endpoint);
            _chosen = null;
            failure = (end, $"{detail} at {endpoint.Address}");
        }

        return Refuse(failure.End, failure.Detail);
    }

    private async ValueTask<Transport?> ConnectAsync(OutboundRoute.Original route, CancellationToken left)
    {
        connection.Peer = new PeerIdentity.Absent(route.Reason);
        var (status, server) = await TcpTransport.ConnectAsync(client.Loop, route.Address, context.Settings.ConnectTimeout, left);
        return server is null ? Refuse(ConnectionEnd.ConnectFailed, status.ToString()) : Connected(server);
    }

    private async ValueTask<(Transport? Server, ConnectionEnd End, string Detail)> DialAsync(Endpoint endpoint, CancellationToken left)
    {
        // An endpoint with an identity is reached by mutual TLS or not at all.
        if (endpoint.Identity is not null && context.Tls.Usable is null) return (null, ConnectionEnd.NoCertificate, context.Tls.WhyNone);
        var address = endpoint is { Identity: not null, InboundPort: { } port } ? new IPEndPoint(endpoint.Address.Address, port) : endpoint.Address;
        // In plaintext our own listeners are a loop; with TLS our own inbound side is a workload that calls itself.
        if (endpoint.Identity is null && context.Own.Contains(address)) return (null, ConnectionEnd.LoopRefused, "the endpoint is this proxy");
        var (status, tcp) = await TcpTransport.ConnectAsync(client.Loop, address, context.Settings.ConnectTimeout, left);
        if (tcp is null) return (null, ConnectionEnd.ConnectFailed, status.ToString());
        if (endpoint.Identity is { } identity) return await AuthenticateAsync(endpoint, identity, tcp, left);
        connection.Peer = new PeerIdentity.Absent(AbsentReason.NotProvidedByDiscovery);
        return (tcp, default, "");
    }

    private async ValueTask<(Transport? Server, ConnectionEnd End, string Detail)> AuthenticateAsync(
        Endpoint endpoint, EndpointIdentity identity, TcpTransport tcp, CancellationToken left)
    {
        connection.Dialled(tcp);
        // Taken only now: while the connection was made, another certificate may have come into force, or ours may have expired.
        if (context.Tls.Usable is not { } tls)
        {
            tcp.Abort();
            return (null, ConnectionEnd.NoCertificate, context.Tls.WhyNone);
        }

        var started = client.Loop.Now;
        var withHeader = endpoint.InboundPort is not null;
        var handshake = await tls.ConnectAsync(tcp, identity.Id, identity.ServerName, withHeader, context.Settings.HandshakeTimeout, left);
        if (handshake.Transport is not { } transport)
        {
            context.Metrics.HandshakeFailed(Direction.Outbound, handshake.Reason());
            return (null, handshake.End(), handshake.Describe());
        }

        connection.Dialled(transport);
        context.Metrics.HandshakeSucceeded(Direction.Outbound, handshake.Group, handshake.Cipher, TimeSpan.FromMilliseconds(client.Loop.Now - started));
        connection.Peer = new PeerIdentity.Verified(identity.Id);
        if (!withHeader) return (transport, default, "");
        if (handshake.Alpn != TransportHeader.Alpn)
        {
            transport.Abort();
            return (null, ConnectionEnd.TlsHandshakeFailed, "the peer takes no transport header");
        }

        var status = await transport.WriteAllAsync(TransportHeader.ForPort(endpoint.Address.Port).ToBytes());
        if (status == IoStatus.Ok) return (transport, default, "");
        transport.Abort();
        return (null, ConnectionEnd.ServerReset, status.ToString());
    }

    private ValueTask ForwardAsync(Transport server)
    {
        connection.Count(client, new TcpLabels(Direction.Outbound, TcpSide.Source, connection.Target, new PeerIdentity.Absent(AbsentReason.Loopback)));
        connection.Count(server, new TcpLabels(Direction.Outbound, TcpSide.Destination, connection.Target, connection.Peer));
        return Forwarding.CopyAsync(connection, client, server);
    }

    private Transport Connected(Transport server)
    {
        connection.Dialled(server);
        return server;
    }

    private Transport? Refuse(ConnectionEnd end, string detail)
    {
        connection.EndAs(end, detail);
        return null;
    }
}
