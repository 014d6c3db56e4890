using Mesh.Proxy.Detect;
using Mesh.Proxy.Native;
using Mesh.Spiffe;

namespace Mesh.Proxy.Connections;

/// <summary>
/// Both sides' TLS and the trust bundle of one generation. A connection takes it once and keeps it: its certificate and the anchors it judges
/// the peer by always belong together. Replaced whole when the certificate or the bundle changes; connections that live keep what they have.
/// </summary>
internal sealed class TlsSnapshot : IDisposable
{
    private readonly ITrustBundleSource _bundles;
    private readonly TimeProvider _time;
    private readonly TlsContext _server;
    private readonly TlsContext _client;
    private readonly TlsContext _headerClient;

    /// <exception cref="System.Security.Cryptography.CryptographicException">The TLS library refuses the certificate or its key.</exception>
    public TlsSnapshot(X509Svid svid, ITrustBundleSource bundles, TimeProvider time)
    {
        (_bundles, _time) = (bundles, time);
        (Id, NotAfter) = (svid.Id, svid.Leaf.NotAfter);
        // A client certificate is asked for and judged, but not demanded: whether a connection without one is welcome is for the policy to say,
        // which counts its refusals. A certificate that is shown and bad ends the handshake.
        var made = new List<TlsContext>();
        try
        {
            made.Add(_server = TlsContext.Server(svid, ClientCertificates.Optional, [TransportHeader.Alpn]));
            made.Add(_client = TlsContext.Client(svid, []));
            made.Add(_headerClient = TlsContext.Client(svid, [TransportHeader.Alpn]));
        }
        catch
        {
            foreach (var context in made) context.Dispose();
            throw;
        }
    }

    public SpiffeId Id { get; }

    public DateTimeOffset NotAfter { get; }

    public ValueTask<TlsHandshakeResult> AcceptAsync(TcpTransport client, TimeSpan limit) =>
        TlsTransport.AcceptAsync(client, _server, chain => SvidVerifier.Verify(chain, _bundles, _time.GetUtcNow()), limit);

    /// <param name="server">The connection to the peer; owned by the handshake from here on.</param>
    /// <param name="expected">The only identity that is accepted.</param>
    /// <param name="serverName">Sent as SNI.</param>
    /// <param name="withHeader">Whether a transport header will follow.</param>
    /// <param name="limit">For the whole handshake.</param>
    /// <param name="abandoned">Fires, on the loop, when nobody waits for the connection any more.</param>
    public ValueTask<TlsHandshakeResult> ConnectAsync(TcpTransport server, SpiffeId expected, string serverName, bool withHeader, TimeSpan limit, CancellationToken abandoned) =>
        TlsTransport.ConnectAsync(
            server,
            withHeader ? _headerClient : _client,
            serverName,
            chain => SvidVerifier.Verify(chain, _bundles, _time.GetUtcNow()).Expecting(expected),
            limit,
            abandoned);

    public void Dispose()
    {
        _server.Dispose();
        _client.Dispose();
        _headerClient.Dispose();
    }
}

/// <summary>The snapshot in force. Written from the identity's side by way of the loop, read on the loop.</summary>
internal sealed class CurrentTls(TimeProvider time) : IDisposable
{
    private TlsSnapshot? _current;

    /// <summary>The snapshot in force while its certificate is valid. Null: no mesh connection may be taken or made.</summary>
    public TlsSnapshot? Usable => _current is { } current && time.GetUtcNow() < current.NotAfter ? current : null;

    /// <summary>Why there is none to use.</summary>
    public string WhyNone => _current is { } current ? $"the certificate expired at {current.NotAfter.UtcDateTime:yyyy-MM-dd'T'HH:mm:ss'Z'}" : "no certificate yet";

    /// <summary>Puts <paramref name="next"/> in force for connections that start from now on.</summary>
    public void Use(TlsSnapshot next)
    {
        var before = _current;
        _current = next;
        before?.Dispose();
    }

    public void Dispose() => _current?.Dispose();
}
