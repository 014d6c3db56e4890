namespace Mesh.Spiffe;

/// <summary>Why a document is not a trust bundle (SPIFFE Trust Domain and Bundle, section 4, or PEM).</summary>
public enum TrustBundleFault
{
    /// <summary>No fault.</summary>
    None = 0,

    /// <summary>A document above the bound on its size.</summary>
    TooLarge = 1,

    /// <summary>Not JSON, not UTF-8, or nested too deep.</summary>
    NotJson = 2,

    /// <summary>The same name twice in a JSON object (section 5.1.1).</summary>
    RepeatedName = 3,

    /// <summary>JSON, but not a JWK Set: the document is no object, <c>keys</c> is no array or one of its members no object.</summary>
    NotKeySet = 4,

    /// <summary>There is no <c>keys</c> (section 4.1.3). An empty array is something else: it revokes everything.</summary>
    NoKeys = 5,

    /// <summary><c>spiffe_sequence</c> is no whole number from 0 to 2⁶⁴−1 (section 4.1.1).</summary>
    BadSequence = 6,

    /// <summary><c>spiffe_refresh_hint</c> is no whole number of seconds from 0 on (section 4.1.2).</summary>
    BadRefreshHint = 7,

    /// <summary>The certificate of an X.509 authority cannot be read.</summary>
    BadCertificate = 8,

    /// <summary>More than <see cref="TrustBundle.MaxAuthorities"/> authorities.</summary>
    TooManyAuthorities = 9,

    /// <summary>A PEM text without a certificate. It is refused, unlike JSON's explicit empty <c>keys</c>, because half-written files look like that.</summary>
    NoCertificate = 10,

    /// <summary>A PEM block that is cut off, holds headers or is not base64.</summary>
    BadPem = 11,

    /// <summary>A PEM block that is no certificate; a private key has no place in a bundle.</summary>
    ForeignPemBlock = 12,

    /// <summary>A PEM certificate with a key that we cannot verify with (see <see cref="PublicKeyKind"/>).</summary>
    UnsupportedKey = 13,

    /// <summary>A bundle map without <c>trust_domains</c> (section 5.1.1).</summary>
    NoTrustDomains = 14,

    /// <summary>A bundle map with a key that is not the name of a trust domain.</summary>
    BadTrustDomain = 15,
}

/// <summary>The fixed sentence of each <see cref="TrustBundleFault"/>.</summary>
public static class TrustBundleFaultSentences
{
    public static string Sentence(this TrustBundleFault fault) => fault switch
    {
        TrustBundleFault.None => "The trust bundle is well formed.",
        TrustBundleFault.TooLarge => "The trust bundle is larger than 4 MiB.",
        TrustBundleFault.NotJson => "The trust bundle is not a JSON document.",
        TrustBundleFault.RepeatedName => "The trust bundle has the same name twice in one JSON object.",
        TrustBundleFault.NotKeySet => "The trust bundle is not a JSON Web Key Set.",
        TrustBundleFault.NoKeys => "The trust bundle has no keys parameter.",
        TrustBundleFault.BadSequence => "The trust bundle's sequence number is not a whole number from 0 to 18446744073709551615.",
        TrustBundleFault.BadRefreshHint => "The trust bundle's refresh hint is not a whole number of seconds.",
        TrustBundleFault.BadCertificate => "A certificate in the trust bundle cannot be read.",
        TrustBundleFault.TooManyAuthorities => "The trust bundle has more than 256 authorities.",
        TrustBundleFault.NoCertificate => "There is no certificate in the trust bundle.",
        TrustBundleFault.BadPem => "A PEM block in the trust bundle is cut off, has headers or is not base64.",
        TrustBundleFault.ForeignPemBlock => "There is a PEM block in the trust bundle that is not a certificate.",
        TrustBundleFault.UnsupportedKey => "A certificate in the trust bundle has a key of a kind that cannot be used for verification.",
        TrustBundleFault.NoTrustDomains => "The bundle map has no trust_domains parameter.",
        TrustBundleFault.BadTrustDomain => "The bundle map has a key that is not the name of a trust domain.",
        _ => throw new ArgumentOutOfRangeException(nameof(fault), fault, null),
    };
}
