using System.Diagnostics.CodeAnalysis;

namespace Mesh.Spiffe;

/// <summary>
/// The name of a SPIFFE trust domain: 1 to 255 bytes of <c>[a-z0-9.-_]</c> (SPIFFE-ID sections 2.1 and 2.3). It is a name and nothing
/// else: one that looks like an address or a DNS name is treated like any other.
/// </summary>
public sealed record TrustDomain
{
    /// <summary>The longest name, in bytes.</summary>
    public const int MaxLength = 255;

    internal TrustDomain(string name)
    {
        Name = name;
        Id = new SpiffeId(this, "");
    }

    /// <summary>The bare name, <c>example.org</c>.</summary>
    public string Name { get; }

    /// <summary>The ID of the trust domain itself, <c>spiffe://example.org</c>, as its signing authority carries it.</summary>
    public SpiffeId Id { get; }

    /// <summary>Reads <c>example.org</c>, or takes the trust domain out of a whole SPIFFE ID.</summary>
    public static bool TryParse(string? text, [NotNullWhen(true)] out TrustDomain? trustDomain, out SpiffeIdFault fault)
    {
        trustDomain = null;
        if (string.IsNullOrEmpty(text))
        {
            fault = SpiffeIdFault.Empty;
            return false;
        }

        if (text.Contains("://", StringComparison.Ordinal))
        {
            if (!SpiffeId.TryParse(text, out var id, out fault)) return false;
            trustDomain = id.TrustDomain;
            return true;
        }

        fault = Judge(text);
        if (fault != SpiffeIdFault.None) return false;
        trustDomain = new TrustDomain(text);
        return true;
    }

    /// <exception cref="FormatException">The text is neither a trust domain name nor a SPIFFE ID; the message is the fault's sentence.</exception>
    public static TrustDomain Parse(string text) =>
        TryParse(text, out var trustDomain, out var fault) ? trustDomain : throw new FormatException(fault.Sentence());

    public bool Equals(TrustDomain? other) => other is not null && string.Equals(Name, other.Name, StringComparison.Ordinal);

    public override int GetHashCode() => Name.GetHashCode(StringComparison.Ordinal);

    /// <summary>The bare name.</summary>
    public override string ToString() => Name;

    internal static SpiffeIdFault Judge(ReadOnlySpan<char> name)
    {
        if (name.IsEmpty) return SpiffeIdFault.EmptyTrustDomain;
        if (name.Length > MaxLength) return SpiffeIdFault.TrustDomainTooLong;
        foreach (var c in name)
        {
            if (c is not ((>= 'a' and <= 'z') or (>= '0' and <= '9') or '.' or '-' or '_')) return SpiffeIdFault.BadTrustDomainCharacter;
        }

        return SpiffeIdFault.None;
    }
}
