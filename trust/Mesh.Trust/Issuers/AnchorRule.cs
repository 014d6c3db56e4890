namespace Mesh.Trust.Issuers;

/// <summary>Which trust anchors an issuer may chain to.</summary>
public enum AnchorRule
{
    /// <summary>Only self-signed ones: what every verifier accepts as a root (X509-SVID section 6.1 recommends it).</summary>
    SelfSigned,

    /// <summary>Also an intermediate that somebody chose as an anchor. OpenSSL accepts it with partial chains only.</summary>
    IntermediateAllowed,
}
