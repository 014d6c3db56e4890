using System.Security.Cryptography;

namespace Mesh.Spiffe.X509;

/// <summary>A signature algorithm of certificates: ECDSA, RSA PKCS#1 v1.5 or RSA-PSS, each with SHA-256, SHA-384 or SHA-512.</summary>
internal sealed class SignatureScheme
{
    private static readonly SignatureScheme EcdsaSha256 = new(HashAlgorithmName.SHA256, null);
    private static readonly SignatureScheme EcdsaSha384 = new(HashAlgorithmName.SHA384, null);
    private static readonly SignatureScheme EcdsaSha512 = new(HashAlgorithmName.SHA512, null);
    private static readonly SignatureScheme RsaSha256 = new(HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
    private static readonly SignatureScheme RsaSha384 = new(HashAlgorithmName.SHA384, RSASignaturePadding.Pkcs1);
    private static readonly SignatureScheme RsaSha512 = new(HashAlgorithmName.SHA512, RSASignaturePadding.Pkcs1);
    private static readonly SignatureScheme PssSha256 = new(HashAlgorithmName.SHA256, RSASignaturePadding.Pss);
    private static readonly SignatureScheme PssSha384 = new(HashAlgorithmName.SHA384, RSASignaturePadding.Pss);
    private static readonly SignatureScheme PssSha512 = new(HashAlgorithmName.SHA512, RSASignaturePadding.Pss);

    private SignatureScheme(HashAlgorithmName hash, RSASignaturePadding? padding) => (Hash, Padding) = (hash, padding);

    public HashAlgorithmName Hash { get; }

    /// <summary>Null for ECDSA.</summary>
    public RSASignaturePadding? Padding { get; }

    public bool Fits(PublicKeyKind kind) => (Padding is not null) == (kind == PublicKeyKind.Rsa);

    /// <summary>Reads an AlgorithmIdentifier; null for one that is unknown or no longer safe (SHA-1, MD5).</summary>
    public static SignatureScheme? Read(ReadOnlyMemory<byte> algorithm)
    {
        var outer = new DerReader(algorithm);
        if (!outer.TryRead(DerReader.Sequence, out var content) || !outer.IsEmpty) return null;
        var reader = new DerReader(content);
        if (!reader.TryRead(DerReader.ObjectIdentifier, out var oid)) return null;
        var id = oid.Span;
        if (id.SequenceEqual(ObjectIdentifiers.RsaPss)) return ReadPss(reader);

        // RFC 5758 section 3.2: ECDSA has no parameters. RFC 4055 section 5: RSA has NULL, and some leave it out.
        var withoutParameters = reader.IsEmpty;
        var withNull = reader.TryRead(DerReader.Null, out var nothing) && nothing.IsEmpty && reader.IsEmpty;
        if (withoutParameters)
        {
            if (id.SequenceEqual(ObjectIdentifiers.EcdsaWithSha256)) return EcdsaSha256;
            if (id.SequenceEqual(ObjectIdentifiers.EcdsaWithSha384)) return EcdsaSha384;
            if (id.SequenceEqual(ObjectIdentifiers.EcdsaWithSha512)) return EcdsaSha512;
        }

        if (!withoutParameters && !withNull) return null;
        if (id.SequenceEqual(ObjectIdentifiers.RsaWithSha256)) return RsaSha256;
        if (id.SequenceEqual(ObjectIdentifiers.RsaWithSha384)) return RsaSha384;
        return id.SequenceEqual(ObjectIdentifiers.RsaWithSha512) ? RsaSha512 : null;
    }

    /// <summary>RSASSA-PSS-params (RFC 4055 section 3.1) with one hash for both uses and a salt of its length, as TLS wants it too.</summary>
    private static SignatureScheme? ReadPss(DerReader reader)
    {
        if (!reader.TryRead(DerReader.Sequence, out var content) || !reader.IsEmpty) return null;
        var parameters = new DerReader(content);
        // All three have defaults (SHA-1, 20 bytes), which must not be used.
        if (!parameters.TryRead(0xA0, out var hash) || !parameters.TryRead(0xA1, out var mask) || !parameters.TryRead(0xA2, out var salt)) return null;
        if (!parameters.IsEmpty) return null;

        var scheme = ReadHash(hash);
        if (scheme is null) return null;
        var maskOuter = new DerReader(mask);
        if (!maskOuter.TryRead(DerReader.Sequence, out var maskContent) || !maskOuter.IsEmpty) return null;
        var maskReader = new DerReader(maskContent);
        if (!maskReader.TryRead(DerReader.ObjectIdentifier, out var function) || !function.Span.SequenceEqual(ObjectIdentifiers.Mgf1)) return null;
        if (ReadHash(maskReader.Rest) != scheme) return null;
        var saltReader = new DerReader(salt);
        var saltLength = scheme == PssSha256 ? 32 : scheme == PssSha384 ? 48 : 64;
        return saltReader.TryReadSmallInteger(out var length) && saltReader.IsEmpty && length == saltLength ? scheme : null;
    }

    private static SignatureScheme? ReadHash(ReadOnlyMemory<byte> algorithm)
    {
        var outer = new DerReader(algorithm);
        if (!outer.TryRead(DerReader.Sequence, out var content) || !outer.IsEmpty) return null;
        var reader = new DerReader(content);
        if (!reader.TryRead(DerReader.ObjectIdentifier, out var oid)) return null;
        if (!reader.IsEmpty && !(reader.TryRead(DerReader.Null, out var nothing) && nothing.IsEmpty && reader.IsEmpty)) return null;
        if (oid.Span.SequenceEqual(ObjectIdentifiers.Sha256)) return PssSha256;
        if (oid.Span.SequenceEqual(ObjectIdentifiers.Sha384)) return PssSha384;
        return oid.Span.SequenceEqual(ObjectIdentifiers.Sha512) ? PssSha512 : null;
    }
}
