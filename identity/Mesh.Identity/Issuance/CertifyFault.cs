namespace Mesh.Identity.Issuance;

/// <summary>Why a Certify call got no certificate, apart from what was wrong with its token: one member per rule. Frozen numbers: they index counters.</summary>
internal enum CertifyFault
{
    None = 0,

    /// <summary>The token was refused; the token's own verdict says why.</summary>
    Token = 1,
    IdentityMissing = 2,
    IdentityTooLong = 3,
    RequestMissing = 4,
    RequestTooLarge = 5,

    /// <summary>Not a PKCS#10 request in DER.</summary>
    RequestMalformed = 6,

    /// <summary>No proof that the caller holds the private key: the request's own signature is wrong.</summary>
    RequestBadSignature = 7,

    /// <summary>A key type or size that is not accepted.</summary>
    RequestKey = 8,

    /// <summary>The request asks for a name other than the two forms of the token's identity.</summary>
    RequestForeignName = 9,

    /// <summary>The identity asked for is not the token's.</summary>
    IdentityMismatch = 10,

    /// <summary>The DNS form was asked for, and the account's is no DNS name (a label beyond 63 characters, or more than 253 in all).</summary>
    NotADnsName = 11,

    /// <summary>No issuer loaded, or it is expired or otherwise unusable now.</summary>
    IssuerUnavailable = 12,

    /// <summary>The issuer's remaining life is too short for a certificate that could be renewed in time.</summary>
    IssuerExpiring = 13,

    /// <summary>Too many calls are under way.</summary>
    Overloaded = 14,

    /// <summary>Signing failed although everything was in order.</summary>
    Internal = 15,
}
