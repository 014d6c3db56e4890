using System.Security.Cryptography;

namespace Mesh.Spiffe.X509;

/// <summary>
/// A certificate's public key. The framework's handle is made once and kept, so that verifying many certificates of one issuer costs
/// one signature check each. The handle is taken out for a check and put back after it: two threads never share one.
/// </summary>
internal sealed class SubjectKey
{
    private const int MinRsaBits = 2048;
    private const int MaxRsaBits = 8192;

    private readonly ReadOnlyMemory<byte> _info;
    private AsymmetricAlgorithm? _spare;

    private SubjectKey(PublicKeyKind kind, ReadOnlyMemory<byte> info) => (Kind, _info) = (kind, info);

    public PublicKeyKind Kind { get; }

    /// <summary>Reads a SubjectPublicKeyInfo; null when it has not even the structure of one.</summary>
    public static SubjectKey? Read(ReadOnlyMemory<byte> info)
    {
        var outer = new DerReader(info);
        if (!outer.TryRead(DerReader.Sequence, out var content) || !outer.IsEmpty) return null;
        var reader = new DerReader(content);
        if (!reader.TryRead(DerReader.Sequence, out var algorithm) || !reader.TryReadBitString(out var bits, out var unused) || unused != 0 || !reader.IsEmpty) return null;
        var algorithmReader = new DerReader(algorithm);
        if (!algorithmReader.TryRead(DerReader.ObjectIdentifier, out var oid)) return null;
        var kind = PublicKeyKind.Unsupported;
        if (oid.Span.SequenceEqual(ObjectIdentifiers.EcPublicKey)) kind = CurveKind(algorithmReader, bits.Span);
        else if (oid.Span.SequenceEqual(ObjectIdentifiers.RsaEncryption)) kind = RsaKind(bits);
        return new SubjectKey(kind, info);
    }

    /// <summary>True when the signature over <paramref name="data"/> is this key's.</summary>
    public bool Verify(SignatureScheme scheme, ReadOnlySpan<byte> data, ReadOnlySpan<byte> signature)
    {
        if (Kind == PublicKeyKind.Unsupported || !scheme.Fits(Kind)) return false;
        var key = Interlocked.Exchange(ref _spare, null) ?? Import();
        if (key is null) return false;
        try
        {
            return key switch
            {
                ECDsa ecdsa => ecdsa.VerifyData(data, signature, scheme.Hash, DSASignatureFormat.Rfc3279DerSequence),
                RSA rsa => rsa.VerifyData(data, signature, scheme.Hash, scheme.Padding!),
                _ => false,
            };
        }
        catch (CryptographicException)
        {
            // The platform's answer to some signatures that cannot be parsed.
            return false;
        }
        finally
        {
            Interlocked.Exchange(ref _spare, key)?.Dispose();
        }
    }

    private static PublicKeyKind CurveKind(DerReader parameters, ReadOnlySpan<byte> point)
    {
        if (!parameters.TryRead(DerReader.ObjectIdentifier, out var curve) || !parameters.IsEmpty) return PublicKeyKind.Unsupported;
        var (kind, size) = curve.Span switch
        {
            var oid when oid.SequenceEqual(ObjectIdentifiers.P256) => (PublicKeyKind.P256, 32),
            var oid when oid.SequenceEqual(ObjectIdentifiers.P384) => (PublicKeyKind.P384, 48),
            var oid when oid.SequenceEqual(ObjectIdentifiers.P521) => (PublicKeyKind.P521, 66),
            _ => (PublicKeyKind.Unsupported, 0),
        };
        // RFC 5480 section 2.2: 4 announces an uncompressed point, the only form that every library reads.
        return point.Length == 1 + (2 * size) && point[0] == 4 ? kind : PublicKeyKind.Unsupported;
    }

    private static PublicKeyKind RsaKind(ReadOnlyMemory<byte> key)
    {
        var outer = new DerReader(key);
        if (!outer.TryRead(DerReader.Sequence, out var content) || !outer.IsEmpty) return PublicKeyKind.Unsupported;
        var reader = new DerReader(content);
        if (!reader.TryReadInteger(out var modulus) || !reader.TryReadInteger(out var exponent) || !reader.IsEmpty) return PublicKeyKind.Unsupported;
        var bytes = modulus.Span[0] == 0 ? modulus.Span[1..] : modulus.Span;
        // The upper bounds keep a peer from making us raise huge numbers to huge powers.
        if (bytes.IsEmpty || modulus.Span[0] >= 0x80 || exponent.Length > 5 || exponent.Span[0] >= 0x80) return PublicKeyKind.Unsupported;
        var bits = (bytes.Length * 8) - int.LeadingZeroCount(bytes[0]) + 24;
        return bits is >= MinRsaBits and <= MaxRsaBits ? PublicKeyKind.Rsa : PublicKeyKind.Unsupported;
    }

    private AsymmetricAlgorithm? Import()
    {
        AsymmetricAlgorithm key = Kind == PublicKeyKind.Rsa ? RSA.Create() : ECDsa.Create();
        try
        {
            key.ImportSubjectPublicKeyInfo(_info.Span, out _);
            return key;
        }
        catch (CryptographicException)
        {
            // For example a point that is not on its curve.
            key.Dispose();
            return null;
        }
    }
}
