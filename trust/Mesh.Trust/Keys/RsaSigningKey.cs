using System.Security.Cryptography;

namespace Mesh.Trust.Keys;

/// <summary>
/// An RSA key in this process. A signature takes a millisecond, which is far longer than waiting for the lock: RSA is accepted for
/// roots and for issuers made elsewhere, and is not the way to issue at speed.
/// </summary>
internal sealed class RsaSigningKey : SigningKey
{
    private readonly RSA _key;
    private readonly Lock _lock = new();

    public RsaSigningKey(RSA key, KeyAlgorithm algorithm) : base(algorithm, key.ExportSubjectPublicKeyInfo())
    {
        _key = key;
        MaxSignatureLength = key.KeySize / 8;
    }

    internal override int MaxSignatureLength { get; }

    internal override int Sign(ReadOnlySpan<byte> data, Span<byte> signature)
    {
        lock (_lock)
        {
            return _key.TrySignData(data, signature, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1, out var written)
                ? written
                : throw new CryptographicException("The signature does not fit its buffer.");
        }
    }

    public override string ExportPem()
    {
        lock (_lock) return _key.ExportPkcs8PrivateKeyPem() + "\n";
    }

    protected override void Dispose(bool disposing)
    {
        lock (_lock) _key.Dispose();
        base.Dispose(disposing);
    }
}
