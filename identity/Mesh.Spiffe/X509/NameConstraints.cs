namespace Mesh.Spiffe.X509;

/// <summary>One permitted or excluded subtree. <see cref="IsUsable"/> is false when it has a minimum or maximum, which RFC 5280 does not allow.</summary>
internal readonly record struct NameSubtree(GeneralName Base, bool IsUsable);

/// <summary>
/// The name constraints of one CA (RFC 5280 section 4.2.1.10), applied whether critical or not. URI, DNS, address and directory
/// subtrees are understood; any other form, and a value that is not what its form must be, counts against every name of that form:
/// what cannot be judged is refused.
/// </summary>
internal sealed class NameConstraints
{
    public const int MaxSubtrees = 128;

    private readonly List<NameSubtree> _permitted = [];
    private readonly List<NameSubtree> _excluded = [];

    private NameConstraints() { }

    /// <summary>Reads the extension's value.</summary>
    public static CertificateFault Read(ReadOnlyMemory<byte> value, out NameConstraints? constraints)
    {
        constraints = null;
        var outer = new DerReader(value);
        if (!outer.TryRead(DerReader.Sequence, out var content) || !outer.IsEmpty || content.IsEmpty) return CertificateFault.BadExtension;
        var read = new NameConstraints();
        var reader = new DerReader(content);
        var fault = ReadSubtrees(ref reader, 0xA0, read._permitted);
        if (fault == CertificateFault.None) fault = ReadSubtrees(ref reader, 0xA1, read._excluded);
        if (fault == CertificateFault.None && !reader.IsEmpty) fault = CertificateFault.BadExtension;
        if (fault == CertificateFault.None) constraints = read;
        return fault;
    }

    /// <summary>True when every name of the certificate is inside what is permitted and outside what is excluded.</summary>
    public bool Allow(Certificate certificate)
    {
        foreach (var name in certificate.AlternativeNames)
        {
            if (!Allow(name)) return false;
        }

        if (!DistinguishedName.IsEmpty(certificate.RawSubject) && !Allow(new GeneralName(GeneralNameForm.Directory, certificate.RawSubject))) return false;
        // RFC 5280 section 4.2.1.10: an e-mail constraint also binds an address in the subject.
        return !Constrains(GeneralNameForm.Email) || !DistinguishedName.HasAttribute(certificate.RawSubject, ObjectIdentifiers.EmailAddress);
    }

    private bool Constrains(GeneralNameForm form) => _permitted.Exists(s => s.Base.Form == form) || _excluded.Exists(s => s.Base.Form == form);

    private bool Allow(GeneralName name)
    {
        foreach (var subtree in _excluded)
        {
            if (subtree.Base.Form == name.Form && (!subtree.IsUsable || MayExclude(subtree.Base, name))) return false;
        }

        var constrained = false;
        foreach (var subtree in _permitted)
        {
            if (subtree.Base.Form != name.Form) continue;
            if (subtree.IsUsable && Permits(subtree.Base, name)) return true;
            constrained = true;
        }

        return !constrained;
    }

    private static bool Permits(GeneralName subtree, GeneralName name) => name.Form switch
    {
        GeneralNameForm.Uri => HostOf(name.Text) is { } host && UriConstraint.IsUsable(subtree.Text) && UriConstraint.Matches(subtree.Text, host),
        GeneralNameForm.Dns => DnsConstraint.IsName(name.Text) && DnsConstraint.IsUsable(subtree.Text) && DnsConstraint.Matches(subtree.Text, name.Text),
        GeneralNameForm.IpAddress => AddressConstraint.IsUsable(subtree.Value.Span) && AddressConstraint.Matches(subtree.Value.Span, name.Value.Span),
        GeneralNameForm.Directory => DistinguishedName.StartsWith(name.Value, subtree.Value),
        _ => false,
    };

    // Mirrors Permits, but doubt counts as a match.
    private static bool MayExclude(GeneralName subtree, GeneralName name) => name.Form switch
    {
        GeneralNameForm.Uri => HostOf(name.Text) is not { } host || !UriConstraint.IsUsable(subtree.Text) || UriConstraint.Matches(subtree.Text, host),
        GeneralNameForm.Dns => !DnsConstraint.IsName(name.Text) || !DnsConstraint.IsUsable(subtree.Text) || DnsConstraint.MayCover(subtree.Text, name.Text),
        GeneralNameForm.IpAddress => !AddressConstraint.IsUsable(subtree.Value.Span) || AddressConstraint.Matches(subtree.Value.Span, name.Value.Span),
        // Two spellings of one directory name differ in bytes, so a name that merely looks different may still be the excluded one.
        _ => true,
    };

    /// <summary>
    /// The host of a URI, or null when there is none that a constraint could be held against. RFC 5280 wants a fully qualified name
    /// there; for SPIFFE a single label and an underscore must do as well (SPIFFE-ID section 2.1 allows them), but an address is refused.
    /// </summary>
    private static string? HostOf(string uri)
    {
        var start = uri.IndexOf("://", StringComparison.Ordinal);
        if (start <= 0) return null;
        var authority = uri.AsSpan(start + 3);
        var end = authority.IndexOfAny('/', '?', '#');
        if (end >= 0) authority = authority[..end];
        authority = authority[(authority.LastIndexOf('@') + 1)..];
        var port = authority.LastIndexOf(':');
        if (port >= 0)
        {
            if (authority[(port + 1)..].ContainsAnyExceptInRange('0', '9')) return null;
            authority = authority[..port];
        }

        foreach (var c in authority)
        {
            if (!char.IsAsciiLetterOrDigit(c) && c is not ('.' or '-' or '_')) return null;
        }

        return authority.IsEmpty || LooksLikeAddress(authority) ? null : authority.ToString();
    }

    private static bool LooksLikeAddress(ReadOnlySpan<char> host)
    {
        foreach (var c in host)
        {
            if (!char.IsAsciiDigit(c) && c != '.') return false;
        }

        return true;
    }

    private static CertificateFault ReadSubtrees(ref DerReader reader, byte tag, List<NameSubtree> into)
    {
        if (!reader.TryRead(tag, out var content)) return CertificateFault.None;
        if (content.IsEmpty) return CertificateFault.BadExtension;
        var list = new DerReader(content);
        while (!list.IsEmpty)
        {
            if (into.Count == MaxSubtrees) return CertificateFault.TooManyParts;
            if (!list.TryRead(DerReader.Sequence, out var subtree)) return CertificateFault.BadExtension;
            var parts = new DerReader(subtree);
            if (!GeneralName.TryRead(ref parts, out var name)) return CertificateFault.BadExtension;
            into.Add(new NameSubtree(name, parts.IsEmpty));
        }

        return CertificateFault.None;
    }
}
