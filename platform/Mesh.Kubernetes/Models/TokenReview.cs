using System.Text.Json.Serialization;

namespace Mesh.Kubernetes.Models;

/// <summary><c>authentication.k8s.io/v1</c> TokenReview: asks the API server whose token this is.</summary>
public sealed class V1TokenReview
{
    public string ApiVersion { get; init; } = "authentication.k8s.io/v1";
    public string Kind { get; init; } = "TokenReview";
    public V1TokenReviewSpec? Spec { get; init; }
    public V1TokenReviewStatus? Status { get; init; }
}

/// <summary>The question. Holds a secret: has no other text form than its type's name.</summary>
public sealed class V1TokenReviewSpec
{
    public required string Token { get; init; }

    /// <summary>Who would accept the token. Kubernetes takes an empty list for the API server itself, so it is never left empty.</summary>
    public required IReadOnlyList<string> Audiences { get; init; }

    public override string ToString() => nameof(V1TokenReviewSpec);
}

/// <summary>The answer.</summary>
public sealed class V1TokenReviewStatus
{
    public bool Authenticated { get; init; }

    /// <summary>Which of the asked audiences the token is for; an API server that knows nothing of audiences leaves it empty.</summary>
    public IReadOnlyList<string>? Audiences { get; init; }

    public V1UserInfo? User { get; init; }

    /// <summary>Why the token could not be checked.</summary>
    public string? Error { get; init; }
}

/// <summary>Whom the token speaks for.</summary>
public sealed class V1UserInfo
{
    public string? Username { get; init; }
    public string? Uid { get; init; }
    public IReadOnlyList<string>? Groups { get; init; }

    /// <summary>For bound ServiceAccount tokens: <c>authentication.kubernetes.io/pod-name</c>, <c>pod-uid</c>, <c>node-name</c>.</summary>
    public IReadOnlyDictionary<string, IReadOnlyList<string>>? Extra { get; init; }
}

/// <summary><c>authorization.k8s.io/v1</c> SelfSubjectAccessReview: asks whether we may do something.</summary>
public sealed class V1SelfSubjectAccessReview
{
    public string ApiVersion { get; init; } = "authorization.k8s.io/v1";
    public string Kind { get; init; } = "SelfSubjectAccessReview";
    public V1SelfSubjectAccessReviewSpec? Spec { get; init; }
    public V1SubjectAccessReviewStatus? Status { get; init; }
}

public sealed class V1SelfSubjectAccessReviewSpec
{
    public required V1ResourceAttributes ResourceAttributes { get; init; }
}

public sealed class V1ResourceAttributes
{
    public string? Namespace { get; init; }
    public required string Verb { get; init; }
    public required string Group { get; init; }
    public required string Resource { get; init; }
}

public sealed class V1SubjectAccessReviewStatus
{
    public bool Allowed { get; init; }
    public string? Reason { get; init; }
}

/// <summary>What the API server answers instead of the thing asked for.</summary>
public sealed class V1Status
{
    public string? Message { get; init; }
    public string? Reason { get; init; }
    public V1StatusDetails? Details { get; init; }
}

public sealed class V1StatusDetails
{
    public int? RetryAfterSeconds { get; init; }
}

[JsonSourceGenerationOptions(PropertyNamingPolicy = JsonKnownNamingPolicy.CamelCase, DefaultIgnoreCondition = JsonIgnoreCondition.WhenWritingNull)]
[JsonSerializable(typeof(V1TokenReview))]
[JsonSerializable(typeof(V1SelfSubjectAccessReview))]
[JsonSerializable(typeof(V1Status))]
internal sealed partial class KubernetesJson : JsonSerializerContext;
