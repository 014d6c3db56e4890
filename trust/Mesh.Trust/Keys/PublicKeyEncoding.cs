using System.Formats.Asn1;
using System.Numerics;
using System.Security.Cryptography;

namespace Mesh.Trust.Keys;

/// <summary>
/// SubjectPublicKeyInfo (RFC 5280 section 4.1, RFC 5480, RFC 3279) of the few kinds of key accepted here. An EC key has exactly one
/// encoding we accept (named curve, uncompressed point), so it is compared with fixed bytes rather than parsed.
/// </summary>
internal static class PublicKeyEncoding
{
    private const string RsaEncryption = "1.2.840.113549.1.1.1";

    private static ReadOnlySpan<byte> P256Prefix =>
    [
        0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
        0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
    ];

    private static ReadOnlySpan<byte> P384Prefix =>
    [
        0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
        0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22, 0x03, 0x62, 0x00,
    ];

    /// <summary>
    /// Says what kind of key <paramref name="spki"/> holds. False for every other algorithm, curve, size or encoding. That an EC point
    /// lies on its curve is checked by whoever uses it.
    /// </summary>
    public static bool TryClassify(ReadOnlyMemory<byte> spki, out KeyAlgorithm algorithm)
    {
        var bytes = spki.Span;
        if (bytes.Length == P256Prefix.Length + 65 && bytes.StartsWith(P256Prefix) && bytes[P256Prefix.Length] == 0x04)
        {
            algorithm = KeyAlgorithm.EcP256;
            return true;
        }

        if (bytes.Length == P384Prefix.Length + 97 && bytes.StartsWith(P384Prefix) && bytes[P384Prefix.Length] == 0x04)
        {
            algorithm = KeyAlgorithm.EcP384;
            return true;
        }

        return TryClassifyRsa(spki, out algorithm);
    }

    /// <summary>The contents of the BIT STRING subjectPublicKey: for an EC key its point, for an RSA key the RSAPublicKey.</summary>
    public static ReadOnlyMemory<byte> KeyBits(ReadOnlyMemory<byte> spki)
    {
        var info = new AsnReader(spki, AsnEncodingRules.DER).ReadSequence();
        info.ReadEncodedValue();
        return info.TryReadPrimitiveBitString(out _, out var bits) ? bits : throw new AsnContentException();
    }

    /// <summary>
    /// The subject key identifier: the leftmost 160 bits of the SHA-256 of the key bits (RFC 7093 section 2, method 1).
    /// </summary>
    public static void WriteKeyId(ReadOnlySpan<byte> keyBits, Span<byte> keyId)
    {
        Span<byte> hash = stackalloc byte[SHA256.HashSizeInBytes];
        SHA256.HashData(keyBits, hash);
        hash[..KeyIdLength].CopyTo(keyId);
    }

    public const int KeyIdLength = 20;

    private static bool TryClassifyRsa(ReadOnlyMemory<byte> spki, out KeyAlgorithm algorithm)
    {
        algorithm = default;
        try
        {
            var reader = new AsnReader(spki, AsnEncodingRules.DER);
            var info = reader.ReadSequence();
            reader.ThrowIfNotEmpty();
            var identifier = info.ReadSequence();
            if (identifier.ReadObjectIdentifier() != RsaEncryption) return false;
            identifier.ReadNull();
            identifier.ThrowIfNotEmpty();
            if (!info.TryReadPrimitiveBitString(out var unused, out var bits) || unused != 0) return false;
            info.ThrowIfNotEmpty();

            var outer = new AsnReader(bits, AsnEncodingRules.DER);
            var key = outer.ReadSequence();
            outer.ThrowIfNotEmpty();
            var modulus = key.ReadIntegerBytes().Span;
            var exponent = key.ReadIntegerBytes().Span;
            key.ThrowIfNotEmpty();
            // A modulus of n bits with its top bit set is encoded in n/8 + 1 octets, the first one zero.
            if (modulus[0] != 0 || modulus[1] < 0x80 || (modulus[^1] & 1) == 0) return false;
            if (exponent.Length > 5) return false;
            var e = new BigInteger(exponent, isUnsigned: false, isBigEndian: true);
            if (e < 65537 || e.IsEven) return false;

            (algorithm, var known) = (modulus.Length - 1) switch
            {
                256 => (KeyAlgorithm.Rsa2048, true),
                384 => (KeyAlgorithm.Rsa3072, true),
                512 => (KeyAlgorithm.Rsa4096, true),
                _ => (default, false),
            };
            return known;
        }
        catch (AsnContentException)
        {
            return false;
        }
    }
}
