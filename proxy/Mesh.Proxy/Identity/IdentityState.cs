using Mesh.Protocol.Trust;
using Mesh.Spiffe;

namespace Mesh.Proxy.Identity;

/// <summary>
/// Holds the <see cref="ProxyIdentity"/> in force. Certificates come from renewal, anchors from the bootstrap file and the identity
/// service's stream; whatever changes, a new generation replaces the old one in one step.
/// </summary>
internal sealed class IdentityState(TrustDomain trustDomain, TimeProvider time)
{
    private readonly Lock _lock = new();
    private readonly long[] _refusals = new long[BundleRefusals.Count];
    private readonly List<Func<ProxyIdentity, Task>> _followers = [];
    private volatile TrustState _trust = new() { TrustDomain = trustDomain };
    private volatile Publication? _published;
    private X509Svid? _svid;
    private BundleRefusal _lastRefusal;

    /// <summary>The newest generation; null before the first certificate. Check <see cref="ProxyIdentity.IsValidAt"/>, or use <see cref="Usable"/>.</summary>
    public ProxyIdentity? Current => _published?.Identity;

    /// <summary>The newest generation while its certificate is valid; null means that no mesh connection may be made or taken.</summary>
    public ProxyIdentity? Usable => Current is { } current && current.IsValidAt(time.GetUtcNow()) ? current : null;

    /// <summary>The generation together with the task that completes when everyone who follows has put it in force.</summary>
    public Publication? Published => _published;

    public TrustState Trust => _trust;

    /// <summary>Anchors to judge the control plane and its answers by.</summary>
    public ITrustBundleSource ControlPlaneAnchors => new ControlPlaneSource(this);

    /// <summary>What the newest offer was refused for; <see cref="BundleRefusal.None"/> when it was taken.</summary>
    public BundleRefusal LastRefusal
    {
        get { lock (_lock) return _lastRefusal; }
    }

    /// <summary>Raised after a generation was published or an offer was judged, outside of all locks.</summary>
    public event Action? Changed;

    /// <summary>Raised when anchors came into force, or wait, under which our valid certificate does not verify.</summary>
    public event Action? CertificateOrphaned;

    /// <summary>
    /// Registers someone who must know each generation before the identity service is told that it is in force: whoever keeps TLS
    /// contexts. Called in order of generations, also at once when there is one; must only start the work and return its task.
    /// </summary>
    public void Follow(Func<ProxyIdentity, Task> follower)
    {
        lock (_lock)
        {
            _followers.Add(follower);
            if (_published is { } published) _published = published with { InForce = Task.WhenAll(published.InForce, follower(published.Identity)) };
        }
    }

    /// <summary>Offers refused for <paramref name="refusal"/> since the start.</summary>
    public long RefusalsOf(BundleRefusal refusal) => Interlocked.Read(ref _refusals[(int)refusal]);

    /// <summary>A renewed certificate. A bundle that waited for it comes into force in the same generation.</summary>
    public void UseSvid(X509Svid svid) => Change(trust => trust, svid, certificateMatters: false);

    /// <summary>New content of the bootstrap file.</summary>
    public void UseFile(TrustBundle bundle) => Change(trust => trust.WithFile(bundle), null, certificateMatters: true);

    /// <summary>The stream to the identity service has ended.</summary>
    public void StreamEnded()
    {
        lock (_lock) _lastRefusal = BundleRefusal.None;
        Change(trust => trust.WithoutStream(), null, certificateMatters: true);
    }

    /// <summary>Looks again at a bundle that is held back; called from time to time.</summary>
    public void Reconsider() => Change(trust => trust, null, certificateMatters: false);

    /// <summary>A bundle from the stream.</summary>
    public BundleRefusal Offer(BundleUpdate update)
    {
        BundleRefusal refusal = TrustState.Parse(update, trustDomain, out TrustBundle? bundle);
        if (bundle is not null)
        {
            Change(trust => trust.WithOffer(bundle, update.Sequence, _svid, time.GetUtcNow()), null, certificateMatters: true);
            refusal = _trust.Held?.Refusal ?? BundleRefusal.None;
        }

        lock (_lock) _lastRefusal = refusal;
        if (refusal != BundleRefusal.None) Interlocked.Increment(ref _refusals[(int)refusal]);
        if (bundle is null) Changed?.Invoke();
        return refusal;
    }

    private void Change(Func<TrustState, TrustState> step, X509Svid? svid, bool certificateMatters)
    {
        bool changed;
        bool orphaned;
        lock (_lock)
        {
            DateTimeOffset now = time.GetUtcNow();
            TrustState before = _trust;
            if (svid is not null) _svid = svid;
            TrustState after = step(before).WithHeldJudged(_svid, now);
            _trust = after;
            bool anchors = !ReferenceEquals(before.InForce, after.InForce) || before.Sequence != after.Sequence;
            if (_lastRefusal is BundleRefusal.OlderThanInForce or BundleRefusal.OrphansOwnCertificate && after.Held is null) _lastRefusal = BundleRefusal.None;
            if ((anchors || svid is not null) && _svid is not null && after.InForce is not null) Publish(after);
            changed = anchors || svid is not null || !ReferenceEquals(before.Held, after.Held);
            orphaned = certificateMatters && changed && _svid is not null && _svid.Leaf.NotAfter > now
                && (after.Held is { Refusal: BundleRefusal.OrphansOwnCertificate } || (after.InForce is not null && !TrustState.Verifies(_svid, after.InForce, now)));
        }

        if (changed) Changed?.Invoke();
        if (orphaned) CertificateOrphaned?.Invoke();
    }

    private void Publish(TrustState trust)
    {
        var identity = new ProxyIdentity((_published?.Identity.Generation ?? 0) + 1, _svid!, new TrustBundleSet(trust.InForce!), trust.Sequence);
        // The followers see it before anyone can ask whether they have.
        _published = new Publication(identity, Task.WhenAll(_followers.Select(follower => follower(identity))));
    }

    internal sealed record Publication(ProxyIdentity Identity, Task InForce);

    private sealed class ControlPlaneSource(IdentityState state) : ITrustBundleSource
    {
        public TrustBundle? Find(TrustDomain trustDomain) => state._trust.ForControlPlane is { } bundle && bundle.TrustDomain == trustDomain ? bundle : null;
    }
}
