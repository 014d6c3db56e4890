namespace Mesh.Spiffe;

/// <summary>
/// Why a peer's certificates are refused, or an SVID of our own is not usable: one member per rule. The numbers appear in nobody's
/// protocol, but the names are labels of metrics and are not renamed.
/// </summary>
public enum SvidFault
{
    /// <summary>No fault: the chain is valid.</summary>
    None = 0,

    /// <summary>The peer showed no certificate.</summary>
    NoCertificate = 1,

    /// <summary>A certificate of the chain cannot be read.</summary>
    Malformed = 2,

    /// <summary>The leaf has no URI name (X509-SVID section 2).</summary>
    NoUriName = 3,

    /// <summary>The leaf has more than one URI name (sections 2 and 5.2).</summary>
    SeveralUriNames = 4,

    /// <summary>The leaf's URI name is not a SPIFFE ID (section 5.2).</summary>
    BadSpiffeId = 5,

    /// <summary>The leaf's SPIFFE ID has no path: it names a trust domain, not a workload (sections 3.1 and 5.2).</summary>
    RootPath = 6,

    /// <summary>The leaf says cA (sections 4.1 and 5.2).</summary>
    LeafIsCa = 7,

    /// <summary>The leaf may sign certificates (sections 4.3 and 5.2).</summary>
    LeafSignsCertificates = 8,

    /// <summary>The leaf may sign revocation lists (sections 4.3 and 5.2).</summary>
    LeafSignsRevocationLists = 9,

    /// <summary>The leaf's key usage lacks digitalSignature (section 4.3).</summary>
    NoDigitalSignature = 10,

    /// <summary>The leaf, or an intermediate, has no key usage extension (section 4.3).</summary>
    MissingKeyUsage = 11,

    /// <summary>The leaf's key usage extension is not critical (section 4.3).</summary>
    KeyUsageNotCritical = 12,

    /// <summary>There is an extended key usage that lacks serverAuth or clientAuth (section 4.4), on the leaf or on a CA above it.</summary>
    WrongExtendedKeyUsage = 13,

    /// <summary>The leaf has no subject and its alternative name is not critical (section 3.1).</summary>
    NameNotCritical = 14,

    /// <summary>There is no bundle for the leaf's trust domain.</summary>
    UnknownTrustDomain = 15,

    /// <summary>The trust domain's bundle has no authority: all of it is revoked (SPIFFE Trust Domain and Bundle 4.1.3).</summary>
    NoAuthorities = 16,

    /// <summary>The leaf is past its end.</summary>
    Expired = 17,

    /// <summary>The leaf is before its beginning.</summary>
    NotYetValid = 18,

    /// <summary>An intermediate or the anchor is past its end.</summary>
    IssuerExpired = 19,

    /// <summary>An intermediate or the anchor is before its beginning.</summary>
    IssuerNotYetValid = 20,

    /// <summary>No path of names and key identifiers leads from the leaf to an authority of its trust domain.</summary>
    UntrustedChain = 21,

    /// <summary>A signature on the only possible path is not its issuer's, or of an algorithm that is not supported.</summary>
    BadSignature = 22,

    /// <summary>An issuer is not a CA (basicConstraints).</summary>
    IssuerNotCa = 23,

    /// <summary>An issuer's key usage lacks keyCertSign.</summary>
    IssuerMayNotSign = 24,

    /// <summary>More CAs follow below an issuer than its path length allows.</summary>
    PathLength = 25,

    /// <summary>A name is outside what a CA above it may issue.</summary>
    NameConstraint = 26,

    /// <summary>An issuer carries a SPIFFE ID with a path, several, or one that is malformed (X509-SVID section 3.2).</summary>
    IssuerIdNotRoot = 27,

    /// <summary>A certificate has a critical extension that is not known here.</summary>
    UnknownCriticalExtension = 28,

    /// <summary>More certificates than are looked at.</summary>
    ChainTooLong = 29,

    /// <summary>The search for a path needed more signature checks than are made for one peer.</summary>
    TooMuchWork = 30,

    /// <summary>A valid SVID, but not the one that was expected.</summary>
    UnexpectedId = 31,

    /// <summary>The private key is not the leaf's.</summary>
    KeyMismatch = 32,
}

/// <summary>The fixed sentence of each <see cref="SvidFault"/>.</summary>
public static class SvidFaultSentences
{
    public static string Sentence(this SvidFault fault) => fault switch
    {
        SvidFault.None => "The SVID is valid.",
        SvidFault.NoCertificate => "The peer showed no certificate.",
        SvidFault.Malformed => "A certificate of the chain cannot be read.",
        SvidFault.NoUriName => "The certificate has no URI name, so it is not an SVID.",
        SvidFault.SeveralUriNames => "The certificate has more than one URI name.",
        SvidFault.BadSpiffeId => "The certificate's URI name is not a SPIFFE ID.",
        SvidFault.RootPath => "The certificate's SPIFFE ID names a trust domain and no workload.",
        SvidFault.LeafIsCa => "The certificate is a CA certificate and must not be used to authenticate.",
        SvidFault.LeafSignsCertificates => "The certificate's key usage allows signing certificates.",
        SvidFault.LeafSignsRevocationLists => "The certificate's key usage allows signing revocation lists.",
        SvidFault.NoDigitalSignature => "The certificate's key usage does not allow digital signatures.",
        SvidFault.MissingKeyUsage => "A certificate of the chain has no key usage.",
        SvidFault.KeyUsageNotCritical => "The certificate's key usage is not marked critical.",
        SvidFault.WrongExtendedKeyUsage => "An extended key usage in the chain does not allow both server and client authentication.",
        SvidFault.NameNotCritical => "The certificate has no subject, and its alternative name is not marked critical.",
        SvidFault.UnknownTrustDomain => "There is no trust bundle for the certificate's trust domain.",
        SvidFault.NoAuthorities => "The trust bundle of the certificate's trust domain is empty.",
        SvidFault.Expired => "The certificate has expired.",
        SvidFault.NotYetValid => "The certificate is not valid yet.",
        SvidFault.IssuerExpired => "The certificate of an issuer has expired.",
        SvidFault.IssuerNotYetValid => "The certificate of an issuer is not valid yet.",
        SvidFault.UntrustedChain => "The chain does not lead to an authority of the certificate's trust domain.",
        SvidFault.BadSignature => "A signature in the chain is wrong or of an unsupported algorithm.",
        SvidFault.IssuerNotCa => "An issuer in the chain is not a CA.",
        SvidFault.IssuerMayNotSign => "An issuer's key usage does not allow signing certificates.",
        SvidFault.PathLength => "There are more CAs in the chain than an issuer's path length allows.",
        SvidFault.NameConstraint => "A name in the chain is outside the name constraints of a CA above it.",
        SvidFault.IssuerIdNotRoot => "An issuer carries a SPIFFE ID that is not the bare ID of a trust domain.",
        SvidFault.UnknownCriticalExtension => "A certificate of the chain has a critical extension that is not known.",
        SvidFault.ChainTooLong => "The chain has too many certificates.",
        SvidFault.TooMuchWork => "The chain needs too many signature checks.",
        SvidFault.UnexpectedId => "The peer's SVID is valid but not of the expected SPIFFE ID.",
        SvidFault.KeyMismatch => "The private key does not belong to the certificate.",
        _ => throw new ArgumentOutOfRangeException(nameof(fault), fault, null),
    };
}
