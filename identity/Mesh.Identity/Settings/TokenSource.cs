using Mesh.Kubernetes.Configuration;

namespace Mesh.Identity.Settings;

/// <summary>Where the proof for ServiceAccount tokens comes from. <c>Issuer</c> is the iss claim to expect, character for character.</summary>
internal abstract record TokenSource
{
    private TokenSource() { }

    /// <summary>A JWKS document in a file, re-read when it changes.</summary>
    public sealed record JwksFile(string Path, string Issuer) : TokenSource;

    /// <summary>A JWKS document at a URL.</summary>
    /// <param name="AuthoritiesFile">PEM: the only authorities that may vouch for the server; null means the system's.</param>
    /// <param name="BearerTokenFile">A token to present there; null means none.</param>
    public sealed record JwksUrl(Uri Url, string Issuer, string? AuthoritiesFile, string? BearerTokenFile) : TokenSource;

    /// <summary>An OpenID Connect issuer: its discovery document names the JWKS. The files are as in <see cref="JwksUrl"/>.</summary>
    public sealed record OidcDiscovery(Uri Address, string Issuer, string? AuthoritiesFile, string? BearerTokenFile) : TokenSource;

    /// <summary>The Kubernetes API server is asked about every token. As a kubeconfig or the pod's own credentials say.</summary>
    public sealed record TokenReview(KubernetesConfiguration ApiServer) : TokenSource;
}
