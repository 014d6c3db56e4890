using System.Formats.Asn1;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Mesh.Spiffe.Renewal;

/// <summary>Writes PKCS#10 requests (RFC 2986) for SVIDs.</summary>
public static class CertificateSigningRequest
{
    private const string SubjectAlternativeName = "2.5.29.17";

    /// <summary>
    /// A DER request, signed by <paramref name="key"/>, that carries <paramref name="id"/> as its only URI name and, when given,
    /// <paramref name="dnsName"/> as its only DNS name. The subject stays empty: an SVID's name is in its URI SAN.
    /// </summary>
    public static byte[] Create(ECDsa key, SpiffeId id, string? dnsName)
    {
        var request = new CertificateRequest(new X500DistinguishedName([0x30, 0x00]), key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509Extension(SubjectAlternativeName, Names(id, dnsName), critical: false));
        return request.CreateSigningRequest();
    }

    // GeneralNames of RFC 5280 4.2.1.6. The framework's builder takes a System.Uri, which normalises what it is given; an identity must not change.
    private static byte[] Names(SpiffeId id, string? dnsName)
    {
        var writer = new AsnWriter(AsnEncodingRules.DER);
        using (writer.PushSequence())
        {
            writer.WriteCharacterString(UniversalTagNumber.IA5String, id.ToString(), new Asn1Tag(TagClass.ContextSpecific, 6));
            if (dnsName is not null) writer.WriteCharacterString(UniversalTagNumber.IA5String, dnsName, new Asn1Tag(TagClass.ContextSpecific, 2));
        }

        return writer.Encode();
    }
}
