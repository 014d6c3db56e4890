namespace Mesh.Spiffe;

/// <summary>Why bytes are not an X.509 v3 certificate as this library reads them (RFC 5280 section 4).</summary>
public enum CertificateFault
{
    /// <summary>No fault.</summary>
    None = 0,

    /// <summary>More than <see cref="Certificate.MaxSize"/> bytes.</summary>
    TooLarge = 1,

    /// <summary>Not DER, or not the structure of a certificate.</summary>
    Malformed = 2,

    /// <summary>Bytes after the certificate.</summary>
    TrailingData = 3,

    /// <summary>Version 1 or 2: such a certificate has no extensions and can hold no SPIFFE ID.</summary>
    NotVersion3 = 4,

    /// <summary>A serial number of zero, below zero or of more than 20 bytes (RFC 5280 section 4.1.2.2).</summary>
    BadSerialNumber = 5,

    /// <summary>The signed and the unsigned signature algorithm are not the same (section 4.1.1.2).</summary>
    SignatureAlgorithmsDiffer = 6,

    /// <summary>A date that is none, or an end before the beginning.</summary>
    BadValidity = 7,

    /// <summary>A subject or issuer that is no distinguished name.</summary>
    BadName = 8,

    /// <summary>A public key field without its structure. A key of a kind we cannot use is no fault here.</summary>
    BadPublicKey = 9,

    /// <summary>An extension we know, with content that is not what it must be.</summary>
    BadExtension = 10,

    /// <summary>The same extension twice (section 4.2).</summary>
    RepeatedExtension = 11,

    /// <summary>More extensions, names or name constraints than the bounds allow.</summary>
    TooManyParts = 12,

    /// <summary>The text holds no certificate.</summary>
    NoCertificate = 13,

    /// <summary>The text holds more certificates than the bound allows.</summary>
    TooManyCertificates = 14,

    /// <summary>A PEM block that is cut off, holds headers or is not base64.</summary>
    BadPem = 15,

    /// <summary>A PEM block that is no certificate: a private key, a request, a list.</summary>
    ForeignPemBlock = 16,
}

/// <summary>The fixed sentence of each <see cref="CertificateFault"/>.</summary>
public static class CertificateFaultSentences
{
    public static string Sentence(this CertificateFault fault) => fault switch
    {
        CertificateFault.None => "The certificate is well formed.",
        CertificateFault.TooLarge => "The certificate is larger than 64 KiB.",
        CertificateFault.Malformed => "The bytes are not a DER certificate.",
        CertificateFault.TrailingData => "There are bytes after the end of the certificate.",
        CertificateFault.NotVersion3 => "The certificate is not of X.509 version 3.",
        CertificateFault.BadSerialNumber => "The serial number is not a positive number of at most 20 bytes.",
        CertificateFault.SignatureAlgorithmsDiffer => "The certificate names two different signature algorithms.",
        CertificateFault.BadValidity => "The certificate's dates are not valid dates, or it ends before it begins.",
        CertificateFault.BadName => "The certificate's subject or issuer is not a distinguished name.",
        CertificateFault.BadPublicKey => "The certificate's public key cannot be read.",
        CertificateFault.BadExtension => "One of the certificate's extensions cannot be read.",
        CertificateFault.RepeatedExtension => "The certificate has the same extension twice.",
        CertificateFault.TooManyParts => "The certificate has more extensions, names or name constraints than are accepted.",
        CertificateFault.NoCertificate => "There is no certificate in it.",
        CertificateFault.TooManyCertificates => "There are more certificates in it than are accepted.",
        CertificateFault.BadPem => "A PEM block is cut off, has headers or is not base64.",
        CertificateFault.ForeignPemBlock => "There is a PEM block in it that is not a certificate.",
        _ => throw new ArgumentOutOfRangeException(nameof(fault), fault, null),
    };
}
