using Mesh.Kubernetes.Configuration;
using Mesh.Testing;

namespace Mesh.Kubernetes.Tests;

public sealed class KubernetesConfigurationTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();

    public void Dispose() => _directory.Dispose();

    [Fact]
    public void Reads_the_context_asked_for()
    {
        var path = _directory.Write("config", Config("one", """
            - {name: one, context: {cluster: c1, user: u1}}
            - {name: two, context: {cluster: c2, user: u2, namespace: team}}
            """));
        var configuration = Kubeconfig.Load([path], "two");
        Assert.Equal("https://two.example/base", configuration.Server.ToString());
        Assert.Equal("team", configuration.Namespace);
        Assert.IsType<ClusterCredential.Bearer>(configuration.Credential);
        Assert.Equal("default", Kubeconfig.Load([path], null).Namespace);
    }

    [Fact]
    public void Merges_several_files_and_the_first_wins()
    {
        var first = _directory.Write("a", "current-context: x\nclusters: [{name: c, cluster: {server: 'https://first.example'}}]");
        var second = _directory.Write("b", "current-context: y\ncontexts: [{name: x, context: {cluster: c, user: ''}}]\nclusters: [{name: c, cluster: {server: 'https://second.example'}}]");
        Assert.Equal("https://first.example/", Kubeconfig.Load([first, _directory.File("missing"), second], null).Server.ToString());
    }

    [Fact]
    public void Lists_every_fault()
    {
        var path = _directory.Write("config", """
            current-context: main
            contexts: [{name: main, context: {cluster: c, user: u}}]
            clusters: [{name: c, cluster: {server: 'http://example.org', certificate-authority: nowhere.crt, insecure-skip-tls-verify: true}}]
            users: [{name: u, user: {client-certificate-data: '***', exec: {command: aws}}}]
            """);
        var fault = Assert.Throws<KubernetesConfigurationException>(() => Kubeconfig.Load([path], null));
        Assert.Collection(fault.Faults,
            f => Assert.Equal("server \"http://example.org\" is no https address", f),
            f => Assert.StartsWith("certificate-authority /", f, StringComparison.Ordinal),
            f => Assert.StartsWith("cluster \"c\" sets insecure-skip-tls-verify", f, StringComparison.Ordinal),
            f => Assert.Equal("user \"u\" authenticates with exec, which is not supported", f),
            f => Assert.Equal("client-certificate-data is no base64", f));
    }

    [Theory]
    [InlineData("")]
    [InlineData("- a list")]
    [InlineData("{")]
    [InlineData("current-context: main")]
    [InlineData("kind: Config")]
    [InlineData("current-context: main\ncontexts: [{name: main, context: {cluster: none, user: none}}]")]
    public void Refuses_a_file_it_cannot_use(string text) =>
        Assert.Throws<KubernetesConfigurationException>(() => Kubeconfig.Load([_directory.Write("config", text)], null));

    [Fact]
    public void Finds_what_a_pod_and_a_shell_expect()
    {
        var path = _directory.Write("config", Config("one", "- {name: one, context: {cluster: c1, user: u1}}"));
        Assert.Equal("https://one.example/", KubernetesConfiguration.Find(path, _ => null).Server.ToString());
        Assert.Equal("https://one.example/", KubernetesConfiguration.Find(null, v => v == "KUBECONFIG" ? path : null).Server.ToString());
        Directory.CreateDirectory(_directory.File(".kube"));
        _directory.Write(".kube/config", Config("two", "- {name: two, context: {cluster: c2, user: u2}}"));
        Assert.Equal("https://two.example/base", KubernetesConfiguration.Find(null, v => v == "HOME" ? _directory.Path : null).Server.ToString());
        var fault = Assert.Throws<KubernetesConfigurationException>(() => KubernetesConfiguration.Find(null, v => v == "KUBERNETES_SERVICE_HOST" ? "10.0.0.1" : null));
        Assert.Contains("KUBERNETES_SERVICE_PORT is not set: this is no pod", fault.Faults);
    }

    [Fact]
    public void Understands_an_IPv6_address_of_the_API_server()
    {
        _directory.Write("token", "t");
        _directory.Write("ca.crt", "");
        var configuration = InCluster.Load(v => v == "KUBERNETES_SERVICE_HOST" ? "fd00::1" : v == "KUBERNETES_SERVICE_PORT" ? "443" : null, _directory.Path);
        Assert.Equal("https://[fd00::1]/", configuration.Server.ToString());
    }

    [Fact]
    public void Prints_no_secret()
    {
        var path = _directory.Write("config", Config("one", "- {name: one, context: {cluster: c1, user: u1}}"));
        Assert.DoesNotContain("very-secret", Kubeconfig.Load([path], null).ToString(), StringComparison.Ordinal);
        Assert.DoesNotContain("very-secret", new Models.V1TokenReviewSpec { Token = "very-secret", Audiences = [] }.ToString(), StringComparison.Ordinal);
    }

    private static string Config(string current, string contexts) => $$"""
        current-context: {{current}}
        contexts:
        {{contexts}}
        clusters:
        - {name: c1, cluster: {server: 'https://one.example'} }
        - {name: c2, cluster: {server: 'https://two.example/base'} }
        users:
        - {name: u1, user: {token: very-secret} }
        - {name: u2, user: {tokenFile: token} }
        """;
}
