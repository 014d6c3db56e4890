using System.Collections.Concurrent;
using System.Net;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.Logging;

namespace Mesh.Kubernetes.Tests;

/// <summary>
/// An API server of two calls, TokenReview and SelfSubjectAccessReview, as strict as the real one: TLS, method, path, content type, bearer token or
/// client certificate, and the form of the body are all checked, and it answers in the real one's words.
/// </summary>
internal sealed class FakeApiServer : IAsyncDisposable
{
    private readonly WebApplication _app;
    private X509Certificate2 _certificate;
    private readonly TaskCompletionSource _shutdown = new();

    private FakeApiServer(WebApplication app, X509Certificate2 certificate) => (_app, _certificate) = (app, certificate);

    /// <summary>The credential the caller must present; null: a client certificate named <see cref="ClientName"/>.</summary>
    public string? Bearer { get; set; } = "mesh-identity's own token";

    public string? ClientName { get; set; }

    /// <summary>Answers a token that is not among <see cref="Tokens"/>.</summary>
    public ConcurrentDictionary<string, Func<string[], JsonObject>> Tokens { get; } = new();

    /// <summary>Takes the place of the next answer.</summary>
    public Func<HttpContext, Task>? Instead { get; set; }

    public bool MayReview { get; set; } = true;

    public int Requests => _requests;

    private int _requests;

    public ConcurrentQueue<string> Protocols { get; } = new();

    public Uri Address { get; private set; } = null!;

    internal static async Task<FakeApiServer> StartAsync(X509Certificate2 certificate)
    {
        var builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        FakeApiServer? server = null;
        builder.WebHost.UseKestrelCore().UseKestrelHttpsConfiguration().ConfigureKestrel(k => k.Listen(IPAddress.Loopback, 0, l =>
        {
            l.Protocols = HttpProtocols.Http1AndHttp2;
            l.UseHttps(h =>
            {
                h.ServerCertificateSelector = (_, _) => server!._certificate;
                h.ClientCertificateMode = ClientCertificateMode.AllowCertificate;
                h.AllowAnyClientCertificate();
            });
        }));
        var app = builder.Build();
        server = new FakeApiServer(app, certificate);
        app.Run(server.AnswerAsync);
        await app.StartAsync();
        server.Address = new Uri(app.Urls.Single());
        return server;
    }

    /// <summary>From now on new connections get this certificate.</summary>
    internal void Use(X509Certificate2 certificate) => _certificate = certificate;

    /// <summary>Knows a ServiceAccount's token for these audiences.</summary>
    internal void Know(string token, string ns, string name, string[] audiences, string? pod = null) => Tokens[token] = asked =>
    {
        var both = asked.Length == 0 ? audiences : [.. asked.Intersect(audiences)];
        if (both.Length == 0)
            return new JsonObject { ["user"] = new JsonObject(), ["error"] = $"[invalid bearer token, token audiences [\"{string.Join("\" \"", audiences)}\"] is invalid for the target audiences [\"{string.Join("\" \"", asked)}\"]]" };
        var extra = new JsonObject { ["authentication.kubernetes.io/credential-id"] = new JsonArray("JTI=ea3b62a0") };
        if (pod is not null)
        {
            extra["authentication.kubernetes.io/pod-name"] = new JsonArray(pod);
            extra["authentication.kubernetes.io/pod-uid"] = new JsonArray("f0e1");
            extra["authentication.kubernetes.io/node-name"] = new JsonArray("node-1");
        }

        return new JsonObject
        {
            ["authenticated"] = true,
            ["user"] = new JsonObject
            {
                ["username"] = $"system:serviceaccount:{ns}:{name}",
                ["uid"] = "1f2e",
                ["groups"] = new JsonArray("system:serviceaccounts", $"system:serviceaccounts:{ns}", "system:authenticated"),
                ["extra"] = extra,
            },
            ["audiences"] = new JsonArray([.. both.Select(a => JsonValue.Create(a))]),
        };
    };

    internal static Task StatusAsync(HttpContext context, int code, string reason, string message)
    {
        context.Response.StatusCode = code;
        context.Response.ContentType = "application/json";
        return context.Response.WriteAsync(new JsonObject
        {
            ["kind"] = "Status", ["apiVersion"] = "v1", ["metadata"] = new JsonObject(), ["status"] = "Failure", ["message"] = message, ["reason"] = reason, ["code"] = code,
        }.ToJsonString());
    }

    /// <summary>An answer that never comes.</summary>
    internal Task NeverAsync(HttpContext context) => Task.WhenAny(_shutdown.Task, Task.Delay(Timeout.Infinite, context.RequestAborted));

    public async ValueTask DisposeAsync()
    {
        _shutdown.TrySetResult();
        await _app.DisposeAsync();
    }

    private async Task AnswerAsync(HttpContext context)
    {
        Interlocked.Increment(ref _requests);
        Protocols.Enqueue(context.Request.Protocol);
        if (Instead is { } instead)
        {
            await instead(context);
            return;
        }

        if (!IsAuthenticated(context))
        {
            await StatusAsync(context, 401, "Unauthorized", "Unauthorized");
            return;
        }

        var path = context.Request.Path.Value;
        if (path is not ("/apis/authentication.k8s.io/v1/tokenreviews" or "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"))
        {
            await StatusAsync(context, 404, "NotFound", "the server could not find the requested resource");
            return;
        }

        if (context.Request.Method != "POST") await StatusAsync(context, 405, "MethodNotAllowed", "the server does not allow this method on the requested resource");
        else if (context.Request.ContentType != "application/json") await StatusAsync(context, 415, "UnsupportedMediaType", "the body of the request was in an unknown format");
        else await ReviewAsync(context, path.EndsWith("tokenreviews", StringComparison.Ordinal));
    }

    private bool IsAuthenticated(HttpContext context) => Bearer is not null
        ? context.Request.Headers.Authorization.ToString() == $"Bearer {Bearer}"
        : context.Connection.ClientCertificate?.GetNameInfo(X509NameType.SimpleName, false) == ClientName;

    private async Task ReviewAsync(HttpContext context, bool token)
    {
        using var reader = new StreamReader(context.Request.Body, Encoding.UTF8);
        var body = JsonNode.Parse(await reader.ReadToEndAsync(context.RequestAborted))!.AsObject();
        var (group, kind) = token ? ("authentication.k8s.io/v1", "TokenReview") : ("authorization.k8s.io/v1", "SelfSubjectAccessReview");
        if ((string?)body["apiVersion"] != group || (string?)body["kind"] != kind || body["spec"] is not JsonObject spec)
        {
            await StatusAsync(context, 400, "BadRequest", $"the object provided is unrecognized as {kind}");
            return;
        }

        JsonObject status;
        if (!token)
        {
            var attributes = spec["resourceAttributes"]!.AsObject();
            var asked = (string?)attributes["verb"] == "create" && (string?)attributes["group"] == "authentication.k8s.io" && (string?)attributes["resource"] == "tokenreviews";
            status = new JsonObject { ["allowed"] = asked && MayReview };
        }
        else if (!MayReview)
        {
            await StatusAsync(context, 403, "Forbidden", "tokenreviews.authentication.k8s.io is forbidden: User \"system:serviceaccount:mesh:mesh-identity\" cannot create resource \"tokenreviews\" in API group \"authentication.k8s.io\" at the cluster scope");
            return;
        }
        else
        {
            var audiences = spec["audiences"] is JsonArray list ? list.Select(a => (string)a!).ToArray() : [];
            status = Tokens.TryGetValue((string)spec["token"]!, out var answer) ? answer(audiences) : new JsonObject { ["user"] = new JsonObject(), ["error"] = "[invalid bearer token, service account token has expired]" };
        }

        // The real server sends the whole object back, the token in it.
        body["metadata"] = new JsonObject { ["creationTimestamp"] = null };
        body["status"] = status;
        context.Response.StatusCode = 201;
        context.Response.ContentType = "application/json";
        await context.Response.WriteAsync(body.ToJsonString(), context.RequestAborted);
    }
}
