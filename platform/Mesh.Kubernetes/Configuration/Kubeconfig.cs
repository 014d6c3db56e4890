using System.Text;
using YamlDotNet.Core;
using YamlDotNet.RepresentationModel;

namespace Mesh.Kubernetes.Configuration;

/// <summary>
/// kubectl's configuration files. Read as nodes, not bound to classes, so that it works trimmed and ahead-of-time compiled.
/// Several files act as one, the first that names a thing wins, as with kubectl.
/// </summary>
public static class Kubeconfig
{
    private const int MaxBytes = 1024 * 1024;

    /// <param name="paths">Files; those that do not exist are passed over as long as one does.</param>
    /// <param name="context">Null: the current context.</param>
    /// <exception cref="KubernetesConfigurationException">It lists every fault.</exception>
    public static KubernetesConfiguration Load(IReadOnlyList<string> paths, string? context)
    {
        var name = string.Join(Path.PathSeparator, paths);
        var files = paths.Where(File.Exists).Select(Document.Read).ToList();
        if (files.Count == 0) throw new KubernetesConfigurationException(name, ["the file does not exist"]);

        var faults = new List<string>();
        context ??= files.Select(f => f.Root.Text("current-context")).FirstOrDefault(c => !string.IsNullOrEmpty(c));
        if (context is null) throw new KubernetesConfigurationException(name, ["there is no current-context"]);
        if (Find(files, "contexts", "context", context) is not { } chosen) throw new KubernetesConfigurationException(name, [$"context \"{context}\" does not exist"]);

        var configuration = Read(files, chosen.Node, faults);
        return faults.Count == 0 ? configuration! : throw new KubernetesConfigurationException($"{name}, context \"{context}\"", faults);
    }

    private static KubernetesConfiguration? Read(List<Document> files, Node context, List<string> faults)
    {
        var clusterName = context.Text("cluster") ?? "";
        var userName = context.Text("user") ?? "";
        Uri? server = null;
        PemSource? authorities = null;
        string? serverName = null;
        if (Find(files, "clusters", "cluster", clusterName) is var (cluster, clusterDirectory))
        {
            server = KubernetesConfiguration.ReadServer(cluster.Text("server"), faults);
            authorities = Pem(cluster, "certificate-authority", clusterDirectory, faults);
            serverName = cluster.Text("tls-server-name");
            if (cluster.Text("insecure-skip-tls-verify") is "true") faults.Add($"cluster \"{clusterName}\" sets insecure-skip-tls-verify, which is not honoured: give certificate-authority instead");
            if (cluster.Text("proxy-url") is not null) faults.Add($"cluster \"{clusterName}\" sets proxy-url, which is not supported");
        }
        else
        {
            faults.Add($"cluster \"{clusterName}\" does not exist");
        }

        ClusterCredential credential = new ClusterCredential.None();
        if (userName.Length > 0)
        {
            if (Find(files, "users", "user", userName) is var (user, userDirectory)) credential = ReadUser(user, userName, userDirectory, faults);
            else faults.Add($"user \"{userName}\" does not exist");
        }

        return faults.Count > 0 ? null : new KubernetesConfiguration(server!, authorities, credential, context.Text("namespace") ?? "default") { TlsServerName = serverName };
    }

    private static ClusterCredential ReadUser(Node user, string name, string directory, List<string> faults)
    {
        foreach (var unsupported in (string[])["exec", "auth-provider", "username", "password", "as"])
        {
            if (user.Has(unsupported)) faults.Add($"user \"{name}\" authenticates with {unsupported}, which is not supported");
        }

        var certificate = Pem(user, "client-certificate", directory, faults);
        var key = Pem(user, "client-key", directory, faults);
        if ((certificate is null) != (key is null)) faults.Add($"user \"{name}\" needs both client-certificate and client-key");
        if (certificate is not null && key is not null) return new ClusterCredential.ClientCertificate(certificate, key);
        if (user.Text("tokenFile") is { } file) return new ClusterCredential.Bearer(PemSource.FromFile(Path.Combine(directory, file)));
        return user.Text("token") is { } token ? new ClusterCredential.Bearer(PemSource.FromText(token)) : new ClusterCredential.None();
    }

    /// <summary><c>NAME-data</c> in base64, else the file <c>NAME</c>, relative to the kubeconfig.</summary>
    private static PemSource? Pem(Node node, string key, string directory, List<string> faults)
    {
        if (node.Text($"{key}-data") is { Length: > 0 } data)
        {
            var bytes = new byte[data.Length];
            if (Convert.TryFromBase64String(data, bytes, out var length)) return PemSource.FromText(Encoding.UTF8.GetString(bytes, 0, length));
            faults.Add($"{key}-data is no base64");
            return null;
        }

        if (node.Text(key) is not { Length: > 0 } path) return null;
        path = Path.Combine(directory, path);
        if (!File.Exists(path)) faults.Add($"{key} {path} does not exist");
        return PemSource.FromFile(path);
    }

    // clusters, contexts and users are lists of {name: X, SINGULAR: {...}}.
    private static (Node Node, string Directory)? Find(List<Document> files, string list, string singular, string name)
    {
        foreach (var file in files)
        {
            foreach (var item in file.Root.Items(list))
            {
                if (item.Text("name") == name && item.Child(singular) is { } node) return (node, file.Directory);
            }
        }

        return null;
    }

    private sealed record Document(Node Root, string Directory)
    {
        internal static Document Read(string path)
        {
            try
            {
                if (new FileInfo(path).Length > MaxBytes) throw new KubernetesConfigurationException(path, [$"the file is larger than {MaxBytes} bytes"]);
                var yaml = new YamlStream();
                yaml.Load(new StringReader(File.ReadAllText(path)));
                if (yaml.Documents.Count == 0 || yaml.Documents[0].RootNode is not YamlMappingNode root) throw new KubernetesConfigurationException(path, ["the file is no kubeconfig"]);
                return new Document(new Node(root), Path.GetDirectoryName(Path.GetFullPath(path))!);
            }
            catch (YamlException e)
            {
                throw new KubernetesConfigurationException(path, [$"not YAML: line {e.Start.Line}, column {e.Start.Column}"]);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                throw new KubernetesConfigurationException(path, [e.Message]);
            }
        }
    }

    private readonly record struct Node(YamlMappingNode Mapping)
    {
        internal bool Has(string key) => Mapping.Children.ContainsKey(new YamlScalarNode(key));

        internal string? Text(string key) => Mapping.Children.TryGetValue(new YamlScalarNode(key), out var node) && node is YamlScalarNode scalar ? scalar.Value : null;

        internal Node? Child(string key) => Mapping.Children.TryGetValue(new YamlScalarNode(key), out var node) && node is YamlMappingNode mapping ? new Node(mapping) : null;

        internal IEnumerable<Node> Items(string key) =>
            Mapping.Children.TryGetValue(new YamlScalarNode(key), out var node) && node is YamlSequenceNode list ? list.Children.OfType<YamlMappingNode>().Select(m => new Node(m)) : [];
    }
}
