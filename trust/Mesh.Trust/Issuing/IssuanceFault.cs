namespace Mesh.Trust.Issuing;

/// <summary>Why no SVID was issued to a requester whose identity is known.</summary>
public enum IssuanceFault
{
    None,
    ForeignTrustDomain,
    RootPath,
    BadDnsName,
    TooManyDnsNames,
    LifetimeTooShort,
    LifetimeTooLong,
    IssuerNotYetValid,
    IssuerExpired,
    IssuerExpiresTooSoon,
}

/// <summary>One sentence for each <see cref="IssuanceFault"/>.</summary>
public static class IssuanceFaultTable
{
    public static string Sentence(this IssuanceFault fault) => fault switch
    {
        IssuanceFault.None => "the SVID was issued",
        IssuanceFault.ForeignTrustDomain => "the SPIFFE ID is not of the trust domain of the issuer",
        IssuanceFault.RootPath => "the SPIFFE ID has no path, and only an authority may have such an SVID",
        IssuanceFault.BadDnsName => "a DNS name is not made of lower-case labels of at most 63 characters and 253 in all",
        IssuanceFault.TooManyDnsNames => "more than 8 DNS names were asked for",
        IssuanceFault.LifetimeTooShort => "the lifetime asked for is below the minimum of 60 seconds",
        IssuanceFault.LifetimeTooLong => "the lifetime asked for is above the maximum that policy allows",
        IssuanceFault.IssuerNotYetValid => "the issuer certificate is not valid yet",
        IssuanceFault.IssuerExpired => "the issuer certificate, or one above it, has expired",
        IssuanceFault.IssuerExpiresTooSoon => "the issuer certificate, or one above it, expires in less than the minimum lifetime of an SVID",
        _ => throw new ArgumentOutOfRangeException(nameof(fault)),
    };
}
