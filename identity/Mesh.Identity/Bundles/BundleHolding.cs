using Google.Protobuf.WellKnownTypes;
using Mesh.Protocol.Trust;
using Mesh.Spiffe;

namespace Mesh.Identity.Bundles;

/// <summary>Why a status message cannot be taken.</summary>
internal enum HoldingFault
{
    None,

    /// <summary>The SPIFFE ID in the message is not the one of the peer's certificate.</summary>
    ForeignId,

    /// <summary>No instance id, or one that is too long or not printable ASCII.</summary>
    BadInstanceId,

    /// <summary>A text or key id beyond its bound.</summary>
    TooLong,

    /// <summary>The expiry is not a point in time.</summary>
    BadExpiry,
}

/// <summary>What one proxy says it holds now: parsed from <see cref="BundleStatus"/>, every field within its bounds.</summary>
internal sealed record BundleHolding
{
    private const int MaxInstanceId = 128;
    private const int MaxVersion = 64;
    private const int MaxRejection = 256;
    private const int MaxKeyId = 64;

    private BundleHolding(string instanceId) => InstanceId = instanceId;

    /// <summary>Sequence of the bundle in force there; 0 before the first.</summary>
    public ulong Sequence { get; private init; }

    /// <summary>Key id of the authority that signed its SVID, lower hex; empty when not said.</summary>
    public string AuthorityKeyId { get; private init; } = "";

    public DateTimeOffset? SvidExpiresAt { get; private init; }

    /// <summary>Unique for a process run.</summary>
    public string InstanceId { get; }

    public string Version { get; private init; } = "";

    /// <summary>Why the newest update was not taken; empty when it was.</summary>
    public string Rejection { get; private init; } = "";

    /// <param name="status">As received.</param>
    /// <param name="peer">The identity proven by the connection's client certificate.</param>
    /// <param name="fault">None when a holding is returned.</param>
    public static BundleHolding? Parse(BundleStatus status, SpiffeId peer, out HoldingFault fault)
    {
        fault = Judge(status, peer);
        if (fault != HoldingFault.None) return null;
        return new BundleHolding(status.InstanceId)
        {
            Sequence = status.BundleSequence,
            AuthorityKeyId = Convert.ToHexStringLower(status.AuthorityKeyId.Span),
            SvidExpiresAt = status.SvidExpiresAt is { } expiry ? DateTimeOffset.UnixEpoch.AddSeconds(expiry.Seconds) : null,
            Version = status.Version,
            Rejection = status.Rejection,
        };
    }

    private static HoldingFault Judge(BundleStatus status, SpiffeId peer)
    {
        if (!string.Equals(status.SpiffeId, peer.ToString(), StringComparison.Ordinal)) return HoldingFault.ForeignId;
        if (status.InstanceId.Length is 0 or > MaxInstanceId || !IsPrintable(status.InstanceId)) return HoldingFault.BadInstanceId;
        if (status.AuthorityKeyId.Length > MaxKeyId || status.Version.Length > MaxVersion || status.Rejection.Length > MaxRejection) return HoldingFault.TooLong;
        if (!IsPrintable(status.Version) || !IsPrintable(status.Rejection)) return HoldingFault.TooLong;
        return status.SvidExpiresAt is null || IsPointInTime(status.SvidExpiresAt) ? HoldingFault.None : HoldingFault.BadExpiry;
    }

    // The texts end up in logs, tables and JSON: control characters have no business there.
    private static bool IsPrintable(string text) => !text.AsSpan().ContainsAnyExceptInRange(' ', '~');

    // Timestamp's own range: years 1 to 9999.
    private static bool IsPointInTime(Timestamp time) => time.Seconds is >= -62_135_596_800 and <= 253_402_300_799;
}
