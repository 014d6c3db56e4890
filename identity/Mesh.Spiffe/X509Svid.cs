using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using System.Globalization;
using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Mesh.Spiffe;

/// <summary>
/// An X.509 SVID of our own: leaf, intermediates and the private key. Whoever made it disposes it, after the last handshake that took it
/// has ended. It is a class, and it prints as ID, serial number and expiry: the key never reaches a log.
/// </summary>
public sealed class X509Svid : IDisposable
{
    private readonly AsymmetricAlgorithm _key;
    private readonly Lock _lock = new();
    private SslStreamCertificateContext? _sslContext;
    private X509Certificate2? _platformLeaf;
    private bool _disposed;

    private X509Svid(SpiffeId id, ImmutableArray<Certificate> chain, AsymmetricAlgorithm key)
    {
        Id = id;
        Chain = chain;
        _key = key;
    }

    public SpiffeId Id { get; }

    /// <summary>Leaf first, then the intermediates. A self-issued certificate at the end, which every peer must hold anyway, is left out.</summary>
    public ImmutableArray<Certificate> Chain { get; }

    public Certificate Leaf => Chain[0];

    /// <summary>
    /// Puts leaf, intermediates and key together. The leaf must obey the rules of an SVID and the key must be the leaf's; whether the
    /// chain is trusted is <see cref="SvidVerifier"/>'s question. On success the SVID owns the key, else it stays the caller's.
    /// </summary>
    public static bool TryCreate(ImmutableArray<Certificate> chain, AsymmetricAlgorithm key, [NotNullWhen(true)] out X509Svid? svid, out SvidFault fault)
    {
        svid = null;
        if (chain.IsDefaultOrEmpty) fault = SvidFault.NoCertificate;
        else if (chain.Length > SvidVerifier.MaxIntermediates + 1) fault = SvidFault.ChainTooLong;
        else
        {
            fault = SvidVerifier.JudgeLeaf(chain[0], out var id);
            if (fault == SvidFault.None && !key.ExportSubjectPublicKeyInfo().AsSpan().SequenceEqual(chain[0].SubjectPublicKeyInfo.Span)) fault = SvidFault.KeyMismatch;
            if (fault == SvidFault.None) svid = new X509Svid(id!, WithoutRoot(chain), key);
        }

        return svid is not null;
    }

    /// <inheritdoc cref="TryCreate"/>
    /// <exception cref="FormatException">The message is the fault's sentence.</exception>
    public static X509Svid Create(ImmutableArray<Certificate> chain, AsymmetricAlgorithm key) =>
        TryCreate(chain, key, out var svid, out var fault) ? svid : throw new FormatException(fault.Sentence());

    /// <summary>Reads the chain and an unencrypted private key (PKCS#8, SEC 1 or PKCS#1) from PEM.</summary>
    /// <exception cref="FormatException">One of the two cannot be read, or they do not fit. The message never quotes the text.</exception>
    public static X509Svid FromPem(string certificates, string key)
    {
        var chain = Certificate.ParsePem(certificates);
        AsymmetricAlgorithm algorithm = chain[0].KeyKind == PublicKeyKind.Rsa ? RSA.Create() : ECDsa.Create();
        try
        {
            if (algorithm is RSA rsa) rsa.ImportFromPem(key);
            else ((ECDsa)algorithm).ImportFromPem(key);
            if (TryCreate(chain, algorithm, out var svid, out var fault)) return svid;
            throw new FormatException(fault.Sentence());
        }
        catch (Exception e) when (e is CryptographicException or ArgumentException)
        {
            algorithm.Dispose();
            throw new FormatException("The private key cannot be read, or it is of another kind than the certificate's.");
        }
        catch (FormatException)
        {
            algorithm.Dispose();
            throw;
        }
    }

    /// <summary>The private key as PKCS#8 DER, unencrypted; the caller clears it after use.</summary>
    public byte[] ExportPkcs8PrivateKey() => _key.ExportPkcs8PrivateKey();

    public string ChainToPem() => string.Concat(Chain.Select(c => c.ToPem()));

    /// <summary>The private key as PKCS#8 PEM, unencrypted.</summary>
    public string KeyToPem() => _key.ExportPkcs8PrivateKeyPem() + "\n";

    /// <summary>
    /// What <see cref="SslStream"/> wants: leaf with key, and the intermediates to send. Built once, without network and without the
    /// machine's stores.
    /// </summary>
    public SslStreamCertificateContext ToSslContext()
    {
        lock (_lock)
        {
            ObjectDisposedException.ThrowIf(_disposed, this);
            return _sslContext ??= BuildSslContext();
        }
    }

    /// <summary>ID, serial number and expiry, and never the key.</summary>
    public override string ToString() =>
        string.Create(CultureInfo.InvariantCulture, $"{Id} (serial {Leaf.SerialText}, until {Leaf.NotAfter.UtcDateTime:yyyy-MM-ddTHH:mm:ssZ})");

    public void Dispose()
    {
        lock (_lock)
        {
            _disposed = true;
            _platformLeaf?.Dispose();
            _key.Dispose();
        }
    }

    private static ImmutableArray<Certificate> WithoutRoot(ImmutableArray<Certificate> chain)
    {
        var end = chain.Length;
        while (end > 1 && chain[end - 1].IsSelfIssued) end--;
        return end == chain.Length ? chain : chain[..end];
    }

    private SslStreamCertificateContext BuildSslContext()
    {
        using var bare = X509CertificateLoader.LoadCertificate(Leaf.Der.Span);
        _platformLeaf = _key switch
        {
            ECDsa ecdsa => bare.CopyWithPrivateKey(ecdsa),
            RSA rsa => bare.CopyWithPrivateKey(rsa),
            _ => throw new NotSupportedException("A TLS key must be an ECDSA or an RSA key."),
        };
        var intermediates = new X509Certificate2Collection();
        foreach (var certificate in Chain.AsSpan()[1..]) intermediates.Add(X509CertificateLoader.LoadCertificate(certificate.Der.Span));
        return SslStreamCertificateContext.Create(_platformLeaf, intermediates, offline: true);
    }
}
