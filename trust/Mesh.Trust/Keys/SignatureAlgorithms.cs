using System.Formats.Asn1;
using System.Security.Cryptography;

namespace Mesh.Trust.Keys;

/// <summary>Object identifiers of signature algorithms (RFC 5758 section 3.2, RFC 4055 section 5) and what they mean.</summary>
internal static class SignatureAlgorithms
{
    public const string EcdsaSha256 = "1.2.840.10045.4.3.2";
    public const string EcdsaSha384 = "1.2.840.10045.4.3.3";
    public const string EcdsaSha512 = "1.2.840.10045.4.3.4";
    public const string RsaSha256 = "1.2.840.113549.1.1.11";
    public const string RsaSha384 = "1.2.840.113549.1.1.12";
    public const string RsaSha512 = "1.2.840.113549.1.1.13";

    /// <summary>The AlgorithmIdentifier of signatures by a key of this kind. ECDSA has no parameters field, RSA has NULL.</summary>
    public static byte[] Encode(KeyAlgorithm algorithm)
    {
        var writer = new AsnWriter(AsnEncodingRules.DER);
        using (writer.PushSequence())
        {
            switch (algorithm)
            {
                case KeyAlgorithm.EcP256:
                    writer.WriteObjectIdentifier(EcdsaSha256);
                    break;
                case KeyAlgorithm.EcP384:
                    writer.WriteObjectIdentifier(EcdsaSha384);
                    break;
                default:
                    writer.WriteObjectIdentifier(RsaSha256);
                    writer.WriteNull();
                    break;
            }
        }

        return writer.Encode();
    }

    /// <summary>The hash of an ECDSA signature algorithm; false when the identifier names none.</summary>
    public static bool TryEcdsaHash(string oid, out HashAlgorithmName hash)
    {
        hash = oid switch
        {
            EcdsaSha256 => HashAlgorithmName.SHA256,
            EcdsaSha384 => HashAlgorithmName.SHA384,
            EcdsaSha512 => HashAlgorithmName.SHA512,
            _ => default,
        };
        return hash != default;
    }

    /// <summary>The hash of an RSA PKCS #1 v1.5 signature algorithm; false when the identifier names none.</summary>
    public static bool TryRsaHash(string oid, out HashAlgorithmName hash)
    {
        hash = oid switch
        {
            RsaSha256 => HashAlgorithmName.SHA256,
            RsaSha384 => HashAlgorithmName.SHA384,
            RsaSha512 => HashAlgorithmName.SHA512,
            _ => default,
        };
        return hash != default;
    }
}
