namespace Mesh.Identity.Bundles;

/// <summary>How an open stream stands to the bundle in force here. The closed set behind the metric's label.</summary>
internal enum HoldingState
{
    /// <summary>Nothing reported yet.</summary>
    Silent,

    /// <summary>Holds the bundle in force.</summary>
    Current,

    /// <summary>Holds an older bundle.</summary>
    Behind,

    /// <summary>Holds a newer bundle: another replica is ahead of this one.</summary>
    Ahead,

    /// <summary>Says it could not take the newest update.</summary>
    Rejected,
}

internal static class HoldingStates
{
    public static readonly HoldingState[] All = Enum.GetValues<HoldingState>();

    public static string Label(this HoldingState state) => state switch
    {
        HoldingState.Silent => "silent",
        HoldingState.Current => "current",
        HoldingState.Behind => "behind",
        HoldingState.Ahead => "ahead",
        HoldingState.Rejected => "rejected",
        _ => throw new ArgumentOutOfRangeException(nameof(state), state, null),
    };
}
