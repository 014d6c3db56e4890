using System.Collections.Immutable;
using Mesh.Spiffe;
using Mesh.Trust.Issuing;

namespace Mesh.Trust.Issuers;

/// <summary>What <see cref="IssuerGate"/> found.</summary>
public sealed class IssuerExamination
{
    internal IssuerExamination(SvidIssuer? issuer, IssuerProblem? problem, ImmutableArray<IssuerRemark> remarks, DateTimeOffset? validFrom, Certificate? unknownRoot)
    {
        Issuer = issuer;
        Problem = problem;
        Remarks = remarks;
        ValidFrom = validFrom;
        UnknownRoot = unknownRoot;
    }

    /// <summary>Ready to issue; null when there is a problem.</summary>
    public SvidIssuer? Issuer { get; }

    /// <summary>Why not; null when the material was accepted.</summary>
    public IssuerProblem? Problem { get; }

    /// <summary>Said about accepted material only.</summary>
    public ImmutableArray<IssuerRemark> Remarks { get; }

    /// <summary>With <see cref="IssuerFault.NotYetValid"/>: when the same material will be good.</summary>
    public DateTimeOffset? ValidFrom { get; }

    /// <summary>With <see cref="IssuerFault.UnknownAnchor"/>: the root to distribute first.</summary>
    public Certificate? UnknownRoot { get; }
}
