using System.Formats.Asn1;
using System.Security.Cryptography;
using Mesh.Trust.Keys;

namespace Mesh.Trust.Issuing;

/// <summary>The fields of a certificate (RFC 5280 section 4.1) as we write them; used by roots, issuers and SVIDs alike.</summary>
internal static class CertificateFields
{
    /// <summary>128 random bits.</summary>
    public const int SerialLength = 16;

    private static readonly Asn1Tag Version = new(TagClass.ContextSpecific, 0, isConstructed: true);
    private static readonly Asn1Tag Extensions = new(TagClass.ContextSpecific, 3, isConstructed: true);
    private static readonly Asn1Tag KeyIdentifier = new(TagClass.ContextSpecific, 0);
    private static readonly Asn1Tag DnsName = new(TagClass.ContextSpecific, 2);
    private static readonly Asn1Tag UriName = new(TagClass.ContextSpecific, 6);

    /// <summary>A Subject without any name: then the subject alternative name is the whole subject, and critical (section 4.2.1.6).</summary>
    public static ReadOnlySpan<byte> EmptyName => [0x30, 0x00];

    /// <summary>
    /// Fills in a serial number: random, positive and never zero; 16 octets with no leading zero octet (section 4.1.2.2 allows 20).
    /// </summary>
    public static void FillSerial(Span<byte> serial)
    {
        RandomNumberGenerator.Fill(serial);
        if (serial[0] == 0) serial[0] = 1;
    }

    /// <summary>
    /// The name of an authority: a common name for people, the trust domain, and a serialNumber made from its key, so that two keys never
    /// share a name. Chains stay unambiguous through any number of rotations.
    /// </summary>
    public static byte[] AuthorityName(string commonName, string trustDomain, ReadOnlySpan<byte> keyId)
    {
        var writer = new AsnWriter(AsnEncodingRules.DER);
        using (writer.PushSequence())
        {
            // X.520 bounds an organisation at 64 characters; a trust domain may have 255.
            if (trustDomain.Length <= 64) WriteAttribute(writer, "2.5.4.10", UniversalTagNumber.UTF8String, trustDomain);
            WriteAttribute(writer, "2.5.4.3", UniversalTagNumber.UTF8String, commonName);
            WriteAttribute(writer, "2.5.4.5", UniversalTagNumber.PrintableString, Convert.ToHexStringLower(keyId));
        }

        return writer.Encode();
    }

    /// <summary>
    /// Writes a TBSCertificate. Whole seconds only, UTCTime up to 2049 and GeneralizedTime after, as section 4.1.2.5 demands.
    /// </summary>
    /// <param name="extensions">Writes the extensions, each one a SEQUENCE.</param>
    public static void WriteToBeSigned<TState>(
        AsnWriter writer,
        ReadOnlySpan<byte> serial,
        ReadOnlySpan<byte> signatureAlgorithm,
        ReadOnlySpan<byte> issuerName,
        DateTimeOffset notBefore,
        DateTimeOffset notAfter,
        ReadOnlySpan<byte> subjectName,
        ReadOnlySpan<byte> subjectPublicKeyInfo,
        TState state,
        Action<AsnWriter, TState> extensions)
    {
        writer.PushSequence();
        writer.PushSequence(Version);
        writer.WriteInteger(2);
        writer.PopSequence(Version);
        writer.WriteIntegerUnsigned(serial);
        writer.WriteEncodedValue(signatureAlgorithm);
        writer.WriteEncodedValue(issuerName);
        writer.PushSequence();
        WriteTime(writer, notBefore);
        WriteTime(writer, notAfter);
        writer.PopSequence();
        writer.WriteEncodedValue(subjectName);
        writer.WriteEncodedValue(subjectPublicKeyInfo);
        writer.PushSequence(Extensions);
        writer.PushSequence();
        extensions(writer, state);
        writer.PopSequence();
        writer.PopSequence(Extensions);
        writer.PopSequence();
    }

    /// <summary>Signs a TBSCertificate and puts the certificate together.</summary>
    public static byte[] Sign(AsnWriter writer, ReadOnlySpan<byte> toBeSigned, SigningKey key)
    {
        Span<byte> signature = stackalloc byte[512];
        signature = signature[..key.Sign(toBeSigned, signature)];
        writer.Reset();
        writer.PushSequence();
        writer.WriteEncodedValue(toBeSigned);
        writer.WriteEncodedValue(key.SignatureAlgorithm.Span);
        writer.WriteBitString(signature);
        writer.PopSequence();
        return writer.Encode();
    }

    /// <summary>BasicConstraints (section 4.2.1.9), critical. A leaf says cA=false by its absence inside, an authority may bound what is below it.</summary>
    public static byte[] BasicConstraints(bool authority, int? pathLength) => Extension("2.5.29.19", critical: true, writer =>
    {
        using (writer.PushSequence())
        {
            if (authority) writer.WriteBoolean(true);
            if (pathLength is { } length) writer.WriteInteger(length);
        }
    });

    /// <summary>KeyUsage (section 4.2.1.3), critical.</summary>
    /// <param name="bits">The named bits, bit 0 first: the high bit of the octet is digitalSignature.</param>
    /// <param name="unusedBits">Trailing bits that are zero, which DER leaves out.</param>
    public static byte[] KeyUsage(byte bits, int unusedBits) =>
        Extension("2.5.29.15", critical: true, writer => writer.WriteBitString([bits], unusedBits));

    /// <summary>ExtendedKeyUsage of an SVID: serverAuth and clientAuth, not critical (X509-SVID section 4.4).</summary>
    public static byte[] ServerAndClient() => Extension("2.5.29.37", critical: false, writer =>
    {
        using (writer.PushSequence())
        {
            writer.WriteObjectIdentifier("1.3.6.1.5.5.7.3.1");
            writer.WriteObjectIdentifier("1.3.6.1.5.5.7.3.2");
        }
    });

    /// <summary>AuthorityKeyIdentifier (section 4.2.1.1): the key id alone.</summary>
    public static byte[] AuthorityKeyId(ReadOnlySpan<byte> keyId)
    {
        var id = keyId.ToArray();
        return Extension("2.5.29.35", critical: false, writer =>
        {
            using (writer.PushSequence()) writer.WriteOctetString(id, KeyIdentifier);
        });
    }

    /// <summary>SubjectKeyIdentifier (section 4.2.1.2).</summary>
    public static void WriteSubjectKeyId(AsnWriter writer, ReadOnlySpan<byte> keyId)
    {
        writer.PushSequence();
        writer.WriteEncodedValue(SubjectKeyIdOid);
        writer.PushOctetString();
        writer.WriteOctetString(keyId);
        writer.PopOctetString();
        writer.PopSequence();
    }

    /// <summary>SubjectAltName (section 4.2.1.6): one URI, then DNS names. The characters have been checked by whoever made the values.</summary>
    public static void WriteSubjectAlternativeName(AsnWriter writer, bool critical, string uri, ReadOnlySpan<string> dnsNames)
    {
        writer.PushSequence();
        writer.WriteEncodedValue(SubjectAltNameOid);
        if (critical) writer.WriteBoolean(true);
        writer.PushOctetString();
        writer.PushSequence();
        writer.WriteCharacterString(UniversalTagNumber.IA5String, uri, UriName);
        foreach (var name in dnsNames) writer.WriteCharacterString(UniversalTagNumber.IA5String, name, DnsName);
        writer.PopSequence();
        writer.PopOctetString();
        writer.PopSequence();
    }

    // Object identifiers that appear in every certificate, encoded once.
    private static ReadOnlySpan<byte> SubjectKeyIdOid => [0x06, 0x03, 0x55, 0x1d, 0x0e];
    private static ReadOnlySpan<byte> SubjectAltNameOid => [0x06, 0x03, 0x55, 0x1d, 0x11];

    private static byte[] Extension(string oid, bool critical, Action<AsnWriter> value)
    {
        var writer = new AsnWriter(AsnEncodingRules.DER);
        using (writer.PushSequence())
        {
            writer.WriteObjectIdentifier(oid);
            if (critical) writer.WriteBoolean(true);
            using (writer.PushOctetString()) value(writer);
        }

        return writer.Encode();
    }

    private static void WriteAttribute(AsnWriter writer, string oid, UniversalTagNumber kind, string text)
    {
        using (writer.PushSetOf())
        using (writer.PushSequence())
        {
            writer.WriteObjectIdentifier(oid);
            writer.WriteCharacterString(kind, text);
        }
    }

    private static void WriteTime(AsnWriter writer, DateTimeOffset time)
    {
        if (time.Year < 2050) writer.WriteUtcTime(time, twoDigitYearMax: 2049);
        else writer.WriteGeneralizedTime(time, omitFractionalSeconds: true);
    }
}
