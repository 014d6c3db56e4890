namespace Mesh.Kubernetes.Configuration;

/// <summary>How we prove to the API server who we are. Never prints what it holds.</summary>
internal abstract class ClusterCredential
{
    private ClusterCredential() { }

    /// <summary>No credential: <c>kubectl proxy</c>, or anonymous.</summary>
    internal sealed class None : ClusterCredential
    {
        public override string ToString() => "nobody";
    }

    /// <summary>A bearer token; a projected token's file is replaced before it expires, so it is read again and again.</summary>
    internal sealed class Bearer(PemSource token) : ClusterCredential
    {
        internal PemSource Token { get; } = token;
        public override string ToString() => $"bearer of token {Token}";
    }

    /// <summary>A TLS client certificate.</summary>
    internal sealed class ClientCertificate(PemSource certificate, PemSource key) : ClusterCredential
    {
        internal PemSource Certificate { get; } = certificate;
        internal PemSource Key { get; } = key;
        public override string ToString() => $"holder of client certificate {Certificate}";
    }
}
