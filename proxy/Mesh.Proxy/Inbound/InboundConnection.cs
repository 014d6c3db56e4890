using System.Net;
using Mesh.Proxy.Connections;
using Mesh.Proxy.Detect;
using Mesh.Proxy.Http;
using Mesh.Proxy.Metrics;
using Mesh.Proxy.Native;
using Mesh.Proxy.Policy;
using Mesh.Proxy.Settings;

namespace Mesh.Proxy.Inbound;

/// <summary>What all inbound connections share.</summary>
internal sealed record InboundContext(
    InboundSettings Settings, InboundRules Rules, string ServerName, CurrentTls Tls, OwnListeners Own, ProxyMetrics Metrics, InboundHttp Http);

/// <summary>One connection from the network to the application beside us. <see cref="RunAsync"/> is its whole life; each stage says what comes of it.</summary>
internal sealed class InboundConnection(InboundContext context, Connection connection, TcpTransport client, InboundService? service)
{
    private SessionKind _session;
    private DateTimeOffset? _validUntil;

    public async ValueTask RunAsync()
    {
        var route = Route();
        if (route.Refusal is { } refusal)
        {
            connection.EndAs(refusal);
            return;
        }

        if (await DetectAsync(route) is not { } first) return;
        if (await AuthenticateAsync(route, first) is not { } session) return;
        if (await ApplicationAsync(route, session) is not { } application) return;
        if (await ProtocolAsync(route, first, session) is not { } protocol) return;
        if (protocol is DetectedProtocol.Http1 or DetectedProtocol.Http2)
        {
            await ServeAsync(session, application, protocol);
            return;
        }

        if (Authorise(session, application) is not { } permit) return;
        if (await ConnectAsync(permit, application) is not { } server) return;
        await ForwardAsync(permit, session.Transport, server);
    }

    private InboundRoute Route()
    {
        var original = client.OriginalDestination;
        var route = service is not null
            ? InboundRoute.ForService(service)
            : InboundRoute.ForRedirected(original, client.Local, context.Settings.Addresses, context.Settings.OpaquePorts, context.Own);
        connection.Target = route.Application?.ToString() ?? "";
        return connection.IsLoop(original ?? client.Local) ? route with { Refusal = ConnectionEnd.LoopRefused } : route;
    }

    /// <summary>What the client starts with; nothing is taken from the socket.</summary>
    private async ValueTask<FirstBytes?> DetectAsync(InboundRoute route)
    {
        if (route.SkipDetection) return new FirstBytes(FirstBytesKind.NotTls, null);
        var first = await FirstBytes.PeekAsync(client, context.Settings.DetectTimeout);
        switch (first.Kind)
        {
            case FirstBytesKind.Closed:
                connection.EndAs(ConnectionEnd.ClientClosedEarly);
                return null;
            case FirstBytesKind.TimedOut:
                connection.EndAs(ConnectionEnd.DetectTimeout);
                return null;
            default:
                return first;
        }
    }

    /// <summary>TLS meant for us is ended here and tells who the peer is. TLS for the application, and plaintext, are nobody's.</summary>
    private async ValueTask<InboundSession?> AuthenticateAsync(InboundRoute route, FirstBytes first)
    {
        var ours = first.Kind == FirstBytesKind.Tls && string.Equals(first.ServerName, context.ServerName, StringComparison.Ordinal);
        if (!ours)
        {
            var reason = route.SkipDetection ? AbsentReason.PortSkipped : first.Kind == FirstBytesKind.Tls ? AbsentReason.ForeignTls : AbsentReason.NoTlsFromRemote;
            return Session(client, new PeerIdentity.Absent(reason), hasHeader: false);
        }

        if (context.Tls.Usable is not { } tls)
        {
            connection.EndAs(ConnectionEnd.NoCertificate, context.Tls.WhyNone);
            return null;
        }

        var started = client.Loop.Now;
        var handshake = await tls.AcceptAsync(client, context.Settings.DetectTimeout);
        if (handshake.Transport is not { } transport)
        {
            context.Metrics.HandshakeFailed(Direction.Inbound, handshake.Reason());
            connection.EndAs(handshake.End(), handshake.Describe());
            return null;
        }

        connection.Accepted(transport);
        _validUntil = handshake.Verdict is { IsValid: true } verdict && verdict.ValidUntil < tls.NotAfter ? verdict.ValidUntil : tls.NotAfter;
        context.Metrics.HandshakeSucceeded(Direction.Inbound, handshake.Group, handshake.Cipher, TimeSpan.FromMilliseconds(client.Loop.Now - started));
        PeerIdentity peer = handshake.Verdict is { Id: { } id } ? new PeerIdentity.Verified(id) : new PeerIdentity.Absent(AbsentReason.NoClientCertificate);
        return Session(transport, peer, hasHeader: handshake.Alpn == TransportHeader.Alpn);
    }

    /// <summary>The local address the bytes are for: the transport header's word, or where the connection was going anyway.</summary>
    private async ValueTask<IPEndPoint?> ApplicationAsync(InboundRoute route, InboundSession session)
    {
        if (!session.HasHeader)
        {
            // Who connects to the proxy's own port has nothing to say without mutual TLS and a header.
            if (route.Application is null) connection.EndAs(ConnectionEnd.PolicyDenied, "direct connections need mutual TLS and a transport header");
            return route.Application;
        }

        var (status, fault, header) = await TransportHeaderReader.ReadAsync(session.Transport, context.Settings.DetectTimeout);
        if (header is null)
        {
            connection.EndAs(
                status == IoStatus.TimedOut ? ConnectionEnd.DetectTimeout : ConnectionEnd.TransportHeaderInvalid,
                fault == TransportHeaderFault.None ? status.ToString() : fault.ToString());
            return null;
        }

        _session = header.Session;
        return ApplicationOf(route, session, header);
    }

    private IPEndPoint? ApplicationOf(InboundRoute route, InboundSession session, TransportHeader header)
    {
        var application = header.Name.Length == 0 ? route.ApplicationFor(header.Port, client.Local, namedListener: service is not null) : null;
        connection.Target = application?.ToString() ?? "";
        if (header.Name.Length > 0) connection.EndAs(ConnectionEnd.UnknownPort, "no gateway: the header names an authority");
        else if (application is null) connection.EndAs(ConnectionEnd.UnknownPort, $"port {header.Port}");
        else if (context.Own.Contains(application)) connection.EndAs(ConnectionEnd.LoopRefused);
        else if (route.Application is null && session.Peer is not PeerIdentity.Verified) connection.EndAs(ConnectionEnd.PolicyDenied, "direct connections need a client certificate");
        return connection.End is null ? application : null;
    }

    /// <summary>What the client speaks: the header's word, or what its first bytes show.</summary>
    private async ValueTask<DetectedProtocol?> ProtocolAsync(InboundRoute route, FirstBytes first, InboundSession session)
    {
        if (session.HasHeader)
        {
            return _session switch
            {
                SessionKind.Http1 => DetectedProtocol.Http1,
                SessionKind.Http2 => DetectedProtocol.Http2,
                _ => DetectedProtocol.Other,
            };
        }

        // Other people's TLS, and who said nothing though there was time.
        if (route.SkipDetection || first.Kind == FirstBytesKind.Silent || session.Peer is PeerIdentity.Absent { Reason: AbsentReason.ForeignTls }) return DetectedProtocol.Other;
        var protocol = session.Transport is TlsTransport tls
            ? await HttpPeek.LookAsync(tls, context.Settings.DetectTimeout)
            : await HttpPeek.LookAsync(client, context.Settings.DetectTimeout);
        if (protocol is null) connection.EndAs(ConnectionEnd.ClientClosedEarly);
        return protocol;
    }

    /// <summary>Requests are judged one by one: a client that may not do one thing may do another, and is told.</summary>
    private async ValueTask ServeAsync(InboundSession session, IPEndPoint application, DetectedProtocol protocol)
    {
        using var expiry = context.Http.Upstreams.WhenOver(_validUntil, () => connection.DrainRequested?.Invoke());
        connection.Count(session.Transport, new TcpLabels(Direction.Inbound, TcpSide.Source, connection.Target, session.Peer));
        await HttpServing.ServeAsync(connection, session.Transport, protocol, new InboundRequests(context, context.Http, connection, session.Peer, application));
    }

    private Permit? Authorise(InboundSession session, IPEndPoint application)
    {
        var target = application.ToString();
        if (Permit.TryGrant(context.Rules, session.Peer, connection.Client.Address, application.Port, out var permit, out var reason))
        {
            context.Metrics.Allowed(permit, target);
            connection.Audited = permit.Audited;
            return permit;
        }

        context.Metrics.Denied(session.Peer, target, reason);
        connection.EndAs(ConnectionEnd.PolicyDenied, reason.Label());
        return null;
    }

    /// <summary>Nothing is opened towards the application but by a permit.</summary>
    private async ValueTask<TcpTransport?> ConnectAsync(Permit permit, IPEndPoint application)
    {
        if (permit.Port != application.Port) throw new InvalidOperationException("The permit is for another port.");
        using var watch = connection.WatchClient(client);
        var (status, server) = await TcpTransport.ConnectAsync(client.Loop, application, context.Settings.ConnectTimeout, watch.Left);
        if (server is null)
        {
            connection.EndAs(ConnectionEnd.ConnectFailed, status.ToString());
            return null;
        }

        connection.Dialled(server);
        return server;
    }

    private ValueTask ForwardAsync(Permit permit, Transport from, Transport server)
    {
        connection.Count(from, new TcpLabels(Direction.Inbound, TcpSide.Source, connection.Target, permit.Peer));
        connection.Count(server, new TcpLabels(Direction.Inbound, TcpSide.Destination, connection.Target, new PeerIdentity.Absent(AbsentReason.Loopback)));
        return Forwarding.CopyAsync(connection, from, server);
    }

    private InboundSession Session(Transport transport, PeerIdentity peer, bool hasHeader)
    {
        connection.Peer = peer;
        return new InboundSession(transport, peer, hasHeader);
    }
}
