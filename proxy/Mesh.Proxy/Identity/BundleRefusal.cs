namespace Mesh.Proxy.Identity;

/// <summary>Why a pushed bundle is not, or not yet, in force. A closed set: it is a metric label, and its sentence goes back to the identity service.</summary>
internal enum BundleRefusal
{
    None = 0,

    /// <summary>It is for another trust domain than our own.</summary>
    OtherTrustDomain = 1,

    /// <summary>It has no anchors. A mistake of the sender would end all trust.</summary>
    Empty = 2,

    /// <summary>One of its anchors is not a certificate, or has a key that nothing can be verified with; none of it is taken.</summary>
    Unparsable = 3,

    /// <summary>It holds more anchors than <see cref="TrustState.MaxAnchors"/>.</summary>
    TooLarge = 4,

    /// <summary>It has no sequence.</summary>
    NoSequence = 5,

    /// <summary>It is older than the one in force, or differs under the same number. Taken in the end when the sender stays with it.</summary>
    OlderThanInForce = 6,

    /// <summary>Our own certificate would not verify under it, nor would any peer of our generation. Taken once we hold one that does.</summary>
    OrphansOwnCertificate = 7,
}

internal static class BundleRefusals
{
    public const int Count = 8;

    public static string Sentence(this BundleRefusal refusal) => refusal switch
    {
        BundleRefusal.None => "",
        BundleRefusal.OtherTrustDomain => "the bundle is for another trust domain",
        BundleRefusal.Empty => "the bundle has no anchors",
        BundleRefusal.Unparsable => "an anchor of the bundle is not a certificate with a key that can be used",
        BundleRefusal.TooLarge => "the bundle has too many anchors",
        BundleRefusal.NoSequence => "the bundle has no sequence",
        BundleRefusal.OlderThanInForce => "the bundle is older than the one in force",
        BundleRefusal.OrphansOwnCertificate => "the own certificate does not verify under the bundle; it is being renewed",
        _ => throw new ArgumentOutOfRangeException(nameof(refusal), refusal, null),
    };

    /// <summary>The metric label for <paramref name="refusal"/>.</summary>
    public static string Label(this BundleRefusal refusal) => refusal switch
    {
        BundleRefusal.None => "",
        BundleRefusal.OtherTrustDomain => "other_trust_domain",
        BundleRefusal.Empty => "empty",
        BundleRefusal.Unparsable => "unparsable",
        BundleRefusal.TooLarge => "too_large",
        BundleRefusal.NoSequence => "no_sequence",
        BundleRefusal.OlderThanInForce => "older_than_in_force",
        BundleRefusal.OrphansOwnCertificate => "orphans_own_certificate",
        _ => throw new ArgumentOutOfRangeException(nameof(refusal), refusal, null),
    };
}
