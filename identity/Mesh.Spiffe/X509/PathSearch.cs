using System.Security.Cryptography.X509Certificates;

namespace Mesh.Spiffe.X509;

/// <summary>
/// Looks for a valid certification path from a leaf to an authority of one bundle (RFC 5280 section 6.1), depth first and with a bound on
/// signature checks, since a peer can send certificates that all fit each other. Authorities are held to the same rules as
/// intermediates, dates included, except that one without key usage passes: roots made by hand often have none.
/// </summary>
internal ref struct PathSearch
{
    private const int MaxSignatureChecks = 32;

    private readonly TrustBundle _bundle;
    private readonly ReadOnlySpan<Certificate> _intermediates;
    private readonly DateTimeOffset _now;

    // Leaf first; what is at index i was signed by what is at i + 1.
    private readonly Certificate[] _path;
    private int _checks;

    public PathSearch(TrustBundle bundle, ReadOnlySpan<Certificate> intermediates, DateTimeOffset now)
    {
        _bundle = bundle;
        _intermediates = intermediates;
        _now = now;
        _path = new Certificate[intermediates.Length + 2];
        Fault = SvidFault.UntrustedChain;
    }

    /// <summary>Why there is no path: the fault of the path that came furthest.</summary>
    public SvidFault Fault { get; private set; }

    /// <summary>The end of the path that was found.</summary>
    public Certificate Anchor { get; private set; } = null!;

    /// <summary>The earliest end of validity on the path that was found.</summary>
    public DateTimeOffset ValidUntil { get; private set; }

    public bool Run(Certificate leaf)
    {
        _path[0] = leaf;
        return Extend(1, 0, 0);
    }

    /// <summary>The same for an authority, which is held to the rules of one and counts for the path lengths above it, since it is there to issue.</summary>
    public bool RunAuthority(Certificate authority)
    {
        _path[0] = authority;
        var isAnchor = _bundle.X509Authorities.Contains(authority);
        var fault = JudgeIssuer(authority, 0, isAnchor);
        if (fault != SvidFault.None)
        {
            Note(fault);
            return false;
        }

        if (!isAnchor) return Extend(1, 0, authority.IsSelfIssued ? 0 : 1);
        Accept(1);
        return true;
    }

    /// <param name="length">How many certificates the path has.</param>
    /// <param name="used">The intermediates on it, one bit each.</param>
    /// <param name="counted">How many of them count for a path length: those that are not self-issued.</param>
    private bool Extend(int length, int used, int counted)
    {
        var child = _path[length - 1];
        foreach (var anchor in _bundle.X509Authorities)
        {
            if (!MayHaveIssued(anchor, child) || !Signed(anchor, child, counted, isAnchor: true)) continue;
            _path[length] = anchor;
            if (!NamesAreAllowed(length + 1))
            {
                Note(SvidFault.NameConstraint);
                continue;
            }

            Accept(length + 1);
            return true;
        }

        for (var i = 0; i < _intermediates.Length; i++)
        {
            var issuer = _intermediates[i];
            if ((used & (1 << i)) != 0 || !MayHaveIssued(issuer, child) || !Signed(issuer, child, counted, isAnchor: false)) continue;
            _path[length] = issuer;
            if (Extend(length + 1, used | (1 << i), counted + (issuer.IsSelfIssued ? 0 : 1))) return true;
        }

        return false;
    }

    /// <summary>Names and, where both are there, key identifiers fit. An issuer without a name issues nothing (RFC 5280 section 4.1.2.4).</summary>
    private static bool MayHaveIssued(Certificate issuer, Certificate child) =>
        !DistinguishedName.IsEmpty(issuer.RawSubject)
        && issuer.RawSubject.Span.SequenceEqual(child.RawIssuer.Span)
        && (issuer.SubjectKeyId.IsEmpty || child.AuthorityKeyId.IsEmpty || issuer.SubjectKeyId.Span.SequenceEqual(child.AuthorityKeyId.Span));

    private bool Signed(Certificate issuer, Certificate child, int counted, bool isAnchor)
    {
        // The rules cost nothing, so they come before the signature.
        var fault = JudgeIssuer(issuer, counted, isAnchor);
        if (fault != SvidFault.None)
        {
            Note(fault);
            return false;
        }

        if (_bundle.VerifiedIssuers.Contains(child, issuer)) return true;
        if (_checks++ >= MaxSignatureChecks)
        {
            Note(SvidFault.TooMuchWork);
            return false;
        }

        if (child.VerifySignature(issuer)) return true;
        Note(SvidFault.BadSignature);
        return false;
    }

    private readonly SvidFault JudgeIssuer(Certificate issuer, int counted, bool isAnchor)
    {
        if (!issuer.IsCa) return SvidFault.IssuerNotCa;
        if (issuer.KeyUsages is null && !isAnchor) return SvidFault.MissingKeyUsage;
        if (issuer.KeyUsages is { } usages && !usages.HasFlag(X509KeyUsageFlags.KeyCertSign)) return SvidFault.IssuerMayNotSign;
        if (_now > issuer.NotAfter) return SvidFault.IssuerExpired;
        if (_now < issuer.NotBefore) return SvidFault.IssuerNotYetValid;
        if (counted > issuer.PathLength) return SvidFault.PathLength;
        if (issuer.HasUnknownCriticalExtension) return SvidFault.UnknownCriticalExtension;
        // Which end of a connection the leaf will be is not known here, so a CA that may vouch for one end only vouches for none.
        if (issuer.ExtendedKeyUsages is { } extended
            && !extended.HasFlag(ExtendedKeyUsages.Any)
            && !extended.HasFlag(ExtendedKeyUsages.ServerAuth | ExtendedKeyUsages.ClientAuth)) return SvidFault.WrongExtendedKeyUsage;
        return JudgeIssuerId(issuer);
    }

    /// <summary>A CA may have no SPIFFE ID, but if it has one it is that of a trust domain (X509-SVID section 3.2). Other URIs are its own affair.</summary>
    private static SvidFault JudgeIssuerId(Certificate issuer)
    {
        var seen = false;
        foreach (var uri in issuer.UriNames)
        {
            if (!uri.StartsWith("spiffe:", StringComparison.OrdinalIgnoreCase)) continue;
            if (seen || !SpiffeId.TryParse(uri, out var id, out _) || !id.IsRoot) return SvidFault.IssuerIdNotRoot;
            seen = true;
        }

        return SvidFault.None;
    }

    /// <summary>Holds every certificate of the path against the constraints of every CA above it; a self-issued CA is exempt (RFC 5280 section 6.1.3 b).</summary>
    private readonly bool NamesAreAllowed(int length)
    {
        for (var above = 1; above < length; above++)
        {
            if (_path[above].NameConstraints is not { } constraints) continue;
            for (var below = 0; below < above; below++)
            {
                if (below > 0 && _path[below].IsSelfIssued) continue;
                if (!constraints.Allow(_path[below])) return false;
            }
        }

        return true;
    }

    private void Accept(int length)
    {
        Anchor = _path[length - 1];
        ValidUntil = DateTimeOffset.MaxValue;
        for (var i = 0; i < length; i++)
        {
            if (_path[i].NotAfter < ValidUntil) ValidUntil = _path[i].NotAfter;
            // Not the leaf: it would only push out what is worth keeping.
            if (i > 0 && i < length - 1) _bundle.VerifiedIssuers.Add(_path[i], _path[i + 1]);
        }

        Fault = SvidFault.None;
    }

    private void Note(SvidFault fault)
    {
        if (Weight(fault) > Weight(Fault)) Fault = fault;

        static int Weight(SvidFault fault) => fault switch
        {
            SvidFault.UntrustedChain => 0,
            SvidFault.BadSignature => 1,
            SvidFault.NameConstraint => 3,
            SvidFault.TooMuchWork => 4,
            _ => 2,
        };
    }
}
