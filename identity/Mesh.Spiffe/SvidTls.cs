using System.Net.Security;
using System.Runtime.InteropServices;
using System.Security.Authentication;
using System.Security.Cryptography.X509Certificates;

namespace Mesh.Spiffe;

/// <summary>Whether a server asks its clients for a certificate.</summary>
public enum ClientCertificates
{
    /// <summary>A client without a valid SVID is refused.</summary>
    Required,

    /// <summary>A client may come without a certificate; one that shows any must show a valid SVID.</summary>
    Optional,

    /// <summary>Clients are not asked.</summary>
    NotAsked,
}

/// <summary>
/// TLS with SVIDs for whoever uses <see cref="SslStream"/>: Kestrel, HttpClient. TLS 1.3 only, no resumption (a resumed session would
/// skip the chain check), no revocation look-ups, no downloads. The only validation callback of the code base is here, and
/// <see cref="SvidVerifier"/> decides in it. The options are for one connection: ask again for the next, so that it gets the
/// certificate and the bundle of its time.
/// </summary>
public static class SvidTls
{
    /// <param name="svid">Our own SVID if the server is to see one; asked once, now.</param>
    /// <param name="bundles">Asked during the handshake.</param>
    /// <param name="expectedServer">The one SPIFFE ID that is accepted.</param>
    /// <param name="serverName">What to send as SNI; it plays no part in the verification.</param>
    /// <param name="time">The clock that decides about expiry.</param>
    /// <param name="onVerdict">Told what was found, good or bad, before the handshake goes on.</param>
    public static SslClientAuthenticationOptions Client(
        Func<X509Svid?> svid,
        ITrustBundleSource bundles,
        SpiffeId expectedServer,
        string serverName,
        TimeProvider time,
        Action<SvidVerdict>? onVerdict = null)
    {
        ArgumentNullException.ThrowIfNull(expectedServer);
        return new SslClientAuthenticationOptions
        {
            TargetHost = serverName,
            EnabledSslProtocols = SslProtocols.Tls13,
            AllowTlsResume = false,
            AllowRenegotiation = false,
            ClientCertificateContext = svid()?.ToSslContext(),
            CertificateRevocationCheckMode = X509RevocationMode.NoCheck,
            CertificateChainPolicy = Offline(),
            RemoteCertificateValidationCallback = (_, certificate, chain, _) =>
            {
                var verdict = Judge(certificate, chain, bundles, time);
                if (verdict.IsValid && !expectedServer.Equals(verdict.Id)) verdict = verdict.Unexpected();
                onVerdict?.Invoke(verdict);
                return verdict.IsValid;
            },
        };
    }

    /// <param name="svid">The server's SVID.</param>
    /// <param name="bundles">Asked during the handshake; not asked with <see cref="ClientCertificates.NotAsked"/>.</param>
    /// <param name="clients">What is demanded of clients.</param>
    /// <param name="time">The clock that decides about expiry.</param>
    /// <param name="onVerdict">Told what was found about the client, good or bad, before the handshake goes on; not called when it is not asked.</param>
    public static SslServerAuthenticationOptions Server(
        X509Svid svid,
        ITrustBundleSource bundles,
        ClientCertificates clients,
        TimeProvider time,
        Action<SvidVerdict>? onVerdict = null)
    {
        var options = new SslServerAuthenticationOptions
        {
            ServerCertificateContext = svid.ToSslContext(),
            EnabledSslProtocols = SslProtocols.Tls13,
            AllowTlsResume = false,
            AllowRenegotiation = false,
            ClientCertificateRequired = clients != ClientCertificates.NotAsked,
            CertificateRevocationCheckMode = X509RevocationMode.NoCheck,
        };
        if (clients == ClientCertificates.NotAsked) return options;

        options.CertificateChainPolicy = Offline();
        // To the framework "required" is a request; a client without a certificate comes here with null.
        options.RemoteCertificateValidationCallback = (_, certificate, chain, _) =>
        {
            var verdict = Judge(certificate, chain, bundles, time);
            onVerdict?.Invoke(verdict);
            return verdict.IsValid || (certificate is null && clients == ClientCertificates.Optional);
        };
        return options;
    }

    /// <summary>
    /// For looking at a server without believing it: hands out the chain the server shows (DER, leaf first), presents none of ours, and
    /// then always refuses, so that nothing can be sent over such a connection. The handshake ends in an
    /// <see cref="AuthenticationException"/> that means nothing once <paramref name="onChain"/> was called.
    /// </summary>
    /// <param name="serverName">What to send as SNI; null sends none.</param>
    /// <param name="onChain">Told what the server showed, during the handshake.</param>
    public static SslClientAuthenticationOptions Observe(string? serverName, Action<IReadOnlyList<ReadOnlyMemory<byte>>> onChain) => new()
    {
        TargetHost = serverName,
        AllowTlsResume = false,
        AllowRenegotiation = false,
        CertificateRevocationCheckMode = X509RevocationMode.NoCheck,
        CertificateChainPolicy = Offline(),
        RemoteCertificateValidationCallback = (_, certificate, chain, _) =>
        {
            onChain(Shown(certificate, chain));
            return false;
        },
    };

    private static SvidVerdict Judge(X509Certificate? leaf, X509Chain? chain, ITrustBundleSource bundles, TimeProvider time) =>
        SvidVerifier.Verify(CollectionsMarshal.AsSpan(Shown(leaf, chain)), bundles, time.GetUtcNow());

    // The framework leaves what else the peer sent in the extra store, on the client's side the leaf once more among it. Its own
    // opinion of the chain is not asked.
    private static List<ReadOnlyMemory<byte>> Shown(X509Certificate? leaf, X509Chain? chain)
    {
        var others = chain?.ChainPolicy.ExtraStore ?? [];
        var der = new List<ReadOnlyMemory<byte>>(1 + others.Count);
        if (leaf is null) return der;
        der.Add(leaf.GetRawCertData());
        foreach (var other in others)
        {
            if (!other.RawDataMemory.Span.SequenceEqual(der[0].Span)) der.Add(other.RawDataMemory);
        }

        return der;
    }

    /// <summary>Keeps the framework's chain building, which runs before our callback and has no say, from the network and the machine's stores.</summary>
    private static X509ChainPolicy Offline() => new()
    {
        TrustMode = X509ChainTrustMode.CustomRootTrust,
        DisableCertificateDownloads = true,
        RevocationMode = X509RevocationMode.NoCheck,
    };
}
