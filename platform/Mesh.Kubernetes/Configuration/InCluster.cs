namespace Mesh.Kubernetes.Configuration;

/// <summary>The credentials every pod has: the ServiceAccount's token and the cluster's CA in a mounted directory, the address in the environment.</summary>
public static class InCluster
{
    private const string DefaultDirectory = "/var/run/secrets/kubernetes.io/serviceaccount";

    internal static bool IsInPod(Func<string, string?> environment) => environment("KUBERNETES_SERVICE_HOST") is { Length: > 0 };

    /// <exception cref="KubernetesConfigurationException">This is no pod, or its token is not mounted.</exception>
    public static KubernetesConfiguration Load(Func<string, string?> environment) => Load(environment, DefaultDirectory);

    internal static KubernetesConfiguration Load(Func<string, string?> environment, string directory)
    {
        var faults = new List<string>();
        var host = environment("KUBERNETES_SERVICE_HOST");
        var port = environment("KUBERNETES_SERVICE_PORT");
        Uri? server = null;
        if (string.IsNullOrEmpty(host)) faults.Add("KUBERNETES_SERVICE_HOST is not set: this is no pod");
        if (string.IsNullOrEmpty(port)) faults.Add("KUBERNETES_SERVICE_PORT is not set: this is no pod");
        if (faults.Count == 0)
        {
            var bracketed = host!.Contains(':') ? $"[{host}]" : host;
            server = KubernetesConfiguration.ReadServer($"https://{bracketed}:{port}", faults);
        }

        var token = Path.Combine(directory, "token");
        var authorities = Path.Combine(directory, "ca.crt");
        if (!File.Exists(token)) faults.Add($"{token} does not exist: is automountServiceAccountToken off?");
        if (!File.Exists(authorities)) faults.Add($"{authorities} does not exist");
        if (faults.Count > 0) throw new KubernetesConfigurationException("in-cluster configuration", faults);

        var ns = Path.Combine(directory, "namespace");
        return new KubernetesConfiguration(server!, PemSource.FromFile(authorities), new ClusterCredential.Bearer(PemSource.FromFile(token)), File.Exists(ns) ? File.ReadAllText(ns).Trim() : "default");
    }
}
