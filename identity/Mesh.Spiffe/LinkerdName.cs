using System.Diagnostics.CodeAnalysis;

namespace Mesh.Spiffe;

/// <summary>
/// Linkerd's DNS form of a ServiceAccount's identity:
/// <c>ACCOUNT.NAMESPACE.serviceaccount.identity.CONTROL-PLANE-NAMESPACE.TRUST-DOMAIN</c>. A stock linkerd2-proxy asks for, and checks, this
/// name; ours carries it beside the SPIFFE ID and sends it as SNI. An instance prints the names of one mesh; reading needs none, because
/// the name says which mesh it is of.
/// </summary>
/// <param name="trustDomain">The trust domain of the identities.</param>
/// <param name="controlPlaneNamespace">The namespace that the control plane runs in, a part of every name.</param>
public sealed class LinkerdName(TrustDomain trustDomain, string controlPlaneNamespace)
{
    /// <summary>The namespace where none is configured.</summary>
    public const string DefaultControlPlaneNamespace = "mesh";

    private const string Middle = ".serviceaccount.identity.";

    // RFC 1035 section 2.3.4.
    private const int MaxLength = 253;
    private const int MaxLabelLength = 63;

    private readonly string _suffix = $"{Middle}{controlPlaneNamespace}.{trustDomain.Name}";

    /// <summary>The name of a ServiceAccount of this mesh.</summary>
    public string Of(string ns, string account) => string.Concat(account, ".", ns, _suffix);

    /// <summary>The name of a ServiceAccount's SPIFFE ID of this mesh; null for any other ID, which has none.</summary>
    public string? Of(SpiffeId id) => id.TrustDomain == trustDomain && id.TryGetServiceAccount(out var ns, out var account) ? Of(ns, account) : null;

    /// <summary>The SPIFFE ID of a name in this form. A service account's name may hold dots, a namespace may not, so that it reads in one way only.</summary>
    public static bool TryParse(string? text, [NotNullWhen(true)] out SpiffeId? id)
    {
        id = null;
        if (text is null || !IsDnsName(text)) return false;
        var middle = text.IndexOf(Middle, StringComparison.Ordinal);
        if (middle < 0 || text.IndexOf(Middle, middle + 1, StringComparison.Ordinal) >= 0) return false;
        var account = text.AsSpan(0, middle);
        var place = text.AsSpan(middle + Middle.Length);
        var lastDot = account.LastIndexOf('.');
        var firstDot = place.IndexOf('.');
        if (lastDot <= 0 || firstDot <= 0 || !TrustDomain.TryParse(place[(firstDot + 1)..].ToString(), out var domain, out _)) return false;
        return SpiffeId.TryParse($"{domain.Id}/ns/{account[(lastDot + 1)..]}/sa/{account[..lastDot]}", out id, out _);
    }

    private static bool IsDnsName(ReadOnlySpan<char> name)
    {
        if (name.Length is 0 or > MaxLength) return false;
        foreach (var range in name.Split('.'))
        {
            var label = name[range];
            if (label.Length is 0 or > MaxLabelLength || label[0] == '-' || label[^1] == '-') return false;
            foreach (var c in label)
                if (!char.IsAsciiLetterOrDigit(c) && c is not ('-' or '_')) return false;
        }

        return true;
    }
}
