using System.Collections.Immutable;

namespace Mesh.Hosting;

/// <summary>One thing that keeps the service from doing its work, with a name for machines and a sentence for people.</summary>
/// <param name="Reason">Lower case with underscores, from a closed set.</param>
/// <param name="Sentence">What is wrong and, where it helps, what would mend it.</param>
internal sealed record ReadinessReason(string Reason, string Sentence);

/// <summary>
/// Whether the service can issue right now. Judged anew at every question, from the state and the clock of that moment:
/// an issuer that expires takes readiness away without anything having to happen, and a good one gives it back.
/// </summary>
internal sealed class Readiness(params ImmutableArray<Func<DateTimeOffset, ReadinessReason?>> conditions)
{
    /// <summary>What stands in the way at <paramref name="now"/>; empty means ready.</summary>
    public ImmutableArray<ReadinessReason> Judge(DateTimeOffset now)
    {
        var reasons = ImmutableArray.CreateBuilder<ReadinessReason>();
        foreach (var condition in conditions)
            if (condition(now) is { } reason) reasons.Add(reason);
        return reasons.DrainToImmutable();
    }
}
