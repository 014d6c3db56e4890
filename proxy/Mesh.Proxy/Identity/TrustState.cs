using System.Collections.Immutable;
using Google.Protobuf;
using Mesh.Protocol.Trust;
using Mesh.Spiffe;

namespace Mesh.Proxy.Identity;

/// <summary>
/// Which anchors a proxy trusts, given what the bootstrap file and the identity service's stream have said so far. Immutable;
/// every step is a pure function.
/// </summary>
/// <remarks>
/// <para>The file is for the start: until the stream has spoken, it is in force. Once the stream has spoken it wins, and the file, which
/// the platform refreshes minutes later, is only remembered. While the stream is away, a file with content never seen before is news
/// (we missed a rotation) and comes into force, exactly as it would after a restart; a file with content that the stream has replaced
/// is old and does not.</para>
/// <para>Sequences guard against a replica that lags: an older bundle is not taken from whoever offers it. But numbers start again when
/// an authority is restored or reinstalled, and a proxy must not be lost to that: an older bundle that the service still offers after
/// <see cref="RollbackPatience"/> is taken. An attacker gains nothing by it: who can speak as the identity service can sign as well.</para>
/// <para>A bundle under which our own certificate does not verify waits until we have renewed: the sender moved too early, and the
/// refusal tells it so. It never waits for a certificate that has expired.</para>
/// </remarks>
internal sealed record TrustState
{
    public const int MaxAnchors = 64;

    /// <summary>How long an offered bundle that is older than the one in force is held back.</summary>
    public static readonly TimeSpan RollbackPatience = TimeSpan.FromMinutes(2);

    private const int RememberedBundles = 16;

    public required TrustDomain TrustDomain { get; init; }

    /// <summary>The newest usable content of the bootstrap file.</summary>
    public TrustBundle? File { get; private init; }

    /// <summary>What peers are judged by; null before anything is known.</summary>
    public TrustBundle? InForce { get; private init; }

    /// <summary>The sequence of <see cref="InForce"/>; 0 when it comes from the file.</summary>
    public ulong Sequence => _fromFile ? 0 : _streamSequence;

    /// <summary>Whether the stream has brought an update since it was last opened.</summary>
    public bool Connected { get; private init; }

    /// <summary>A bundle that was offered and is held back, and why.</summary>
    public HeldBundle? Held { get; private init; }

    private ImmutableList<TrustBundle> Replaced { get; init; } = [];

    private ulong _streamSequence { get; init; }

    private bool _fromFile { get; init; } = true;

    /// <summary>
    /// What the identity service is judged by, and certificates that it issues: the bundle in force, one that is only held back until we
    /// have renewed, and the file, unless the stream has replaced its content. A service that has moved on must stay reachable.
    /// </summary>
    public TrustBundle? ForControlPlane
    {
        get
        {
            IEnumerable<Certificate> anchors = InForce?.X509Authorities ?? [];
            if (Held is { Refusal: BundleRefusal.OrphansOwnCertificate } held) anchors = anchors.Concat(held.Bundle.X509Authorities);
            if (File is not null && !IsReplaced(File)) anchors = anchors.Concat(File.X509Authorities);
            ImmutableArray<Certificate> union = [.. anchors.DistinctBy(a => a.Sha256)];
            return union.IsEmpty ? null : new TrustBundle(TrustDomain, union, null, null);
        }
    }

    /// <summary>The file was read and its content is usable.</summary>
    public TrustState WithFile(TrustBundle file) => (this with { File = file }).AdoptFileWhenAlone();

    /// <summary>The stream has ended. An older bundle that nobody offers any more is forgotten; one that waits for our renewal still waits.</summary>
    public TrustState WithoutStream() =>
        (this with { Connected = false, Held = Held is { Refusal: BundleRefusal.OlderThanInForce } ? null : Held }).AdoptFileWhenAlone();

    /// <summary>The stream has offered a bundle.</summary>
    /// <param name="bundle">The offer, parsed.</param>
    /// <param name="sequence">Its number, not 0.</param>
    /// <param name="svid">Our own certificate, or null before the first.</param>
    /// <param name="now">The time.</param>
    public TrustState WithOffer(TrustBundle bundle, ulong sequence, X509Svid? svid, DateTimeOffset now)
    {
        DateTimeOffset since = Held is { } held && held.Sequence == sequence && held.Bundle.HasSameAuthorities(bundle) ? held.Since : now;
        return (this with { Connected = true, Held = new HeldBundle(bundle, sequence, BundleRefusal.None, since) }).WithHeldJudged(svid, now);
    }

    /// <summary>Judges what is held back again: time has passed, or we have renewed.</summary>
    public TrustState WithHeldJudged(X509Svid? svid, DateTimeOffset now)
    {
        if (Held is not { } held) return this;
        BundleRefusal refusal = Judge(held, svid, now);
        if (refusal != BundleRefusal.None) return held.Refusal == refusal ? this : this with { Held = held with { Refusal = refusal } };
        return Replacing(held.Bundle) with { _streamSequence = held.Sequence, _fromFile = false, Held = null };
    }

    /// <summary>Brings a pushed update into the form of a bundle, or says why it is none.</summary>
    public static BundleRefusal Parse(BundleUpdate update, TrustDomain own, out TrustBundle? bundle)
    {
        bundle = null;
        if (!TrustDomain.TryParse(update.TrustDomain, out TrustDomain? named, out _) || named != own) return BundleRefusal.OtherTrustDomain;
        if (update.Sequence == 0) return BundleRefusal.NoSequence;
        if (update.Anchors.Count == 0) return BundleRefusal.Empty;
        if (update.Anchors.Count > MaxAnchors) return BundleRefusal.TooLarge;
        var anchors = ImmutableArray.CreateBuilder<Certificate>(update.Anchors.Count);
        foreach (ByteString der in update.Anchors)
        {
            if (!Certificate.TryParse(der.ToByteArray(), out Certificate? anchor, out _) || anchor.KeyKind == PublicKeyKind.Unsupported) return BundleRefusal.Unparsable;
            anchors.Add(anchor);
        }

        bundle = new TrustBundle(own, anchors.MoveToImmutable(), update.Sequence, null);
        return BundleRefusal.None;
    }

    private BundleRefusal Judge(HeldBundle offer, X509Svid? svid, DateTimeOffset now)
    {
        bool same = InForce is not null && InForce.HasSameAuthorities(offer.Bundle);
        if (same) return BundleRefusal.None;
        if (_streamSequence != 0 && offer.Sequence <= _streamSequence && now - offer.Since < RollbackPatience) return BundleRefusal.OlderThanInForce;
        return svid is not null && svid.Leaf.NotAfter > now && !Verifies(svid, offer.Bundle, now) ? BundleRefusal.OrphansOwnCertificate : BundleRefusal.None;
    }

    private TrustState AdoptFileWhenAlone()
    {
        if (File is null || Connected) return this;
        if (InForce is not null && (File.HasSameAuthorities(InForce) || (!_fromFile && IsReplaced(File)))) return this;
        return Replacing(File) with { _fromFile = true };
    }

    private TrustState Replacing(TrustBundle bundle)
    {
        ImmutableList<TrustBundle> replaced = Replaced.RemoveAll(b => b.HasSameAuthorities(bundle));
        if (InForce is { } before && !before.HasSameAuthorities(bundle)) replaced = replaced.Add(before);
        if (replaced.Count > RememberedBundles) replaced = replaced.RemoveAt(0);
        return this with { InForce = bundle, Replaced = replaced };
    }

    private bool IsReplaced(TrustBundle bundle) => Replaced.Any(b => b.HasSameAuthorities(bundle));

    internal static bool Verifies(X509Svid svid, TrustBundle bundle, DateTimeOffset now) =>
        SvidVerifier.Verify(svid.Chain, new TrustBundleSet(bundle), now).IsValid;
}

/// <summary>A bundle that was offered and is not in force.</summary>
/// <param name="Bundle">The offer.</param>
/// <param name="Sequence">Its number.</param>
/// <param name="Refusal">Why it is held back.</param>
/// <param name="Since">When it was first offered.</param>
internal sealed record HeldBundle(TrustBundle Bundle, ulong Sequence, BundleRefusal Refusal, DateTimeOffset Since);
