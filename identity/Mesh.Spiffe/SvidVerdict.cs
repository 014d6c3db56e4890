namespace Mesh.Spiffe;

/// <summary>
/// What <see cref="SvidVerifier"/> found. <see cref="Id"/> is set only on a valid verdict, so that a refused peer's claim cannot be taken
/// for its identity; the claim is in <see cref="ClaimedId"/>, for logs.
/// </summary>
public sealed record SvidVerdict
{
    private SvidVerdict(SvidFault fault) => Fault = fault;

    /// <summary>The peer's identity; null unless valid.</summary>
    public SpiffeId? Id => IsValid ? ClaimedId : null;

    /// <summary>The SPIFFE ID in the leaf, proven or not; null when there is none.</summary>
    public SpiffeId? ClaimedId { get; private init; }

    public SvidFault Fault { get; }

    public bool IsValid => Fault == SvidFault.None;

    /// <summary>The peer's leaf; null when there was none that could be read.</summary>
    public Certificate? Leaf { get; private init; }

    /// <summary>The authority of the bundle that the chain leads to; null unless the chain was valid.</summary>
    public Certificate? Anchor { get; private init; }

    /// <summary>The last second in which every certificate of the path is valid; the minimum of time when there is no path.</summary>
    public DateTimeOffset ValidUntil { get; private init; }

    /// <summary>One fixed sentence, and for a certificate or SPIFFE ID that cannot be read a second one that says why. Never text of the peer's.</summary>
    public string Sentence => Detail is null ? Fault.Sentence() : $"{Fault.Sentence()} {Detail}";

    private string? Detail { get; init; }

    internal static SvidVerdict Valid(SpiffeId id, Certificate leaf, Certificate anchor, DateTimeOffset validUntil) =>
        new(SvidFault.None) { ClaimedId = id, Leaf = leaf, Anchor = anchor, ValidUntil = validUntil };

    internal static SvidVerdict Refused(SvidFault fault, Certificate? leaf = null, SpiffeId? claimedId = null, string? detail = null) =>
        new(fault) { Leaf = leaf, ClaimedId = claimedId, Detail = detail };

    /// <summary>This verdict, except that a valid chain of anybody but <paramref name="expected"/> is refused.</summary>
    public SvidVerdict Expecting(SpiffeId expected) => IsValid && !expected.Equals(Id) ? Unexpected() : this;

    /// <summary>The same valid chain, refused because it is somebody else's.</summary>
    public SvidVerdict Unexpected() => new(SvidFault.UnexpectedId) { Leaf = Leaf, ClaimedId = ClaimedId, Anchor = Anchor, ValidUntil = ValidUntil };

    public override string ToString() => $"{ClaimedId?.ToString() ?? Leaf?.ToString() ?? "no certificate"}: {Sentence}";
}
