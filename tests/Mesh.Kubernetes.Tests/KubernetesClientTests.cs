using System.Net;
using Mesh.Kubernetes.Configuration;
using Mesh.Kubernetes.Models;
using Mesh.Testing;
using Microsoft.AspNetCore.Http;

namespace Mesh.Kubernetes.Tests;

public sealed class KubernetesClientTests : IAsyncLifetime
{
    private readonly TemporaryDirectory _directory = new();
    private readonly TestCertificates _certificates = new();
    private readonly ManualTime _time = new();
    private FakeApiServer _server = null!;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync() => _server = await FakeApiServer.StartAsync(_certificates.Server("127.0.0.1", "kubernetes.default.svc"));

    public async ValueTask DisposeAsync()
    {
        await _server.DisposeAsync();
        _certificates.Dispose();
        _directory.Dispose();
    }

    [Fact]
    public async Task Reviews_a_token_as_a_pod_does()
    {
        _server.Know("the token", "shop", "web", ["identity.l5d.io"], pod: "web-0");
        using var client = InPod();
        var answer = await client.CreateTokenReviewAsync(Review("the token", "identity.l5d.io"), Stop);
        Assert.True(answer.Status!.Authenticated);
        Assert.Equal("system:serviceaccount:shop:web", answer.Status.User?.Username);
        Assert.Equal(["identity.l5d.io"], answer.Status.Audiences);
        Assert.Equal(["web-0"], answer.Status.User?.Extra?["authentication.kubernetes.io/pod-name"]);
        Assert.Equal("HTTP/2", _server.Protocols.Single());
    }

    [Fact]
    public async Task Asks_whether_it_may_review_tokens()
    {
        using var client = InPod();
        var question = new V1SelfSubjectAccessReview { Spec = new() { ResourceAttributes = new() { Verb = "create", Group = "authentication.k8s.io", Resource = "tokenreviews" } } };
        Assert.True((await client.CreateSelfSubjectAccessReviewAsync(question, Stop)).Status?.Allowed);
        _server.MayReview = false;
        Assert.False((await client.CreateSelfSubjectAccessReviewAsync(question, Stop)).Status?.Allowed);
    }

    [Fact]
    public async Task Names_verb_and_resource_when_a_permission_is_missing()
    {
        _server.MayReview = false;
        using var client = InPod();
        var fault = await Assert.ThrowsAsync<KubernetesException>(() => client.CreateTokenReviewAsync(Review("t", "a"), Stop));
        Assert.Equal(HttpStatusCode.Forbidden, fault.StatusCode);
        Assert.Equal(("create", "tokenreviews.authentication.k8s.io", "Forbidden"), (fault.Verb, fault.Resource, fault.Reason));
        Assert.StartsWith("create tokenreviews.authentication.k8s.io: 403, this account may not create tokenreviews.authentication.k8s.io", fault.Message, StringComparison.Ordinal);
        Assert.Contains("system:serviceaccount:mesh:mesh-identity", fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Reads_its_token_again_after_some_time_and_after_a_refusal()
    {
        _server.Know("t", "shop", "web", ["a"]);
        using var client = InPod();
        await client.CreateTokenReviewAsync(Review("t", "a"), Stop);

        // The kubelet has renewed the token, and the API server no longer takes the old one.
        _server.Bearer = "the second token";
        _directory.Write("token", "the second token\n");
        await client.CreateTokenReviewAsync(Review("t", "a"), Stop);
        Assert.Equal(3, _server.Requests);

        _directory.Write("token", "the third token");
        _time.Advance(TimeSpan.FromSeconds(11));
        _server.Bearer = "the third token";
        await client.CreateTokenReviewAsync(Review("t", "a"), Stop);
        Assert.Equal(4, _server.Requests);
    }

    [Fact]
    public async Task Gives_up_on_a_credential_that_is_refused_twice()
    {
        using var client = InPod();
        _server.Bearer = "something else";
        var fault = await Assert.ThrowsAsync<KubernetesException>(() => client.CreateTokenReviewAsync(Review("t", "a"), Stop));
        Assert.Equal(HttpStatusCode.Unauthorized, fault.StatusCode);
        Assert.Equal(2, _server.Requests);
    }

    [Fact]
    public async Task Does_not_talk_to_a_server_of_another_CA()
    {
        using var other = new TestCertificates("imposter");
        _server.Use(other.Server("127.0.0.1"));
        using var client = InPod();
        var fault = await Assert.ThrowsAsync<KubernetesException>(() => client.CreateTokenReviewAsync(Review("t", "a"), Stop));
        Assert.Null(fault.StatusCode);
        Assert.Equal(0, _server.Requests);
    }

    [Fact]
    public async Task Does_not_talk_to_a_server_of_another_name()
    {
        _server.Use(_certificates.Server("10.0.0.1", "elsewhere.example"));
        using var client = InPod();
        await Assert.ThrowsAsync<KubernetesException>(() => client.CreateTokenReviewAsync(Review("t", "a"), Stop));
        Assert.Equal(0, _server.Requests);
    }

    [Fact]
    public async Task Follows_a_rotated_cluster_CA_without_restart()
    {
        _server.Know("t", "shop", "web", ["a"]);
        using var client = InPod();
        using var next = new TestCertificates("kubernetes-2");
        _server.Use(next.Server("127.0.0.1"));
        await Assert.ThrowsAsync<KubernetesException>(() => client.CreateTokenReviewAsync(Review("t", "a"), Stop));
        _directory.Write("ca.crt", _certificates.AuthorityPem + "\n" + next.AuthorityPem);
        Assert.True((await client.CreateTokenReviewAsync(Review("t", "a"), Stop)).Status?.Authenticated);
    }

    [Fact]
    public async Task Identifies_itself_by_a_client_certificate_of_the_kubeconfig()
    {
        _server.Know("t", "shop", "web", ["a"]);
        (_server.Bearer, _server.ClientName) = (null, "admin");
        using var certificate = _certificates.Client("admin");
        _directory.Write("ca.crt", _certificates.AuthorityPem);
        _directory.Write("admin.crt", certificate.ExportCertificatePem());
        var key = Convert.ToBase64String(System.Text.Encoding.UTF8.GetBytes(TestCertificates.KeyPem(certificate)));
        var path = _directory.Write("config", $$"""
            apiVersion: v1
            kind: Config
            current-context: main
            contexts:
            - {name: main, context: {cluster: local, user: admin, namespace: mesh} }
            clusters:
            - name: local
              cluster:
                server: https://127.0.0.1:{{_server.Address.Port}}
                certificate-authority: ca.crt
                tls-server-name: kubernetes.default.svc
            users:
            - name: admin
              user:
                client-certificate: admin.crt
                client-key-data: {{key}}
            """);
        var configuration = KubernetesConfiguration.Find(path, _ => null);
        Assert.Equal("mesh", configuration.Namespace);
        using var client = new KubernetesClient(configuration, _time);
        Assert.True((await client.CreateTokenReviewAsync(Review("t", "a"), Stop)).Status?.Authenticated);
        Assert.DoesNotContain("PRIVATE", client.Description, StringComparison.Ordinal);

        _server.ClientName = "somebody else";
        await Assert.ThrowsAsync<KubernetesException>(() => client.CreateTokenReviewAsync(Review("t", "a"), Stop));
    }

    [Fact]
    public async Task Ends_a_call_that_is_not_answered()
    {
        _server.Instead = _server.NeverAsync;
        using var client = InPod(TimeSpan.FromMinutes(1));
        var call = client.CreateTokenReviewAsync(Review("t", "a"), Stop);
        await Until(() => _server.Requests == 1);
        _time.Advance(TimeSpan.FromMinutes(1));
        var fault = await Assert.ThrowsAsync<KubernetesException>(() => call);
        Assert.Equal("create tokenreviews.authentication.k8s.io: no answer within 60 s", fault.Message);
    }

    [Fact]
    public async Task Passes_the_callers_cancellation_on()
    {
        _server.Instead = _server.NeverAsync;
        using var client = InPod();
        using var cancel = new CancellationTokenSource();
        var call = client.CreateTokenReviewAsync(Review("t", "a"), cancel.Token);
        await Until(() => _server.Requests == 1);
        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => call);
    }

    [Fact]
    public async Task Tells_how_long_an_overloaded_server_wants_to_be_left_alone()
    {
        _server.Instead = context =>
        {
            context.Response.Headers.RetryAfter = "7";
            return FakeApiServer.StatusAsync(context, 429, "TooManyRequests", "too many requests, please try again later");
        };
        using var client = InPod();
        var fault = await Assert.ThrowsAsync<KubernetesException>(() => client.CreateTokenReviewAsync(Review("t", "a"), Stop));
        Assert.Equal((HttpStatusCode.TooManyRequests, TimeSpan.FromSeconds(7)), (fault.StatusCode, fault.RetryAfter));
    }

    [Theory]
    [InlineData(500, "oops\r\nnot json")]
    [InlineData(502, "<html>bad gateway</html>")]
    [InlineData(201, "")]
    [InlineData(201, "null")]
    [InlineData(200, "{\"status\":{\"authenticated\":\"yes\"}}")]
    [InlineData(302, "")]
    public async Task Reports_an_answer_that_is_none(int code, string body)
    {
        _server.Instead = context =>
        {
            context.Response.StatusCode = code;
            context.Response.Headers.Location = "https://elsewhere.example/";
            return context.Response.WriteAsync(body);
        };
        using var client = InPod();
        var fault = await Assert.ThrowsAsync<KubernetesException>(() => client.CreateTokenReviewAsync(Review("t", "a"), Stop));
        Assert.DoesNotContain('\n', fault.Message);
        Assert.Equal(1, _server.Requests);
    }

    [Fact]
    public async Task Stops_reading_an_answer_without_end()
    {
        _server.Instead = async context =>
        {
            var chunk = new byte[64 * 1024];
            for (var i = 0; i < 1000; i++) await context.Response.Body.WriteAsync(chunk, context.RequestAborted);
        };
        using var client = InPod();
        var fault = await Assert.ThrowsAsync<KubernetesException>(() => client.CreateTokenReviewAsync(Review("t", "a"), Stop));
        Assert.Contains("larger than", fault.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Says_so_when_nobody_listens()
    {
        using var client = InPod();
        await _server.DisposeAsync();
        var fault = await Assert.ThrowsAsync<KubernetesException>(() => client.CreateTokenReviewAsync(Review("t", "a"), Stop));
        Assert.Null(fault.StatusCode);
    }

    private KubernetesClient InPod(TimeSpan? timeout = null)
    {
        _directory.Write("token", _server.Bearer!);
        _directory.Write("ca.crt", _certificates.AuthorityPem);
        _directory.Write("namespace", "mesh");
        string? Environment(string name) => name switch
        {
            "KUBERNETES_SERVICE_HOST" => "127.0.0.1",
            "KUBERNETES_SERVICE_PORT" => _server.Address.Port.ToString(),
            _ => null,
        };
        return new KubernetesClient(InCluster.Load(Environment, _directory.Path), _time) { Timeout = timeout ?? TimeSpan.FromSeconds(30) };
    }

    private static V1TokenReview Review(string token, string audience) => new() { Spec = new() { Token = token, Audiences = [audience] } };

    private static async Task Until(Func<bool> condition)
    {
        while (!condition()) await Task.Delay(5, Stop);
    }
}
