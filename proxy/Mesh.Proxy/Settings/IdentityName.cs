using System.Diagnostics.CodeAnalysis;
using Mesh.Spiffe;

namespace Mesh.Proxy.Settings;

/// <summary>An identity in either spelling: a SPIFFE ID with a path, or Linkerd's DNS form of one.</summary>
internal static class IdentityName
{
    public static bool TryParse(string? text, [NotNullWhen(true)] out SpiffeId? id)
    {
        if (text is null || !text.StartsWith("spiffe:", StringComparison.OrdinalIgnoreCase)) return LinkerdName.TryParse(text, out id);
        if (SpiffeId.TryParse(text, out id, out _) && !id.IsRoot) return true;
        id = null;
        return false;
    }

    /// <summary>The name a peer sends as SNI; null for an ID that is no service account's, whose SNI must be configured.</summary>
    public static string? DnsForm(SpiffeId id, string controlPlaneNamespace) => new LinkerdName(id.TrustDomain, controlPlaneNamespace).Of(id);
}
