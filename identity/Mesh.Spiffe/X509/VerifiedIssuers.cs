using System.Collections.Immutable;

namespace Mesh.Spiffe.X509;

/// <summary>
/// CA certificates that have been found on a valid path to an authority of one bundle, each with the certificate that signed it. A peer's
/// intermediate is recognised by its bytes, so that its signature is checked once for each bundle and not once for each handshake; its dates
/// and permissions are checked on every use. Only what an authority's key vouches for gets in, and only so many.
/// </summary>
internal sealed class VerifiedIssuers
{
    private const int MaxLinks = 32;

    private ImmutableArray<Link> _links = [];

    /// <summary>The certificate read earlier from the same bytes, or null.</summary>
    public Certificate? Find(ReadOnlySpan<byte> der)
    {
        foreach (var link in _links)
        {
            if (link.Certificate.Der.Span.SequenceEqual(der)) return link.Certificate;
        }

        return null;
    }

    /// <summary>True when this very object was found to be signed by that very object.</summary>
    public bool Contains(Certificate certificate, Certificate signer)
    {
        foreach (var link in _links)
        {
            if (ReferenceEquals(link.Certificate, certificate) && ReferenceEquals(link.Signer, signer)) return true;
        }

        return false;
    }

    public void Add(Certificate certificate, Certificate signer)
    {
        if (Contains(certificate, signer)) return;
        ImmutableInterlocked.Update(
            ref _links,
            static (links, link) => links.Length >= MaxLinks || links.Contains(link) ? links : links.Add(link),
            new Link(certificate, signer));
    }

    // Compared by bytes, so that two first handshakes at once do not fill two places.
    private readonly record struct Link(Certificate Certificate, Certificate Signer);
}
