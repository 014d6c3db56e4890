using System.Collections.Immutable;
using System.Security.Cryptography.X509Certificates;
using Mesh.Spiffe.X509;

namespace Mesh.Spiffe;

/// <summary>
/// The one place where certificates are judged: whether a chain is a valid X509-SVID (X509-SVID section 5, RFC 5280 section 6) of a
/// trust domain whose bundle we hold. No clock of its own, no network, no system store, and a bounded amount of work for any input.
/// </summary>
public static class SvidVerifier
{
    /// <summary>The most certificates beside the leaf that a peer may send.</summary>
    public const int MaxIntermediates = 8;

    /// <summary>
    /// Judges what a peer sent. The leaf comes first, the others in any order. Only authorities of the leaf's own trust domain count, and
    /// they are looked up before any signature is checked.
    /// </summary>
    public static SvidVerdict Verify(ReadOnlySpan<ReadOnlyMemory<byte>> chainDer, ITrustBundleSource bundles, DateTimeOffset now)
    {
        if (chainDer.IsEmpty) return SvidVerdict.Refused(SvidFault.NoCertificate);
        if (chainDer.Length > MaxIntermediates + 1) return SvidVerdict.Refused(SvidFault.ChainTooLong);
        if (!Certificate.TryParse(chainDer[0], out var leaf, out var certificateFault)) return SvidVerdict.Refused(SvidFault.Malformed, detail: certificateFault.Sentence());
        if (Begin(leaf, bundles, now, out var id, out var bundle) is { } refused) return refused;

        var intermediates = new Certificate[chainDer.Length - 1];
        for (var i = 0; i < intermediates.Length; i++)
        {
            var der = chainDer[i + 1];
            if (bundle!.VerifiedIssuers.Find(der.Span) is { } known) intermediates[i] = known;
            else if (Certificate.TryParse(der, out var parsed, out certificateFault)) intermediates[i] = parsed;
            else return SvidVerdict.Refused(SvidFault.Malformed, leaf, id, certificateFault.Sentence());
        }

        return Finish(leaf, id!, intermediates, bundle!, now);
    }

    /// <inheritdoc cref="Verify(ReadOnlySpan{ReadOnlyMemory{byte}}, ITrustBundleSource, DateTimeOffset)"/>
    public static SvidVerdict Verify(ImmutableArray<Certificate> chain, ITrustBundleSource bundles, DateTimeOffset now)
    {
        if (chain.IsDefaultOrEmpty) return SvidVerdict.Refused(SvidFault.NoCertificate);
        if (chain.Length > MaxIntermediates + 1) return SvidVerdict.Refused(SvidFault.ChainTooLong);
        if (Begin(chain[0], bundles, now, out var id, out var bundle) is { } refused) return refused;
        return Finish(chain[0], id!, chain.AsSpan()[1..], bundle!, now);
    }

    /// <summary>
    /// Judges an authority, such as an issuer's certificate: whether what it issues can lead to an anchor of <paramref name="bundle"/>. No
    /// peer is ever admitted on this; it is for those who hold an authority's certificate and want to know what it is worth.
    /// </summary>
    /// <param name="chain">The authority first, the others in any order.</param>
    /// <param name="anchor">The authority of the bundle that the chain leads to, which may be the first of the chain itself; null when refused.</param>
    /// <param name="validUntil">The last second in which every certificate of the path is valid; the minimum of time when refused.</param>
    public static SvidFault VerifyAuthority(ImmutableArray<Certificate> chain, TrustBundle bundle, DateTimeOffset now, out Certificate? anchor, out DateTimeOffset validUntil)
    {
        (anchor, validUntil) = (null, default);
        if (chain.IsDefaultOrEmpty) return SvidFault.NoCertificate;
        if (chain.Length > MaxIntermediates + 1) return SvidFault.ChainTooLong;
        if (bundle.X509Authorities.IsEmpty) return SvidFault.NoAuthorities;
        var search = new PathSearch(bundle, chain.AsSpan()[1..], now);
        if (!search.RunAuthority(chain[0])) return search.Fault;
        (anchor, validUntil) = (search.Anchor, search.ValidUntil);
        return SvidFault.None;
    }

    /// <summary>
    /// The rules of an SVID's leaf that need neither clock nor bundle (X509-SVID sections 2 to 5). Who issues or stores an SVID asks this
    /// before handing it out.
    /// </summary>
    public static SvidFault JudgeLeaf(Certificate leaf, out SpiffeId? id) => JudgeLeaf(leaf, out id, out _);

    private static SvidVerdict? Begin(Certificate leaf, ITrustBundleSource bundles, DateTimeOffset now, out SpiffeId? id, out TrustBundle? bundle)
    {
        bundle = null;
        var fault = JudgeLeaf(leaf, out id, out var idFault);
        if (fault == SvidFault.BadSpiffeId) return SvidVerdict.Refused(fault, leaf, id, idFault.Sentence());
        if (fault != SvidFault.None) return SvidVerdict.Refused(fault, leaf, id);
        bundle = bundles.Find(id!.TrustDomain);
        if (bundle is null || !bundle.TrustDomain.Equals(id.TrustDomain)) return SvidVerdict.Refused(SvidFault.UnknownTrustDomain, leaf, id);
        if (bundle.X509Authorities.IsEmpty) return SvidVerdict.Refused(SvidFault.NoAuthorities, leaf, id);
        if (now > leaf.NotAfter) return SvidVerdict.Refused(SvidFault.Expired, leaf, id);
        return now < leaf.NotBefore ? SvidVerdict.Refused(SvidFault.NotYetValid, leaf, id) : null;
    }

    private static SvidVerdict Finish(Certificate leaf, SpiffeId id, ReadOnlySpan<Certificate> intermediates, TrustBundle bundle, DateTimeOffset now)
    {
        var search = new PathSearch(bundle, intermediates, now);
        return search.Run(leaf)
            ? SvidVerdict.Valid(id, leaf, search.Anchor, search.ValidUntil)
            : SvidVerdict.Refused(search.Fault, leaf, id);
    }

    private static SvidFault JudgeLeaf(Certificate leaf, out SpiffeId? id, out SpiffeIdFault idFault)
    {
        id = null;
        idFault = SpiffeIdFault.None;
        if (leaf.UriNames.IsEmpty) return SvidFault.NoUriName;
        if (leaf.UriNames.Length > 1) return SvidFault.SeveralUriNames;
        if (!SpiffeId.TryParse(leaf.UriNames[0], out id, out idFault)) return SvidFault.BadSpiffeId;
        if (id.IsRoot) return SvidFault.RootPath;
        if (leaf.IsCa) return SvidFault.LeafIsCa;
        if (leaf.KeyUsages is not { } usages) return SvidFault.MissingKeyUsage;
        if (usages.HasFlag(X509KeyUsageFlags.KeyCertSign)) return SvidFault.LeafSignsCertificates;
        if (usages.HasFlag(X509KeyUsageFlags.CrlSign)) return SvidFault.LeafSignsRevocationLists;
        if (!usages.HasFlag(X509KeyUsageFlags.DigitalSignature)) return SvidFault.NoDigitalSignature;
        if (!leaf.KeyUsagesAreCritical) return SvidFault.KeyUsageNotCritical;
        if (leaf.ExtendedKeyUsages is { } extended && !extended.HasFlag(ExtendedKeyUsages.ServerAuth | ExtendedKeyUsages.ClientAuth)) return SvidFault.WrongExtendedKeyUsage;
        if (DistinguishedName.IsEmpty(leaf.RawSubject) && !leaf.AlternativeNamesAreCritical) return SvidFault.NameNotCritical;
        return leaf.HasUnknownCriticalExtension ? SvidFault.UnknownCriticalExtension : SvidFault.None;
    }
}
