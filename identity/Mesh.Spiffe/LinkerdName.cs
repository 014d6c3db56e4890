using Mesh.Identity.Tokens;
using Mesh.Spiffe;

namespace Mesh.Identity.Issuance;

/// <summary>
/// Linkerd's DNS form of an identity: <c>ACCOUNT.NAMESPACE.serviceaccount.identity.CONTROL-PLANE-NAMESPACE.TRUST-DOMAIN</c>.
/// A stock linkerd2-proxy asks for, and checks, this name; ours carries it beside the SPIFFE ID when asked to.
/// </summary>
internal sealed class LinkerdName(TrustDomain trustDomain, string controlPlaneNamespace)
{
    private readonly string _suffix = $".serviceaccount.identity.{controlPlaneNamespace}.{trustDomain.Name}";

    public string Of(ServiceAccount account) => Of(account.Namespace, account.Name);

    public string Of(string ns, string account) => string.Concat(account, ".", ns, _suffix);

    /// <summary>The DNS form of a SPIFFE ID of a ServiceAccount, or null for any other ID.</summary>
    public string? Of(SpiffeId id) => id.TryGetServiceAccount(out var ns, out var account) ? Of(ns, account) : null;
}
