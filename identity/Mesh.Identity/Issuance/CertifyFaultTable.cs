using Grpc.Core;

namespace Mesh.Identity.Issuance;

/// <summary>What each <see cref="CertifyFault"/> is called in metrics, and what the caller gets: a code and one fixed sentence.</summary>
internal static class CertifyFaultTable
{
    public static StatusCode Code(CertifyFault fault) => Row(fault).Code;

    public static string Sentence(CertifyFault fault) => Row(fault).Sentence;

    /// <summary>snake_case name for metrics and logs.</summary>
    public static string Label(CertifyFault fault) => Row(fault).Label;

    private static (StatusCode Code, string Label, string Sentence) Row(CertifyFault fault) => fault switch
    {
        CertifyFault.None => (StatusCode.OK, "none", "The certificate was issued."),
        CertifyFault.Token => (StatusCode.Unauthenticated, "token", "The token was refused."),
        CertifyFault.IdentityMissing => (StatusCode.InvalidArgument, "identity_missing", "The request names no identity."),
        CertifyFault.IdentityTooLong => (StatusCode.InvalidArgument, "identity_too_long", "The identity is longer than 2048 bytes."),
        CertifyFault.RequestMissing => (StatusCode.InvalidArgument, "csr_missing", "The request carries no certificate signing request."),
        CertifyFault.RequestTooLarge => (StatusCode.InvalidArgument, "csr_too_large", "The certificate signing request is larger than 16 kB."),
        CertifyFault.RequestMalformed => (StatusCode.InvalidArgument, "csr_malformed", "The certificate signing request is not a PKCS#10 request in DER."),
        CertifyFault.RequestBadSignature => (StatusCode.InvalidArgument, "csr_bad_signature", "The certificate signing request is not signed by its own key."),
        CertifyFault.RequestKey => (StatusCode.InvalidArgument, "csr_key", "The certificate signing request has a key that is not accepted: use EC P-256 or P-384, or RSA of 2048 to 4096 bits."),
        CertifyFault.RequestForeignName => (StatusCode.PermissionDenied, "csr_foreign_name", "The certificate signing request asks for a name that is not the token's identity."),
        CertifyFault.IdentityMismatch => (StatusCode.PermissionDenied, "identity_mismatch", "The requested identity is not the token's identity."),
        CertifyFault.NotADnsName => (StatusCode.InvalidArgument, "not_a_dns_name", "The DNS form of the token's identity is longer than DNS allows; ask for the SPIFFE ID alone."),
        CertifyFault.IssuerUnavailable => (StatusCode.Unavailable, "issuer_unavailable", "The certificate authority has no usable issuer at present."),
        CertifyFault.IssuerExpiring => (StatusCode.Unavailable, "issuer_expiring", "The certificate authority's issuer expires too soon to issue a certificate."),
        CertifyFault.Overloaded => (StatusCode.ResourceExhausted, "overloaded", "Too many certificates are being issued; try again."),
        CertifyFault.Internal => (StatusCode.Internal, "internal", "The certificate could not be signed."),
        _ => throw new ArgumentOutOfRangeException(nameof(fault), fault, null),
    };
}
