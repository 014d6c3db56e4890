using System.Net;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text.Json;
using System.Text.Json.Serialization.Metadata;
using Mesh.Kubernetes.Configuration;
using Mesh.Kubernetes.Models;

namespace Mesh.Kubernetes;

/// <summary>
/// The calls of the Kubernetes API that Mesh needs, in the names and shapes of the KubernetesClient package. Safe for many threads.
/// Calls are not repeated here, with one exception: after a 401 the token file is read again and the call made once more.
/// </summary>
public sealed class KubernetesClient : IDisposable
{
    private const int MaxAnswerBytes = 1024 * 1024;
    private const int MaxQuoted = 500;
    private readonly ClusterConnection _connection;
    private readonly TimeProvider _time;

    /// <param name="configuration">Where and as whom.</param>
    /// <param name="time">The clock of timeouts and of file checks.</param>
    public KubernetesClient(KubernetesConfiguration configuration, TimeProvider time)
    {
        _connection = new ClusterConnection(configuration, time);
        _time = time;
        Description = configuration.ToString();
    }

    /// <summary>Server and credential, without secrets.</summary>
    public string Description { get; }

    /// <summary>Longest time one call takes, connecting included.</summary>
    public TimeSpan Timeout { get; init; } = TimeSpan.FromSeconds(10);

    /// <exception cref="KubernetesException">No answer, a refusal, or an answer that is no TokenReview.</exception>
    public Task<V1TokenReview> CreateTokenReviewAsync(V1TokenReview body, CancellationToken ct) =>
        CreateAsync("apis/authentication.k8s.io/v1/tokenreviews", "tokenreviews.authentication.k8s.io", body, KubernetesJson.Default.V1TokenReview, ct);

    /// <exception cref="KubernetesException">No answer, a refusal, or an answer that is no SelfSubjectAccessReview.</exception>
    public Task<V1SelfSubjectAccessReview> CreateSelfSubjectAccessReviewAsync(V1SelfSubjectAccessReview body, CancellationToken ct) =>
        CreateAsync("apis/authorization.k8s.io/v1/selfsubjectaccessreviews", "selfsubjectaccessreviews.authorization.k8s.io", body, KubernetesJson.Default.V1SelfSubjectAccessReview, ct);

    public void Dispose() => _connection.Dispose();

    private async Task<T> CreateAsync<T>(string path, string resource, T body, JsonTypeInfo<T> type, CancellationToken ct)
    {
        const string Verb = "create";
        using var timeout = new CancellationTokenSource(Timeout, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, ct);
        try
        {
            var json = JsonSerializer.SerializeToUtf8Bytes(body, type);
            using var response = await SendAsync(HttpMethod.Post, path, json, either.Token);
            var answer = await ReadAsync(response, Verb, resource, either.Token);
            if (!response.IsSuccessStatusCode) throw Refusal(response, answer, Verb, resource);
            return JsonSerializer.Deserialize(answer.Span, type) ?? throw new KubernetesException(Verb, resource, "the answer is empty");
        }
        catch (OperationCanceledException e) when (timeout.IsCancellationRequested && !ct.IsCancellationRequested)
        {
            throw new KubernetesException(Verb, resource, $"no answer within {Timeout.TotalSeconds:0.#} s", e);
        }
        catch (JsonException e)
        {
            // The exception's own text may quote the answer.
            throw new KubernetesException(Verb, resource, $"the answer is not what was asked for: line {e.LineNumber}, byte {e.BytePositionInLine}");
        }
        catch (Exception e) when (e is HttpRequestException or IOException or UnauthorizedAccessException or CryptographicException or FormatException)
        {
            throw new KubernetesException(Verb, resource, Printable((e.InnerException ?? e).Message), e);
        }
    }

    private async Task<HttpResponseMessage> SendAsync(HttpMethod method, string path, byte[] json, CancellationToken ct)
    {
        HttpResponseMessage response;
        try
        {
            response = await SendOnceAsync(method, path, json, freshToken: false, ct);
        }
        catch (HttpRequestException e) when (e.HttpRequestError == HttpRequestError.SecureConnectionError && _connection.Reload())
        {
            // The server has a certificate of a CA that our files name only since a moment ago.
            return await SendOnceAsync(method, path, json, freshToken: false, ct);
        }

        if (response.StatusCode != HttpStatusCode.Unauthorized) return response;
        response.Dispose();
        return await SendOnceAsync(method, path, json, freshToken: true, ct);
    }

    private async Task<HttpResponseMessage> SendOnceAsync(HttpMethod method, string path, byte[] json, bool freshToken, CancellationToken ct)
    {
        var client = _connection.Client();
        using var request = new HttpRequestMessage(method, path)
        {
            Content = new ByteArrayContent(json) { Headers = { ContentType = new MediaTypeHeaderValue("application/json") } },
            Version = client.DefaultRequestVersion,
            VersionPolicy = client.DefaultVersionPolicy,
        };
        request.Headers.Authorization = _connection.Authorization(freshToken);
        return await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, ct);
    }

    private static async Task<ReadOnlyMemory<byte>> ReadAsync(HttpResponseMessage response, string verb, string resource, CancellationToken ct)
    {
        await using var stream = await response.Content.ReadAsStreamAsync(ct);
        var buffer = new byte[8 * 1024];
        var length = 0;
        while (true)
        {
            var read = await stream.ReadAsync(buffer.AsMemory(length), ct);
            if (read == 0) return buffer.AsMemory(0, length);
            length += read;
            if (length > MaxAnswerBytes) throw new KubernetesException(verb, resource, $"the answer is larger than {MaxAnswerBytes} bytes");
            if (length == buffer.Length) Array.Resize(ref buffer, Math.Min(buffer.Length * 2, MaxAnswerBytes + 1));
        }
    }

    private static KubernetesException Refusal(HttpResponseMessage response, ReadOnlyMemory<byte> answer, string verb, string resource)
    {
        V1Status? status = null;
        try
        {
            if (!answer.IsEmpty) status = JsonSerializer.Deserialize(answer.Span, KubernetesJson.Default.V1Status);
        }
        catch (JsonException)
        {
            // A load balancer or a proxy answered in its own words; the code alone has to do.
        }

        var code = (int)response.StatusCode;
        var said = status?.Message is { Length: > 0 } message ? $" {Printable(message)}" : "";
        var hint = response.StatusCode switch
        {
            HttpStatusCode.Forbidden => $"403, this account may not {verb} {resource}: grant the verb \"{verb}\" on it by a ClusterRole.",
            HttpStatusCode.Unauthorized => "401, the API server does not accept our credential.",
            HttpStatusCode.NotFound => "404, the API server does not serve this resource.",
            HttpStatusCode.TooManyRequests => "429, the API server is overloaded.",
            _ => $"the API server answered {code}.",
        };
        var retryAfter = response.Headers.RetryAfter?.Delta ?? (status?.Details?.RetryAfterSeconds is { } seconds and > 0 ? TimeSpan.FromSeconds(seconds) : null);
        return new KubernetesException(verb, resource, hint + said) { StatusCode = response.StatusCode, Reason = status?.Reason, RetryAfter = retryAfter };
    }

    private static string Printable(string text) =>
        new([.. text.Take(MaxQuoted).Select(c => c is >= ' ' and <= '~' ? c : '?')]);
}
