using System.Collections.Immutable;
using Mesh.Trust.Issuing;

namespace Mesh.Trust.Issuers;

/// <summary>The issuer at one moment. Immutable.</summary>
/// <param name="Issuer">In force; null when there is none to issue with.</param>
/// <param name="Problem">Why the newest material is not in force; null when it is. May stand beside an older issuer that still works.</param>
/// <param name="Remarks">About the issuer in force.</param>
public sealed record IssuerState(SvidIssuer? Issuer, IssuerProblem? Problem, ImmutableArray<IssuerRemark> Remarks)
{
    internal static IssuerState Start { get; } = new(null, null, []);

    /// <summary>
    /// Whether SVIDs can be issued at <paramref name="now"/>, and if not, why: what readiness shows. True again by itself, without a
    /// restart, when the material is good.
    /// </summary>
    public bool IsUsable(DateTimeOffset now, out IssuerProblem? why)
    {
        why = Issuer switch
        {
            null => Problem ?? new IssuerProblem(IssuerFault.Missing),
            _ when now < Issuer.NotBefore => new IssuerProblem(IssuerFault.NotYetValid, $"from {Issuer.NotBefore:u}, now {now:u}"),
            _ when now > Issuer.NotAfter => new IssuerProblem(IssuerFault.Expired, $"at {Issuer.NotAfter:u}, now {now:u}"),
            _ when Issuer.NotAfter - now < IssuancePolicy.ShortestLifetime => new IssuerProblem(IssuerFault.EndsTooSoon, $"at {Issuer.NotAfter:u}, now {now:u}"),
            _ => null,
        };
        return why is null;
    }

    // Generated equality would compare the remarks by the identity of their array.
    public bool Equals(IssuerState? other) =>
        other is not null && ReferenceEquals(Issuer, other.Issuer) && Problem == other.Problem && Remarks.AsSpan().SequenceEqual(other.Remarks.AsSpan());

    public override int GetHashCode() => HashCode.Combine(Issuer, Problem, Remarks.Length);
}
