using Mesh.Spiffe;
using Mesh.Trust.Keys;

namespace Mesh.Trust.Issuing;

/// <summary>What a certificate authority's own certificate shall say. Start from <see cref="Root"/> or <see cref="Issuer"/>.</summary>
public sealed record AuthorityProfile
{
    private AuthorityProfile(TrustDomain trustDomain, string commonName, TimeSpan lifetime, int? pathLength) =>
        (TrustDomain, CommonName, Lifetime, PathLength) = (trustDomain, commonName, lifetime, pathLength);

    /// <summary>A root for ten years, above one level of issuers.</summary>
    public static AuthorityProfile Root(TrustDomain trustDomain) => new(trustDomain, "Mesh root", TimeSpan.FromDays(3650), pathLength: 1);

    /// <summary>An issuer for one year, above SVIDs only.</summary>
    public static AuthorityProfile Issuer(TrustDomain trustDomain) => new(trustDomain, "Mesh issuer", TimeSpan.FromDays(365), pathLength: 0);

    public TrustDomain TrustDomain { get; }

    /// <summary>For people; what makes the Subject unique is added (see <see cref="CertificateFields.AuthorityName"/>). At most 64 characters.</summary>
    public string CommonName { get; init; }

    public KeyAlgorithm Algorithm { get; init; } = KeyAlgorithm.EcP256;

    /// <summary>From now; cut where the signing authority ends earlier.</summary>
    public TimeSpan Lifetime { get; init; }

    /// <summary>How many levels of authorities may be below this one; null for no bound.</summary>
    public int? PathLength { get; init; }

    /// <summary>How far the start of validity lies in the past, for readers whose clocks are slow.</summary>
    public TimeSpan Backdate { get; init; } = TimeSpan.FromSeconds(20);
}
