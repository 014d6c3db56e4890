using System.Net;
using Mesh.Proxy.Connections;
using Mesh.Proxy.Detect;
using Mesh.Proxy.Discovery;
using Mesh.Proxy.Http;
using Mesh.Proxy.Metrics;
using Mesh.Proxy.Native;
using Mesh.Proxy.Policy;
using Mesh.Proxy.Settings;

namespace Mesh.Proxy.Outbound;

/// <summary>What all outbound connections share.</summary>
internal sealed record OutboundContext(
    OutboundSettings Settings, DestinationLookup Lookup, OwnListeners Own, EndpointLoad Load, EndpointDialer Dialer, OutboundHttp Http);

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
            if (await RouteAsync() is not { } route) return;
            if (await DetectAsync(route) is not { } protocol) return;
            if (protocol is DetectedProtocol.Http1 or DetectedProtocol.Http2) await ServeAsync(route, protocol);
            else if (await ReachAsync(route) is { } server) await ForwardAsync(server);
        }
        finally
        {
            if (_chosen is not null) context.Load.Finished(_chosen);
            _held?.Dispose();
        }
    }

    /// <summary>Where to, or null when it is nowhere; ends when the client leaves.</summary>
    private async ValueTask<OutboundRoute?> RouteAsync()
    {
        using var watch = connection.WatchClient(client);
        try
        {
            var route = await RouteAsync(watch.Left);
            if (watch.Left.IsCancellationRequested) return null;
            if (route is not OutboundRoute.Refused refused) return route;
            connection.EndAs(refused.End, refused.Detail);
        }
        catch (OperationCanceledException) when (watch.Left.IsCancellationRequested)
        {
            // The connection has its reason.
        }

        return null;
    }

    /// <summary>What the client starts with; nothing is taken from the socket.</summary>
    private async ValueTask<DetectedProtocol?> DetectAsync(OutboundRoute route)
    {
        var opaque = route is OutboundRoute.Endpoints { Opaque: true } || (service is null && client.OriginalDestination is { } original && context.Settings.OpaquePorts.Contains(original.Port));
        if (opaque) return DetectedProtocol.Other;
        var protocol = await HttpPeek.LookAsync(client, context.Settings.DetectTimeout);
        if (protocol is null) connection.EndAs(ConnectionEnd.ClientClosedEarly);
        // Asked again, since what we dialled may have been accepted before it was known to be connected; bytes come after that.
        if (client.OriginalDestination is { } meant && connection.IsLoop(meant))
        {
            connection.EndAs(ConnectionEnd.LoopRefused, "the proxy's own connections are redirected to itself");
            return null;
        }

        return protocol;
    }

    private async ValueTask ServeAsync(OutboundRoute route, DetectedProtocol protocol)
    {
        connection.Count(client, new TcpLabels(Direction.Outbound, TcpSide.Source, connection.Target, new PeerIdentity.Absent(AbsentReason.Loopback)));
        var endpoints = route as OutboundRoute.Endpoints;
        var self = endpoints?.Authority ?? HostPort.From((route as OutboundRoute.Original)?.Address ?? endpoints!.Candidates[0].Address);
        var called = context.Http.Enter(connection.Target, endpoints?.Authority, self);
        try
        {
            await called.ReadyAsync(route);
            await HttpServing.ServeAsync(connection, client, protocol, new OutboundRequests(context.Http, connection.Id, called));
        }
        finally
        {
            context.Http.Leave(called);
        }
    }

    /// <summary>A connection for bytes; it ends when the client leaves.</summary>
    private async ValueTask<Transport?> ReachAsync(OutboundRoute route)
    {
        using var watch = connection.WatchClient(client);
        try
        {
            var server = route switch
            {
                OutboundRoute.Endpoints endpoints => await ConnectAsync(endpoints, watch.Left),
                OutboundRoute.Original original => await ConnectAsync(original, watch.Left),
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
            var dialled = await context.Dialer.DialAsync(endpoint, SessionKind.Opaque, connection.Dialled, left);
            if (dialled.Transport is { } server)
            {
                connection.Peer = endpoint.Identity is { } identity ? new PeerIdentity.Verified(identity.Id) : new PeerIdentity.Absent(AbsentReason.NotProvidedByDiscovery);
                return Connected(server);
            }

            context.Load.Finished(endpoint);
            _chosen = null;
            failure = (dialled.End, $"{dialled.Detail} at {endpoint.Address}");
        }

        return Refuse(failure.End, failure.Detail);
    }

    private async ValueTask<Transport?> ConnectAsync(OutboundRoute.Original route, CancellationToken left)
    {
        connection.Peer = new PeerIdentity.Absent(route.Reason);
        var (status, server) = await TcpTransport.ConnectAsync(client.Loop, route.Address, context.Settings.ConnectTimeout, left);
        return server is null ? Refuse(ConnectionEnd.ConnectFailed, status.ToString()) : Connected(server);
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
