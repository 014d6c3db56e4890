using System.Formats.Asn1;
using Mesh.Spiffe;
using Mesh.Trust.Keys;
using Mesh.Trust.Requests;

namespace Mesh.Trust.Issuing;

/// <summary>
/// An authority's certificate with its key: a root, or an issuer below one. It makes authorities; SVIDs are made by
/// <see cref="SvidIssuer"/>. Every certificate written here is itself an SVID of the trust domain with an empty path (X509-SVID
/// section 3.2), can sign certificates and CRLs and nothing else (section 4.3), and has a Subject no other key has.
/// </summary>
public sealed class CertificateAuthority : IDisposable
{
    private const byte SignsCertificatesAndCrls = 0x06;

    /// <summary>Takes ownership of <paramref name="key"/>.</summary>
    /// <exception cref="ArgumentException">The key is not the certificate's.</exception>
    public CertificateAuthority(Certificate certificate, SigningKey key)
    {
        if (!certificate.SubjectPublicKeyInfo.Span.SequenceEqual(key.SubjectPublicKeyInfo.Span))
            throw new ArgumentException("the private key does not belong to the certificate", nameof(key));
        Certificate = certificate;
        Key = key;
    }

    public Certificate Certificate { get; }

    public SigningKey Key { get; }

    /// <summary>Makes a key and its self-signed certificate.</summary>
    public static CertificateAuthority CreateRoot(AuthorityProfile profile, TimeProvider time)
    {
        var key = SigningKey.Create(profile.Algorithm);
        var name = CertificateFields.AuthorityName(profile.CommonName, profile.TrustDomain.Name, key.KeyId.Span);
        var now = time.GetUtcNow();
        var certificate = Write(profile, SubjectKey.Of(key), name, now - profile.Backdate, now + profile.Lifetime, key, key.KeyId, name);
        return new CertificateAuthority(certificate, key);
    }

    /// <summary>Makes a key and has this authority certify it as an authority.</summary>
    /// <exception cref="InvalidOperationException">This authority is not valid now, or may not have authorities below it.</exception>
    public CertificateAuthority CreateIssuer(AuthorityProfile profile, TimeProvider time)
    {
        var key = SigningKey.Create(profile.Algorithm);
        return new CertificateAuthority(SignIssuer(SubjectKey.Of(key), profile, time), key);
    }

    /// <summary>Certifies a key made elsewhere as an authority. <see cref="AuthorityProfile.Algorithm"/> is not looked at.</summary>
    /// <exception cref="InvalidOperationException">This authority is not valid now, or may not have authorities below it.</exception>
    public Certificate SignIssuer(SubjectKey subject, AuthorityProfile profile, TimeProvider time)
    {
        var now = time.GetUtcNow();
        if (now < Certificate.NotBefore || now >= Certificate.NotAfter)
            throw new InvalidOperationException($"the authority {Certificate.SubjectText} is valid from {Certificate.NotBefore:u} to {Certificate.NotAfter:u} and cannot sign now ({now:u})");
        if (Certificate.PathLength is { } allowed && (allowed == 0 || profile.PathLength is null || profile.PathLength >= allowed))
            throw new InvalidOperationException($"the authority {Certificate.SubjectText} allows {allowed} levels of authorities below it, too few for this one");

        var keyId = new byte[PublicKeyEncoding.KeyIdLength];
        PublicKeyEncoding.WriteKeyId(subject.Bits.Span, keyId);
        var notBefore = Later(now - profile.Backdate, Certificate.NotBefore);
        var notAfter = Earlier(now + profile.Lifetime, Certificate.NotAfter);
        // The authority's own certificate says by what id it is found; one made elsewhere may compute it in another way than we do.
        var authorityKeyId = Certificate.SubjectKeyId.IsEmpty ? Key.KeyId : Certificate.SubjectKeyId;
        var name = CertificateFields.AuthorityName(profile.CommonName, profile.TrustDomain.Name, keyId);
        return Write(profile, subject, name, notBefore, notAfter, Key, authorityKeyId, Certificate.RawSubject);
    }

    public void Dispose() => Key.Dispose();

    public override string ToString() => $"{Certificate.SubjectText} until {Certificate.NotAfter:u}";

    private static Certificate Write(
        AuthorityProfile profile,
        SubjectKey subject,
        byte[] name,
        DateTimeOffset notBefore,
        DateTimeOffset notAfter,
        SigningKey signer,
        ReadOnlyMemory<byte> authorityKeyId,
        ReadOnlyMemory<byte> issuerName)
    {
        ArgumentOutOfRangeException.ThrowIfLessThanOrEqual(profile.Lifetime, TimeSpan.Zero);
        ArgumentOutOfRangeException.ThrowIfGreaterThan(profile.CommonName.Length, 64);
        ArgumentOutOfRangeException.ThrowIfLessThan(profile.PathLength ?? 0, 0);
        Span<byte> serial = stackalloc byte[CertificateFields.SerialLength];
        CertificateFields.FillSerial(serial);
        var writer = new AsnWriter(AsnEncodingRules.DER);
        CertificateFields.WriteToBeSigned(
            writer, serial, signer.SignatureAlgorithm.Span, issuerName.Span, notBefore, notAfter, name, subject.SubjectPublicKeyInfo.Span,
            (profile, subject, authorityKeyId), static (extensions, values) =>
            {
                Span<byte> keyId = stackalloc byte[PublicKeyEncoding.KeyIdLength];
                PublicKeyEncoding.WriteKeyId(values.subject.Bits.Span, keyId);
                extensions.WriteEncodedValue(CertificateFields.BasicConstraints(authority: true, values.profile.PathLength));
                extensions.WriteEncodedValue(CertificateFields.KeyUsage(SignsCertificatesAndCrls, unusedBits: 1));
                CertificateFields.WriteSubjectKeyId(extensions, keyId);
                extensions.WriteEncodedValue(CertificateFields.AuthorityKeyId(values.authorityKeyId.Span));
                CertificateFields.WriteSubjectAlternativeName(extensions, critical: false, values.profile.TrustDomain.Id.ToString(), []);
            });
        return Certificate.Parse(CertificateFields.Sign(writer, writer.Encode(), signer));
    }

    private static DateTimeOffset Earlier(DateTimeOffset a, DateTimeOffset b) => a < b ? a : b;

    private static DateTimeOffset Later(DateTimeOffset a, DateTimeOffset b) => a > b ? a : b;
}
