namespace Mesh.Trust.Issuers;

/// <summary>Why the material found for an issuer must not be used. One member per pitfall, so that each can be counted and tested.</summary>
public enum IssuerFault
{
    /// <summary>Neither layout of files is there.</summary>
    Missing,
    MixedLayouts,
    Unreadable,
    BadCertificates,
    BadKey,
    KeyMismatch,
    NoAnchors,
    NotAuthority,
    CannotSignCertificates,
    ExtendedKeyUsage,
    UnknownCriticalExtension,
    EmptySubject,
    SeveralUriNames,
    BadUriName,
    UriNameHasPath,
    ForeignTrustDomain,
    NotYetValid,
    Expired,
    LifetimeTooShort,
    EndsTooSoon,
    ChainBroken,
    UnknownAnchor,
    AnchorIsIntermediate,
    ParentNotAuthority,
    ParentPathLength,
    ParentNotValid,
    AnchorNotValid,
    AmbiguousSubject,
    NameConstraint,
    TrialRefused,
}

/// <summary>What an operator reads about an <see cref="IssuerFault"/>: what is wrong, and what to do.</summary>
public static class IssuerFaultTable
{
    public static string Sentence(this IssuerFault fault) => Row(fault).Sentence;

    public static string Remedy(this IssuerFault fault) => Row(fault).Remedy;

    private static (string Sentence, string Remedy) Row(IssuerFault fault) => fault switch
    {
        IssuerFault.Missing => (
            "no issuer certificate and key were found",
            "put tls.crt and tls.key (kubernetes.io/tls) or crt.pem and key.pem (linkerd.io/tls) in the issuer directory"),
        IssuerFault.MixedLayouts => (
            "the issuer directory holds files of both layouts, so it is not clear which are meant",
            "remove either tls.crt and tls.key or crt.pem and key.pem"),
        IssuerFault.Unreadable => (
            "a file of the issuer cannot be read",
            "check that the mount is there, that the service may read it, and that the file is smaller than 1 MiB"),
        IssuerFault.BadCertificates => (
            "the issuer's certificate file does not hold PEM certificates",
            "write the issuer's certificate first, then those above it, each as a CERTIFICATE block"),
        IssuerFault.BadKey => (
            "the issuer's private key cannot be used",
            "provide an unencrypted EC P-256, EC P-384 or RSA key of 2048, 3072 or 4096 bits in PEM"),
        IssuerFault.KeyMismatch => (
            "no certificate of the issuer's file belongs to its private key",
            "replace certificate and key together, in one update of the Secret"),
        IssuerFault.NoAnchors => (
            "no trust anchors are loaded, so the issuer cannot be judged",
            "provide the trust anchors file"),
        IssuerFault.NotAuthority => (
            "the issuer's certificate is not one of a certificate authority",
            "have it issued with basicConstraints CA:TRUE (cert-manager: isCA: true; Vault: root/sign-intermediate; cfssl: a profile with ca_constraint)"),
        IssuerFault.CannotSignCertificates => (
            "the key usage of the issuer's certificate does not allow it to sign certificates",
            "have it issued with key usage keyCertSign (cert-manager: usages: [cert sign, crl sign])"),
        IssuerFault.ExtendedKeyUsage => (
            "an extended key usage on the issuer, or above it, forbids what it issues to be used for TLS servers and clients",
            "have it issued without extended key usage, or with serverAuth and clientAuth"),
        IssuerFault.UnknownCriticalExtension => (
            "the issuer's certificate has a critical extension that verifiers here do not know, so they would refuse its SVIDs",
            "have it issued without that extension, or with it not critical"),
        IssuerFault.EmptySubject => (
            "the issuer's certificate has an empty Subject, which RFC 5280 forbids to authorities and which breaks chain building",
            "have it issued with a Subject that no other key has"),
        IssuerFault.SeveralUriNames => (
            "the issuer's certificate has several URI names, and an SVID has exactly one",
            "have it issued with the trust domain's SPIFFE ID as its only URI name"),
        IssuerFault.BadUriName => (
            "the URI name of the issuer's certificate is not a SPIFFE ID",
            "have it issued with the trust domain's SPIFFE ID as its URI name, or with none"),
        IssuerFault.UriNameHasPath => (
            "the SPIFFE ID of the issuer's certificate has a path, which only workloads may have",
            "have it issued with the trust domain's SPIFFE ID, without a path, as its URI name"),
        IssuerFault.ForeignTrustDomain => (
            "the SPIFFE ID of the issuer's certificate is of another trust domain",
            "check the trust domain that is configured, or have the issuer made for it"),
        IssuerFault.NotYetValid => (
            "the issuer's certificate is not valid yet; it will be taken when it is",
            "if the start of its validity is past by your clock, compare the clocks of this machine and of the CA"),
        IssuerFault.Expired => (
            "the issuer's certificate has expired",
            "replace it (mesh trust issuer rotate, or let the external CA renew it)"),
        IssuerFault.LifetimeTooShort => (
            "the issuer's certificate lives less than twice the longest lifetime of an SVID, perhaps because the CA cut the lifetime that was asked for",
            "have it issued for longer, or lower the lifetime of SVIDs"),
        IssuerFault.EndsTooSoon => (
            "the issuer's certificate, or one above it, ends before even the shortest SVID would",
            "replace it (mesh trust issuer rotate, or let the external CA renew it)"),
        IssuerFault.ChainBroken => (
            "a certificate between the issuer and the trust anchors is missing",
            "append the intermediate certificates to the issuer's certificate file, or add its root to the trust anchors"),
        IssuerFault.UnknownAnchor => (
            "the issuer's chain ends at a root that is not among the trust anchors",
            "distribute that root first (mesh trust rotate), then activate the issuer"),
        IssuerFault.AnchorIsIntermediate => (
            "the issuer's chain ends at a trust anchor that is not self-signed, which OpenSSL and others do not accept as a root",
            "put the root above it into the trust anchors instead, or allow intermediate anchors explicitly"),
        IssuerFault.ParentNotAuthority => (
            "a certificate above the issuer is not one of a certificate authority that may sign certificates",
            "check that the certificate file holds the chain of this issuer and nothing else"),
        IssuerFault.ParentPathLength => (
            "a certificate above the issuer allows fewer levels of authorities below it (pathLenConstraint) than there are",
            "have the issuer signed by an authority whose path length allows one more level, or use that authority as the issuer"),
        IssuerFault.ParentNotValid => (
            "a certificate between the issuer and the trust anchor is expired or not valid yet",
            "append the current intermediate certificates to the issuer's certificate file"),
        IssuerFault.AnchorNotValid => (
            "the trust anchor of the issuer is expired or not valid yet",
            "rotate the trust anchor (mesh trust rotate)"),
        IssuerFault.AmbiguousSubject => (
            "another key has the same Subject as the issuer, and there are no key identifiers to tell them apart",
            "have the issuer made with a Subject of its own, or with subject and authority key identifiers"),
        IssuerFault.NameConstraint => (
            "name constraints on the issuer, or above it, do not permit the names of this trust domain",
            "a URI constraint holds the host alone, as example.org, and must match the trust domain; a DNS constraint must permit names that end in it"),
        IssuerFault.TrialRefused => (
            "an SVID signed with the issuer as a trial does not verify against the trust anchors",
            "see the reason given; proxies would refuse every SVID in the same way"),
        _ => throw new ArgumentOutOfRangeException(nameof(fault)),
    };
}

/// <summary>A fault with what is particular about this case.</summary>
/// <param name="Detail">Names, dates, file names; never key material. Empty when the sentence says all.</param>
public sealed record IssuerProblem(IssuerFault Fault, string Detail = "")
{
    public string Sentence => Detail.Length == 0 ? Fault.Sentence() : $"{Fault.Sentence()} ({Detail})";

    public string Remedy => Fault.Remedy();

    public override string ToString() => $"{Sentence}; {Remedy}";
}
