using System.Formats.Asn1;
using System.Security.Cryptography;

namespace Mesh.Trust.Keys;

/// <summary>
/// The private key of a certificate authority, seen only as something that signs. The key itself may be in this process or
/// elsewhere (an HSM); everything above this type cannot tell. Safe for concurrent use. Never prints.
/// </summary>
public abstract class SigningKey : IDisposable
{
    /// <summary>Keys beyond this many characters of PEM are refused unread: an RSA 4096 key has about 3,300.</summary>
    public const int MaxPemLength = 16 * 1024;

    private protected SigningKey(KeyAlgorithm algorithm, ReadOnlyMemory<byte> subjectPublicKeyInfo)
    {
        Algorithm = algorithm;
        SubjectPublicKeyInfo = subjectPublicKeyInfo;
        SignatureAlgorithm = SignatureAlgorithms.Encode(algorithm);
        var keyId = new byte[PublicKeyEncoding.KeyIdLength];
        PublicKeyEncoding.WriteKeyId(PublicKeyEncoding.KeyBits(subjectPublicKeyInfo).Span, keyId);
        KeyId = keyId;
    }

    public KeyAlgorithm Algorithm { get; }

    /// <summary>The public half, DER (RFC 5280 section 4.1.2.7).</summary>
    public ReadOnlyMemory<byte> SubjectPublicKeyInfo { get; }

    /// <summary>The subject key identifier that certificates for this key get when we write them (RFC 7093 section 2, method 1).</summary>
    public ReadOnlyMemory<byte> KeyId { get; }

    /// <summary>The AlgorithmIdentifier of the signatures, DER.</summary>
    internal ReadOnlyMemory<byte> SignatureAlgorithm { get; }

    /// <summary>Room enough for any signature of this key, in bytes.</summary>
    internal abstract int MaxSignatureLength { get; }

    /// <summary>Signs <paramref name="data"/> in the form certificates carry (ECDSA: RFC 3279 section 2.2.3) and returns the length written.</summary>
    /// <exception cref="CryptographicException">The key refused or could not be reached.</exception>
    internal abstract int Sign(ReadOnlySpan<byte> data, Span<byte> signature);

    /// <summary>Makes a new key in this process.</summary>
    public static SigningKey Create(KeyAlgorithm algorithm) => algorithm switch
    {
        KeyAlgorithm.EcP256 => new EcSigningKey(ECDsa.Create(ECCurve.NamedCurves.nistP256), algorithm),
        KeyAlgorithm.EcP384 => new EcSigningKey(ECDsa.Create(ECCurve.NamedCurves.nistP384), algorithm),
        KeyAlgorithm.Rsa2048 => new RsaSigningKey(RSA.Create(2048), algorithm),
        KeyAlgorithm.Rsa3072 => new RsaSigningKey(RSA.Create(3072), algorithm),
        KeyAlgorithm.Rsa4096 => new RsaSigningKey(RSA.Create(4096), algorithm),
        _ => throw new ArgumentOutOfRangeException(nameof(algorithm)),
    };

    /// <summary>
    /// Reads an unencrypted private key in any of the forms Secrets hold: PKCS #8 (<c>PRIVATE KEY</c>), SEC 1
    /// (<c>EC PRIVATE KEY</c>) or PKCS #1 (<c>RSA PRIVATE KEY</c>).
    /// </summary>
    /// <param name="fault">Says why not; <see cref="SigningKeyFault.None"/> on success.</param>
    public static SigningKey? ReadPem(ReadOnlySpan<char> pem, out SigningKeyFault fault)
    {
        if (pem.Length > MaxPemLength)
        {
            fault = SigningKeyFault.TooLong;
            return null;
        }

        fault = SigningKeyFault.NotFound;
        var rest = pem;
        while (PemEncoding.TryFind(rest, out var fields))
        {
            var label = rest[fields.Label];
            var block = rest[fields.Location];
            rest = rest[fields.Location.End..];
            if (label.SequenceEqual("ENCRYPTED PRIVATE KEY") || block.Contains("Proc-Type: 4,ENCRYPTED", StringComparison.Ordinal))
            {
                fault = SigningKeyFault.Encrypted;
                return null;
            }

            // "EC PARAMETERS" precedes the key in what `openssl ecparam -genkey` writes.
            if (label is not ("PRIVATE KEY" or "EC PRIVATE KEY" or "RSA PRIVATE KEY")) continue;
            return ReadBlock(block, label, out fault);
        }

        return null;
    }

    /// <summary>As <see cref="ReadPem"/>, for text that is known to be good.</summary>
    /// <exception cref="FormatException">The text holds no usable key.</exception>
    public static SigningKey FromPem(ReadOnlySpan<char> pem) => ReadPem(pem, out var fault) ?? throw new FormatException(fault.Sentence());

    /// <summary>
    /// The private key as PKCS #8 PEM, for the file it is kept in; null where the key cannot leave its place (an HSM).
    /// </summary>
    public virtual string? ExportPem() => null;

    public void Dispose()
    {
        Dispose(disposing: true);
        GC.SuppressFinalize(this);
    }

    public override string ToString() => $"{Algorithm} signing key {Convert.ToHexStringLower(KeyId.Span)}";

    protected virtual void Dispose(bool disposing) { }

    private static SigningKey? ReadBlock(ReadOnlySpan<char> block, ReadOnlySpan<char> label, out SigningKeyFault fault)
    {
        AsymmetricAlgorithm? key = null;
        try
        {
            // PKCS #8 does not say in its label what it holds: try EC, the usual one, first.
            if (!label.SequenceEqual("RSA PRIVATE KEY") && TryImport(ECDsa.Create(), block, out key)
                || !label.SequenceEqual("EC PRIVATE KEY") && TryImport(RSA.Create(), block, out key))
            {
                if (!PublicKeyEncoding.TryClassify(key!.ExportSubjectPublicKeyInfo(), out var algorithm))
                {
                    fault = SigningKeyFault.Unsupported;
                    return null;
                }

                fault = SigningKeyFault.None;
                var owned = key;
                key = null;
                return owned is ECDsa ec ? new EcSigningKey(ec, algorithm) : new RsaSigningKey((RSA)owned, algorithm);
            }

            fault = SigningKeyFault.Malformed;
            return null;
        }
        finally
        {
            key?.Dispose();
        }
    }

    private static bool TryImport(AsymmetricAlgorithm candidate, ReadOnlySpan<char> block, out AsymmetricAlgorithm? key)
    {
        try
        {
            candidate.ImportFromPem(block);
            key = candidate;
            return true;
        }
        catch (Exception refused) when (refused is CryptographicException or ArgumentException or AsnContentException)
        {
            candidate.Dispose();
            key = null;
            return false;
        }
    }
}
