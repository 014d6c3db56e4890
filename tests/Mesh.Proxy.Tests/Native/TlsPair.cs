using System.Collections.Immutable;
using System.Net;
using Mesh.Proxy.Native;
using Mesh.Spiffe;
using Mesh.Testing;
using TcpListener = Mesh.Proxy.Native.TcpListener;

namespace Mesh.Proxy.Tests.Native;

/// <summary>Two workloads of one trust domain and their TLS contexts.</summary>
internal sealed class TlsParties : IDisposable
{
    public const string ServerId = "spiffe://example.org/ns/shop/sa/server";
    public const string ClientId = "spiffe://example.org/ns/shop/sa/client";

    public TlsParties(Func<LeafOptions, LeafOptions>? server = null, Func<LeafOptions, LeafOptions>? client = null, ClientCertificates demand = ClientCertificates.Required,
        string[]? serverAlpn = null, string[]? clientAlpn = null, bool clientShowsCertificate = true)
    {
        Authority = TestAuthority.CreateRoot();
        TestAuthority issuer = Authority.CreateIntermediate();
        ServerSvid = issuer.CreateSvid(ServerId, server);
        ClientSvid = issuer.CreateSvid(ClientId, client);
        Server = TlsContext.Server(ServerSvid, demand, [.. serverAlpn ?? []]);
        Client = TlsContext.Client(clientShowsCertificate ? ClientSvid : null, [.. clientAlpn ?? []]);
    }

    public TestAuthority Authority { get; }

    public X509Svid ServerSvid { get; }

    public X509Svid ClientSvid { get; }

    public TlsContext Server { get; }

    public TlsContext Client { get; }

    public PeerVerifier Verify => chain => SvidVerifier.Verify(chain, Authority.Bundles, DateTimeOffset.UtcNow);

    public async ValueTask<(TlsHandshakeResult Client, TlsHandshakeResult Server)> HandshakeAsync(EventLoop loop, string sni = "server.mesh", PeerVerifier? clientVerifies = null, PeerVerifier? serverVerifies = null)
    {
        (TcpTransport client, TcpTransport server) = await TcpTests.PairAsync(loop);
        ValueTask<TlsHandshakeResult> accept = TlsTransport.AcceptAsync(server, Server, serverVerifies ?? Verify, LoopThread.Limit);
        TlsHandshakeResult connected = await TlsTransport.ConnectAsync(client, Client, sni, clientVerifies ?? Verify, LoopThread.Limit, CancellationToken.None);
        return (connected, await accept);
    }

    public async ValueTask<(TlsTransport Client, TlsTransport Server)> ConnectAsync(EventLoop loop)
    {
        (TlsHandshakeResult client, TlsHandshakeResult server) = await HandshakeAsync(loop);
        Assert.Equal(TlsHandshakeFailure.None, client.Failure);
        Assert.Equal(TlsHandshakeFailure.None, server.Failure);
        return (client.Transport!, server.Transport!);
    }

    public void Dispose()
    {
        Server.Dispose();
        Client.Dispose();
        ServerSvid.Dispose();
        ClientSvid.Dispose();
    }
}
