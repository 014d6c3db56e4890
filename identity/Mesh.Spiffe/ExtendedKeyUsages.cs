namespace Mesh.Spiffe;

/// <summary>The purposes in an extended key usage extension (RFC 5280 section 4.2.1.12), as far as TLS is concerned.</summary>
[Flags]
public enum ExtendedKeyUsages
{
    None = 0,
    ServerAuth = 1,
    ClientAuth = 2,

    /// <summary>anyExtendedKeyUsage.</summary>
    Any = 4,

    /// <summary>At least one purpose that is none of the above.</summary>
    Other = 8,
}
