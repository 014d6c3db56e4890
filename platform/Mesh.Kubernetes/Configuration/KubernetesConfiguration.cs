using System.Collections.Immutable;

namespace Mesh.Kubernetes.Configuration;

/// <summary>Where the API server is, whom to believe that it is it, and who we are. Made by <see cref="InCluster"/> or <see cref="Kubeconfig"/>.</summary>
public sealed class KubernetesConfiguration
{
    internal KubernetesConfiguration(Uri server, PemSource? authorities, ClusterCredential credential, string ns) =>
        (Server, Authorities, Credential, Namespace) = (server, authorities, credential, ns);

    public Uri Server { get; }

    /// <summary>The cluster's CA certificates; null means the system's authorities.</summary>
    internal PemSource? Authorities { get; }

    internal ClusterCredential Credential { get; }

    /// <summary>The namespace commands act in when none is named.</summary>
    public string Namespace { get; }

    /// <summary>The name to expect in the server's certificate, when it is not the host of <see cref="Server"/>.</summary>
    public string? TlsServerName { get; internal init; }

    public override string ToString() => $"{Server} as {Credential}";

    /// <summary>
    /// What a program in a pod and a person at a shell both expect: the kubeconfig named by <paramref name="kubeconfig"/> or <c>KUBECONFIG</c>,
    /// else the pod's own credentials, else <c>~/.kube/config</c>.
    /// </summary>
    /// <param name="kubeconfig">A path, or null.</param>
    /// <param name="environment">Looks an environment variable up.</param>
    /// <exception cref="KubernetesConfigurationException">Nothing usable was found; it lists every fault.</exception>
    public static KubernetesConfiguration Find(string? kubeconfig, Func<string, string?> environment)
    {
        if (kubeconfig is not null) return Kubeconfig.Load([kubeconfig], context: null);
        if (environment("KUBECONFIG") is { Length: > 0 } paths) return Kubeconfig.Load(paths.Split(Path.PathSeparator, StringSplitOptions.RemoveEmptyEntries), context: null);
        if (InCluster.IsInPod(environment)) return InCluster.Load(environment);
        return Kubeconfig.Load([Path.Combine(environment("HOME") ?? "/", ".kube", "config")], context: null);
    }

    /// <summary>HTTPS, or HTTP on loopback, where <c>kubectl proxy</c> listens.</summary>
    internal static Uri? ReadServer(string? text, List<string> faults)
    {
        if (Uri.TryCreate(text, UriKind.Absolute, out var server) && server.UserInfo.Length == 0 && server.Query.Length == 0 &&
            (server.Scheme == Uri.UriSchemeHttps || server.Scheme == Uri.UriSchemeHttp && server.IsLoopback)) return server;
        faults.Add($"server \"{text}\" is no https address");
        return null;
    }
}

/// <summary>No way to reach the API server could be made of the given configuration.</summary>
public sealed class KubernetesConfigurationException : Exception
{
    public KubernetesConfigurationException(string source, IEnumerable<string> faults) : base($"{source}: {string.Join("; ", faults)}") => Faults = [.. faults];
    public KubernetesConfigurationException() { }
    public KubernetesConfigurationException(string message) : base(message) { }
    public KubernetesConfigurationException(string message, Exception cause) : base(message, cause) { }

    /// <summary>Every fault found, one sentence each.</summary>
    public ImmutableArray<string> Faults { get; } = [];
}
