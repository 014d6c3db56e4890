using System.Net;

namespace Mesh.Kubernetes;

/// <summary>A call to the API server failed. The message names the verb and the resource, so that a missing permission can be granted from it.</summary>
public sealed class KubernetesException : Exception
{
    public KubernetesException() { }
    public KubernetesException(string message) : base(message) { }
    public KubernetesException(string message, Exception cause) : base(message, cause) { }

    internal KubernetesException(string verb, string resource, string what, Exception? cause = null) : base($"{verb} {resource}: {what}", cause) =>
        (Verb, Resource) = (verb, resource);

    /// <summary>RBAC's verb: <c>create</c>, <c>list</c>, ...</summary>
    public string Verb { get; } = "";

    /// <summary>RBAC's resource and group: <c>tokenreviews.authentication.k8s.io</c>.</summary>
    public string Resource { get; } = "";

    /// <summary>Null when there was no answer.</summary>
    public HttpStatusCode? StatusCode { get; internal init; }

    /// <summary>The machine-readable reason of the answer: <c>Forbidden</c>, <c>TooManyRequests</c>, ...</summary>
    public string? Reason { get; internal init; }

    /// <summary>How long the server asks to be left alone.</summary>
    public TimeSpan? RetryAfter { get; internal init; }
}
