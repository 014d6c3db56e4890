using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using Mesh.Trust.Keys;
using Mesh.Trust.Native;

namespace Mesh.Trust.Requests;

/// <summary>A public key of an accepted kind that a certificate is to be made for.</summary>
public sealed class SubjectKey
{
    private SubjectKey(ReadOnlyMemory<byte> spki, ReadOnlyMemory<byte> bits, KeyAlgorithm algorithm)
    {
        SubjectPublicKeyInfo = spki;
        Bits = bits;
        Algorithm = algorithm;
    }

    public KeyAlgorithm Algorithm { get; }

    /// <summary>DER, RFC 5280 section 4.1.2.7.</summary>
    public ReadOnlyMemory<byte> SubjectPublicKeyInfo { get; }

    /// <summary>The contents of subjectPublicKey: a point or an RSAPublicKey.</summary>
    internal ReadOnlyMemory<byte> Bits { get; }

    /// <summary>
    /// Takes a SubjectPublicKeyInfo of an accepted kind. That an EC point lies on its curve is not checked before it is used to verify.
    /// </summary>
    internal static bool TryRead(ReadOnlyMemory<byte> spki, [NotNullWhen(true)] out SubjectKey? key)
    {
        key = PublicKeyEncoding.TryClassify(spki, out var algorithm) ? new SubjectKey(spki, PublicKeyEncoding.KeyBits(spki), algorithm) : null;
        return key is not null;
    }

    /// <summary>The public half of a key that is ours.</summary>
    public static SubjectKey Of(SigningKey key) =>
        TryRead(key.SubjectPublicKeyInfo, out var subject) ? subject : throw new ArgumentException("not a supported key", nameof(key));

    /// <summary>The public half of a key pair made by the caller.</summary>
    /// <exception cref="ArgumentException">The key is of a kind not supported.</exception>
    public static SubjectKey Of(AsymmetricAlgorithm key) =>
        TryRead(key.ExportSubjectPublicKeyInfo(), out var subject) ? subject : throw new ArgumentException("not a supported key", nameof(key));

    /// <summary>Verifies a signature by this key; the algorithm must be one that fits it.</summary>
    internal SigningRequestFault Verify(string signatureAlgorithm, ReadOnlySpan<byte> data, ReadOnlySpan<byte> signature)
    {
        bool good;
        if (Algorithm is KeyAlgorithm.EcP256 or KeyAlgorithm.EcP384)
        {
            if (!SignatureAlgorithms.TryEcdsaHash(signatureAlgorithm, out var hash)) return SigningRequestFault.UnsupportedSignature;
            Span<byte> digest = stackalloc byte[SHA512.HashSizeInBytes];
            digest = digest[..CryptographicOperations.HashData(hash, data, digest)];
            good = Libcrypto.IsAvailable
                ? EcPointVerifier.Verify(Algorithm == KeyAlgorithm.EcP256 ? "prime256v1" : "secp384r1", Bits.Span, digest, signature)
                : VerifyEcWithFramework(digest, signature);
        }
        else
        {
            if (!SignatureAlgorithms.TryRsaHash(signatureAlgorithm, out var hash)) return SigningRequestFault.UnsupportedSignature;
            good = VerifyRsa(hash, data, signature);
        }

        return good ? SigningRequestFault.None : SigningRequestFault.BadSignature;
    }

    internal bool VerifyEcWithFramework(ReadOnlySpan<byte> digest, ReadOnlySpan<byte> signature)
    {
        var point = Bits.Span[1..];
        var half = point.Length / 2;
        try
        {
            using var key = ECDsa.Create(new ECParameters
            {
                Curve = Algorithm == KeyAlgorithm.EcP256 ? ECCurve.NamedCurves.nistP256 : ECCurve.NamedCurves.nistP384,
                Q = new ECPoint { X = point[..half].ToArray(), Y = point[half..].ToArray() },
            });
            return key.VerifyHash(digest, signature, DSASignatureFormat.Rfc3279DerSequence);
        }
        catch (CryptographicException)
        {
            // The point is not on the curve, or the signature is not DER.
            return false;
        }
    }

    private bool VerifyRsa(HashAlgorithmName hash, ReadOnlySpan<byte> data, ReadOnlySpan<byte> signature)
    {
        try
        {
            using var key = RSA.Create();
            key.ImportRSAPublicKey(Bits.Span, out _);
            return key.VerifyData(data, signature, hash, RSASignaturePadding.Pkcs1);
        }
        catch (CryptographicException)
        {
            return false;
        }
    }
}
