using Mesh.Spiffe;

namespace Mesh.Trust.Anchors;

/// <summary>Why the trust anchors file, as it is now, is not in force.</summary>
public enum AnchorFault
{
    Unreadable,
    BadContent,
    Empty,
}

/// <summary>What an operator reads about an <see cref="AnchorFault"/>.</summary>
public static class AnchorFaultTable
{
    public static string Sentence(this AnchorFault fault) => fault switch
    {
        AnchorFault.Unreadable => "the trust anchors file cannot be read",
        AnchorFault.BadContent => "the trust anchors file holds neither PEM certificates nor a SPIFFE bundle",
        AnchorFault.Empty => "the trust anchors file holds no X.509 authority, and nothing would be trusted",
        _ => throw new ArgumentOutOfRangeException(nameof(fault)),
    };
}

/// <summary>A fault with what is particular about this case.</summary>
public sealed record AnchorProblem(AnchorFault Fault, string Detail)
{
    public string Sentence => $"{Fault.Sentence()} ({Detail})";

    public override string ToString() => Sentence;
}

/// <summary>The trust anchors at one moment. Immutable.</summary>
/// <param name="Bundle">In force; null before the first good reading. Its sequence grows with every change of content.</param>
/// <param name="Problem">Why the newest content of the file is not in force; null when it is.</param>
public sealed record AnchorState(TrustBundle? Bundle, AnchorProblem? Problem);
