using System.Net;
using Mesh.Proxy.Connections;
using Mesh.Proxy.Detect;
using Mesh.Proxy.Discovery;
using Mesh.Proxy.Metrics;
using Mesh.Proxy.Native;
using Mesh.Proxy.Settings;
using Mesh.Proxy.Upstreams;

namespace Mesh.Proxy.Outbound;

/// <summary>
/// Connects to one endpoint of discovery: by mutual TLS with exactly the identity that discovery names, and a transport header where the endpoint's
/// proxy takes one; in plaintext only to an endpoint that has no identity.
/// </summary>
internal sealed class EndpointDialer(EventLoop loop, OutboundSettings settings, CurrentTls tls, OwnListeners own, ProxyMetrics metrics)
{
    /// <param name="endpoint">Where to, and who must answer.</param>
    /// <param name="session">What will be spoken there; the transport header says it.</param>
    /// <param name="opened">Told of every transport as soon as it is there, so that somebody can cut it.</param>
    /// <param name="left">Fires, on the loop, when nobody waits for the connection any more.</param>
    public async ValueTask<Dialled> DialAsync(Endpoint endpoint, SessionKind session, Action<Transport> opened, CancellationToken left)
    {
        // An endpoint with an identity is reached by mutual TLS or not at all.
        if (endpoint.Identity is not null && tls.Usable is null) return Failed(ConnectionEnd.NoCertificate, tls.WhyNone);
        var address = endpoint is { Identity: not null, InboundPort: { } port } ? new IPEndPoint(endpoint.Address.Address, port) : endpoint.Address;
        // In plaintext our own listeners are a loop; with TLS our own inbound side is a workload that calls itself.
        if (endpoint.Identity is null && own.Contains(address)) return Failed(ConnectionEnd.LoopRefused, "the endpoint is this proxy");
        var (status, tcp) = await TcpTransport.ConnectAsync(loop, address, settings.ConnectTimeout, left);
        if (tcp is null) return Failed(ConnectionEnd.ConnectFailed, status.ToString());
        opened(tcp);
        return endpoint.Identity is { } identity ? await AuthenticateAsync(endpoint, identity, session, tcp, opened, left) : new Dialled(tcp, default, "");
    }

    private async ValueTask<Dialled> AuthenticateAsync(
        Endpoint endpoint, EndpointIdentity identity, SessionKind session, TcpTransport tcp, Action<Transport> opened, CancellationToken left)
    {
        // Taken only now: while the connection was made, another certificate may have come into force, or ours may have expired.
        if (tls.Usable is not { } snapshot)
        {
            tcp.Abort();
            return Failed(ConnectionEnd.NoCertificate, tls.WhyNone);
        }

        var started = loop.Now;
        var withHeader = endpoint.InboundPort is not null;
        var handshake = await snapshot.ConnectAsync(tcp, identity.Id, identity.ServerName, withHeader, settings.HandshakeTimeout, left);
        if (handshake.Transport is not { } transport)
        {
            metrics.HandshakeFailed(Direction.Outbound, handshake.Reason());
            return Failed(handshake.End(), handshake.Describe());
        }

        opened(transport);
        metrics.HandshakeSucceeded(Direction.Outbound, handshake.Group, handshake.Cipher, TimeSpan.FromMilliseconds(loop.Now - started));
        var validUntil = handshake.Verdict is { } verdict && verdict.ValidUntil < snapshot.NotAfter ? verdict.ValidUntil : snapshot.NotAfter;
        var connected = new Dialled(transport, default, "") { ValidUntil = validUntil };
        if (!withHeader) return connected;
        if (handshake.Alpn != TransportHeader.Alpn)
        {
            transport.Abort();
            return Failed(ConnectionEnd.TlsHandshakeFailed, "the peer takes no transport header");
        }

        var status = await transport.WriteAllAsync(TransportHeader.ForPort(endpoint.Address.Port, session).ToBytes());
        if (status == IoStatus.Ok) return connected;
        transport.Abort();
        return Failed(ConnectionEnd.ServerReset, status.ToString());
    }

    private static Dialled Failed(ConnectionEnd end, string detail) => new(null, end, detail);
}
