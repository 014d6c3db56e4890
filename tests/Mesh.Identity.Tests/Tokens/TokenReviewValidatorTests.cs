using System.Text;
using System.Text.Json.Nodes;
using Mesh.Identity.Tokens;
using Mesh.Kubernetes;
using Mesh.Kubernetes.Configuration;
using Mesh.Kubernetes.Tests;
using Mesh.Testing;

namespace Mesh.Identity.Tests.Tokens;

public sealed class TokenReviewValidatorTests : IAsyncLifetime
{
    private const string Audience = "identity.l5d.io";
    private const string Token = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ3ZWIifQ.c2lnbmF0dXJlLW9mLXRoZS10b2tlbg";
    private readonly TemporaryDirectory _directory = new();
    private readonly TestCertificates _certificates = new();
    private readonly ManualTime _time = new();
    private readonly CapturedLog _log = new();
    private FakeApiServer _server = null!;
    private KubernetesClient _client = null!;
    private TokenReviewValidator _validator = null!;

    private static CancellationToken Stop => TestContext.Current.CancellationToken;

    public async ValueTask InitializeAsync()
    {
        _server = await FakeApiServer.StartAsync(_certificates.Server("127.0.0.1"));
        _directory.Write("ca.crt", _certificates.AuthorityPem);
        _directory.Write("own-token", _server.Bearer!);
        var kubeconfig = _directory.Write("config", $$"""
            current-context: main
            contexts: [{name: main, context: {cluster: c, user: u} }]
            clusters: [{name: c, cluster: {server: 'https://127.0.0.1:{{_server.Address.Port}}', certificate-authority: ca.crt} }]
            users: [{name: u, user: {tokenFile: own-token} }]
            """);
        _client = new KubernetesClient(Kubeconfig.Load([kubeconfig], null), _time);
        _validator = new TokenReviewValidator(_client, Audience, _time, _log);
    }

    public async ValueTask DisposeAsync()
    {
        _validator.Dispose();
        await _server.DisposeAsync();
        _certificates.Dispose();
        _directory.Dispose();
    }

    [Fact]
    public async Task Accepts_a_token_the_API_server_knows_for_our_audience()
    {
        _server.Know(Token, "shop", "web.front-end", [Audience, "vault"], pod: "web-0");
        var verdict = await JudgeAsync(Token + "\n");
        Assert.True(verdict.IsValid, verdict.ToString());
        Assert.Equal("system:serviceaccount:shop:web.front-end", verdict.Account.Subject);
        Assert.Equal(("web-0", "f0e1", "node-1", "1f2e"), (verdict.Account.PodName, verdict.Account.PodUid, verdict.Account.NodeName, verdict.Account.Uid));
        Assert.Null(verdict.ExpiresAt);
    }

    [Fact]
    public async Task Refuses_a_token_for_another_audience()
    {
        _server.Know(Token, "shop", "web", ["https://kubernetes.default.svc"]);
        await AssertFaultAsync(TokenFault.WrongAudience);
    }

    [Fact]
    public async Task Always_names_the_audience()
    {
        string[]? asked = null;
        _server.Tokens[Token] = audiences =>
        {
            asked = audiences;
            return new JsonObject { ["authenticated"] = false };
        };
        await AssertFaultAsync(TokenFault.Rejected);
        Assert.Equal(Audience, Assert.Single(asked!));
    }

    [Theory]
    [InlineData(null)]
    [InlineData("[]")]
    [InlineData("[\"https://kubernetes.default.svc\"]")]
    public async Task Refuses_an_answer_that_does_not_confirm_the_audience(string? audiences)
    {
        // What an API server says that knows nothing of audiences: authenticated, for its own.
        Answer(status => status["audiences"] = audiences is null ? null : JsonNode.Parse(audiences));
        await AssertFaultAsync(TokenFault.WrongAudience);
    }

    [Theory]
    [InlineData("[invalid bearer token, service account token has expired]", TokenFault.Expired)]
    [InlineData("[invalid bearer token, service account token is not valid yet]", TokenFault.NotYetValid)]
    [InlineData("[invalid bearer token, token audiences [\"a\"] is invalid for the target audiences [\"b\"]]", TokenFault.WrongAudience)]
    [InlineData("[invalid bearer token, service account token has been invalidated]", TokenFault.Rejected)]
    [InlineData("something new\r\nFORGED LINE", TokenFault.Rejected)]
    [InlineData(null, TokenFault.Rejected)]
    public async Task Translates_what_the_API_server_says(string? error, TokenFault fault)
    {
        _server.Tokens[Token] = _ => new JsonObject { ["authenticated"] = false, ["user"] = new JsonObject(), ["error"] = error };
        var verdict = await AssertFaultAsync(fault);
        Assert.DoesNotContain('\n', verdict.Cause);
    }

    [Theory]
    [InlineData("system:node:node-1")]
    [InlineData("alice")]
    [InlineData("system:serviceaccount:shop:web/../admin")]
    [InlineData("")]
    [InlineData(null)]
    public async Task Refuses_users_that_are_no_service_accounts(string? user)
    {
        Answer(status => status["user"]!["username"] = user);
        await AssertFaultAsync(TokenFault.NotServiceAccount);
    }

    [Fact]
    public async Task Refuses_a_user_that_only_has_the_name_of_a_service_account()
    {
        // An OpenID Connect authenticator without a prefix can give a user any name.
        Answer(status => status["user"]!["groups"] = new JsonArray("system:authenticated"));
        await AssertFaultAsync(TokenFault.NotServiceAccount);
        Answer(status => status["user"]!["groups"] = new JsonArray("system:serviceaccounts", "system:serviceaccounts:other"));
        await AssertFaultAsync(TokenFault.NotServiceAccount);
    }

    [Fact]
    public async Task Demands_a_pod_when_told_to()
    {
        var strict = new TokenReviewValidator(_client, Audience, _time, _log) { RequirePod = true };
        _server.Know(Token, "shop", "web", [Audience]);
        Assert.Equal(TokenFault.NotBoundToPod, (await strict.ValidateAsync(Encoding.ASCII.GetBytes(Token), Stop)).Fault);
        _server.Know(Token, "shop", "web", [Audience], "web-0");
        Assert.True((await strict.ValidateAsync(Encoding.ASCII.GetBytes(Token), Stop)).IsValid);
    }

    [Theory]
    [InlineData("", TokenFault.Missing)]
    [InlineData("junk", TokenFault.Malformed)]
    [InlineData("a.b.c\nHost: x", TokenFault.Malformed)]
    public async Task Does_not_bother_the_API_server_with_junk(string token, TokenFault fault)
    {
        Assert.Equal(fault, (await JudgeAsync(token)).Fault);
        Assert.Equal(TokenFault.TooLarge, (await JudgeAsync(new string('a', TokenLimits.MaxTokenBytes + 1))).Fault);
        Assert.Equal(0, _server.Requests);
    }

    [Theory]
    [InlineData(401, "Unauthorized")]
    [InlineData(403, "Forbidden")]
    [InlineData(404, "NotFound")]
    [InlineData(429, "TooManyRequests")]
    [InlineData(500, "InternalError")]
    [InlineData(503, "ServiceUnavailable")]
    public async Task Is_unavailable_when_the_API_server_refuses(int code, string reason)
    {
        _server.Instead = context => FakeApiServer.StatusAsync(context, code, reason, $"refused because of {Token}");
        var verdict = await AssertFaultAsync(TokenFault.ReviewUnavailable);
        Assert.Contains($"{code}", verdict.Cause, StringComparison.Ordinal);
        Assert.Contains("create tokenreviews.authentication.k8s.io", verdict.Cause, StringComparison.Ordinal);
        Assert.DoesNotContain(Token, verdict.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Is_unavailable_when_the_answer_has_no_status()
    {
        _server.Instead = context =>
        {
            context.Response.StatusCode = 201;
            return Microsoft.AspNetCore.Http.HttpResponseWritingExtensions.WriteAsync(context.Response, "{}", context.RequestAborted);
        };
        await AssertFaultAsync(TokenFault.ReviewUnavailable);
    }

    [Fact]
    public async Task Is_unavailable_when_the_API_server_does_not_answer()
    {
        _server.Instead = _server.NeverAsync;
        var judging = JudgeAsync(Token);
        await Until(() => _server.Requests == 1);
        _time.Advance(TimeSpan.FromSeconds(11));
        Assert.Equal(TokenFault.ReviewUnavailable, (await judging).Fault);
        Assert.Contains("no answer within 10 s", (await judging).Cause, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Asks_the_API_server_only_so_many_questions_at_once()
    {
        _server.Instead = _server.NeverAsync;
        using var cancel = new CancellationTokenSource();
        var callers = Enumerable.Range(0, TokenReviewValidator.MaxConcurrent + TokenReviewValidator.MaxWaiting).Select(_ => _validator.ValidateAsync(Encoding.ASCII.GetBytes(Token), cancel.Token).AsTask()).ToArray();
        await Until(() => _server.Requests == TokenReviewValidator.MaxConcurrent);

        var refusedAtOnce = await JudgeAsync(Token);
        Assert.Equal(TokenFault.Overloaded, refusedAtOnce.Fault);
        Assert.Equal(TokenReviewValidator.MaxConcurrent, _server.Requests);

        _time.Advance(TimeSpan.FromSeconds(6));
        await Until(() => callers.Count(c => c.IsCompleted) == TokenReviewValidator.MaxWaiting);
        Assert.All(callers.Where(c => c.IsCompleted), c => Assert.Equal(TokenFault.Overloaded, c.Result.Fault));

        await cancel.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => Task.WhenAll(callers));
        _server.Instead = null;
        _server.Know(Token, "shop", "web", [Audience]);
        Assert.True((await JudgeAsync(Token)).IsValid);
    }

    [Fact]
    public async Task Readiness_names_a_missing_permission_and_recovers()
    {
        Assert.NotNull(_validator.NotReadyReason);
        _server.MayReview = false;
        using var stop = new CancellationTokenSource();
        var running = _validator.RunAsync(stop.Token);
        await Until(() => _log.Count(1511) == 1);
        Assert.Contains("may not create tokenreviews.authentication.k8s.io", _validator.NotReadyReason, StringComparison.Ordinal);

        _server.MayReview = true;
        await AdvanceUntil(() => _validator.NotReadyReason is null);
        await Until(() => _log.Count(1510) == 1);

        await _server.DisposeAsync();
        await AdvanceUntil(() => _validator.NotReadyReason is not null);
        await stop.CancelAsync();
        await running;
    }

    private void Answer(Action<JsonObject> change)
    {
        _server.Know(Token, "shop", "web", [Audience]);
        var good = _server.Tokens[Token];
        _server.Tokens[Token] = audiences =>
        {
            var status = good(audiences);
            change(status);
            return status;
        };
    }

    private async Task<TokenVerdict> JudgeAsync(string token) => await _validator.ValidateAsync(Encoding.ASCII.GetBytes(token), Stop);

    private async Task<TokenVerdict> AssertFaultAsync(TokenFault fault)
    {
        var verdict = await JudgeAsync(Token);
        Assert.Equal(fault, verdict.Fault);
        Assert.Null(verdict.Account);
        return verdict;
    }

    private static async Task Until(Func<bool> condition)
    {
        while (!condition()) await Task.Delay(2, Stop);
    }

    private async Task AdvanceUntil(Func<bool> condition)
    {
        while (!condition())
        {
            _time.Advance(TimeSpan.FromMilliseconds(500));
            await Task.Delay(2, Stop);
        }
    }
}
