namespace Mesh.Trust.Issuers;

/// <summary>What is accepted about an issuer, and still better known.</summary>
public enum IssuerRemark
{
    NoUriName,
    NoSubjectKeyId,
    MaySignData,
    SharedSubject,
    IssuerIsAnchor,
    EndsSoon,
    RootInFile,
    OrderCorrected,
    IntermediateAnchor,
    ConstraintOnSingleLabel,
}

/// <summary>One sentence for each <see cref="IssuerRemark"/>.</summary>
public static class IssuerRemarkTable
{
    public static string Sentence(this IssuerRemark remark) => remark switch
    {
        IssuerRemark.NoUriName => "the issuer's certificate has no SPIFFE ID (X509-SVID section 3.2 recommends it); some CAs drop it from the request",
        IssuerRemark.NoSubjectKeyId => "the issuer's certificate has no subject key identifier, so SVIDs name it by one computed here",
        IssuerRemark.MaySignData => "the issuer's key usage also allows digitalSignature; an authority needs keyCertSign and cRLSign only",
        IssuerRemark.SharedSubject => "another key has the same Subject as the issuer; key identifiers tell them apart, a Subject of its own would be safer",
        IssuerRemark.IssuerIsAnchor => "the issuer is a trust anchor itself, so replacing the issuer means replacing the anchor everywhere",
        IssuerRemark.EndsSoon => "the issuer, or a certificate above it, has less left than two lifetimes of an SVID; SVIDs will be cut short",
        IssuerRemark.RootInFile => "the issuer's file holds the root, which is not sent to peers",
        IssuerRemark.OrderCorrected => "the certificates of the issuer's file were not in order, from the issuer upwards",
        IssuerRemark.IntermediateAnchor => "the trust anchor of the issuer is not self-signed; OpenSSL and others do not accept it as a root",
        IssuerRemark.ConstraintOnSingleLabel => "there are URI name constraints and the trust domain has no dot; strict verifiers refuse such hosts",
        _ => throw new ArgumentOutOfRangeException(nameof(remark)),
    };
}
