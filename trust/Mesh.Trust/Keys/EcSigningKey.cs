using System.Collections.Concurrent;
using System.Security.Cryptography;

namespace Mesh.Trust.Keys;

/// <summary>
/// An EC key in this process. <see cref="ECDsa"/> makes no promise for concurrent use, so each signature borrows a copy of the key
/// from a pool that grows to the number of signatures ever made at the same time.
/// </summary>
internal sealed class EcSigningKey : SigningKey
{
    private readonly ECDsa _original;
    private readonly ConcurrentBag<ECDsa> _copies = [];
    private readonly HashAlgorithmName _hash;
    private volatile bool _disposed;

    public EcSigningKey(ECDsa key, KeyAlgorithm algorithm) : base(algorithm, key.ExportSubjectPublicKeyInfo())
    {
        _original = key;
        _hash = algorithm == KeyAlgorithm.EcP256 ? HashAlgorithmName.SHA256 : HashAlgorithmName.SHA384;
        MaxSignatureLength = key.GetMaxSignatureSize(DSASignatureFormat.Rfc3279DerSequence);
    }

    internal override int MaxSignatureLength { get; }

    internal override int Sign(ReadOnlySpan<byte> data, Span<byte> signature)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (!_copies.TryTake(out var key)) key = Copy();
        try
        {
            return key.TrySignData(data, signature, _hash, DSASignatureFormat.Rfc3279DerSequence, out var written)
                ? written
                : throw new CryptographicException("The signature does not fit its buffer.");
        }
        finally
        {
            _copies.Add(key);
            if (_disposed) DisposeCopies();
        }
    }

    public override string ExportPem()
    {
        lock (_original) return _original.ExportPkcs8PrivateKeyPem() + "\n";
    }

    protected override void Dispose(bool disposing)
    {
        _disposed = true;
        DisposeCopies();
        lock (_original) _original.Dispose();
        base.Dispose(disposing);
    }

    private ECDsa Copy()
    {
        ECParameters parameters;
        lock (_original) parameters = _original.ExportParameters(includePrivateParameters: true);
        try
        {
            return ECDsa.Create(parameters);
        }
        finally
        {
            CryptographicOperations.ZeroMemory(parameters.D);
        }
    }

    private void DisposeCopies()
    {
        while (_copies.TryTake(out var copy)) copy.Dispose();
    }
}
