using System.Diagnostics.CodeAnalysis;
using Mesh.Spiffe;

namespace Mesh.Proxy.Settings;

/// <summary>
/// The two spellings of one identity: a SPIFFE ID, and Linkerd's DNS name
/// <c>(service-account).(namespace).serviceaccount.identity.(control-plane-namespace).(trust-domain)</c>.
/// A service account's name may hold dots; a namespace may not, so the name reads in one way only.
/// </summary>
internal static class IdentityName
{
    private const string Middle = ".serviceaccount.identity.";

    public static bool TryParse(string? text, [NotNullWhen(true)] out SpiffeId? id)
    {
        id = null;
        if (text is null) return false;
        if (text.StartsWith("spiffe:", StringComparison.OrdinalIgnoreCase))
        {
            if (!SpiffeId.TryParse(text, out var uri, out _) || uri.IsRoot) return false;
            id = uri;
            return true;
        }

        var middle = text.IndexOf(Middle, StringComparison.Ordinal);
        if (middle < 0 || text.IndexOf(Middle, middle + 1, StringComparison.Ordinal) >= 0 || !HostPort.IsDnsName(text)) return false;
        var account = text.AsSpan(0, middle);
        var place = text.AsSpan(middle + Middle.Length);
        var lastDot = account.LastIndexOf('.');
        var firstDot = place.IndexOf('.');
        if (lastDot <= 0 || firstDot <= 0) return false;
        var trustDomain = place[(firstDot + 1)..].ToString();
        if (!TrustDomain.TryParse(trustDomain, out var domain, out _)) return false;
        return SpiffeId.TryParse($"{domain.Id}/ns/{account[(lastDot + 1)..]}/sa/{account[..lastDot]}", out id, out _);
    }

    /// <summary>The name a peer sends as SNI; null for an ID that is no service account's, whose SNI must be configured.</summary>
    public static string? DnsForm(SpiffeId id, string controlPlaneNamespace) =>
        id.TryGetServiceAccount(out var ns, out var account)
            ? $"{account}.{ns}.serviceaccount.identity.{controlPlaneNamespace}.{id.TrustDomain.Name}"
            : null;
}
