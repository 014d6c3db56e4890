using Mesh.Spiffe;

namespace Mesh.Proxy.Identity;

/// <summary>
/// Who this proxy is and whom it trusts, of one generation. Immutable and swapped whole: a connection takes it once and can
/// never mix a certificate of one generation with anchors of another.
/// </summary>
internal sealed class ProxyIdentity
{
    public ProxyIdentity(long generation, X509Svid svid, TrustBundleSet bundles, ulong bundleSequence) =>
        (Generation, Svid, Bundles, BundleSequence) = (generation, svid, bundles, bundleSequence);

    /// <summary>Grows by one with every change; the first is 1.</summary>
    public long Generation { get; }

    public X509Svid Svid { get; }

    public TrustBundleSet Bundles { get; }

    /// <summary>The sequence of the own trust domain's bundle; 0 when it comes from the bootstrap file.</summary>
    public ulong BundleSequence { get; }

    /// <summary>Whether the certificate may still be shown to peers. The data path asks at every connection; a timer alone could be late.</summary>
    public bool IsValidAt(DateTimeOffset now) => Svid.Leaf.NotAfter > now;
}
