namespace Mesh.Spiffe.X509;

/// <summary>
/// The host rules for URI constraints (RFC 5280 section 4.2.1.10): <c>example.org</c> is that host and no other,
/// <c>.example.org</c> is every host below it and not itself.
/// </summary>
internal static class UriConstraint
{
    /// <summary>False for what is no host at all, such as a whole URI: the usual mistake of people who write such constraints.</summary>
    public static bool IsUsable(string constraint)
    {
        var host = constraint.StartsWith('.') ? constraint.AsSpan(1) : constraint;
        return DnsConstraint.IsHostText(host);
    }

    public static bool Matches(string constraint, string host) => constraint.StartsWith('.')
        ? host.Length > constraint.Length && host.EndsWith(constraint, StringComparison.OrdinalIgnoreCase)
        : host.Equals(constraint, StringComparison.OrdinalIgnoreCase);
}

/// <summary>
/// The rules for DNS constraints (RFC 5280 section 4.2.1.10): <c>example.org</c> is that name and every name below it. A leading dot is
/// outside the standard but in use, and means only names below.
/// </summary>
internal static class DnsConstraint
{
    public static bool IsUsable(string constraint) => constraint.Length == 0 || IsHostText(constraint.StartsWith('.') ? constraint.AsSpan(1) : constraint);

    /// <summary>A DNS name as a certificate may hold it: labels, perhaps <c>*.</c> in front.</summary>
    public static bool IsName(string name) => IsHostText(WithoutWildcard(name));

    public static bool Matches(string constraint, string name)
    {
        if (constraint.Length == 0) return true;
        if (constraint.StartsWith('.')) return name.Length > constraint.Length && name.EndsWith(constraint, StringComparison.OrdinalIgnoreCase);
        if (!name.EndsWith(constraint, StringComparison.OrdinalIgnoreCase)) return false;
        return name.Length == constraint.Length || name[^(constraint.Length + 1)] == '.';
    }

    /// <summary>Like <see cref="Matches"/>, and also true when a wildcard name could stand for a name inside the subtree.</summary>
    public static bool MayCover(string constraint, string name)
    {
        if (Matches(constraint, name)) return true;
        if (!name.StartsWith("*.", StringComparison.Ordinal)) return false;
        var parent = name[1..];
        return constraint.EndsWith(parent, StringComparison.OrdinalIgnoreCase) || Matches(constraint, parent[1..]);
    }

    /// <summary>Labels of letters, digits, dashes and underscores with one dot between each.</summary>
    public static bool IsHostText(ReadOnlySpan<char> text)
    {
        if (text.IsEmpty) return false;
        var labelLength = 0;
        foreach (var c in text)
        {
            if (c == '.')
            {
                if (labelLength == 0) return false;
                labelLength = 0;
                continue;
            }

            if (!char.IsAsciiLetterOrDigit(c) && c is not ('-' or '_')) return false;
            labelLength++;
        }

        return labelLength > 0;
    }

    private static ReadOnlySpan<char> WithoutWildcard(string name) => name.StartsWith("*.", StringComparison.Ordinal) ? name.AsSpan(2) : name;
}

/// <summary>The rules for address constraints (RFC 5280 section 4.2.1.10): address and mask, 8 bytes for IPv4 and 32 for IPv6.</summary>
internal static class AddressConstraint
{
    public static bool IsUsable(ReadOnlySpan<byte> constraint) => constraint.Length is 8 or 32;

    public static bool Matches(ReadOnlySpan<byte> constraint, ReadOnlySpan<byte> address)
    {
        if (address.Length * 2 != constraint.Length) return false;
        var mask = constraint[address.Length..];
        for (var i = 0; i < address.Length; i++)
        {
            if ((address[i] & mask[i]) != (constraint[i] & mask[i])) return false;
        }

        return true;
    }
}
