namespace Mesh.Proxy.Metrics;

/// <summary>Why a request got no answer of the application, or not a whole one. The labels are those of metrics, the access log and spans, and do not change.</summary>
internal enum HttpError
{
    None = 0,

    /// <summary>What the client sent is no HTTP we accept.</summary>
    MalformedRequest,

    /// <summary>The inbound policy denies it.</summary>
    Unauthorized,

    /// <summary>No route, or no port here, takes it.</summary>
    NotFound,

    /// <summary>The target is this proxy itself.</summary>
    Loop,

    /// <summary>Discovery knows no endpoint.</summary>
    NoEndpoint,

    /// <summary>Discovery did not answer in time and nothing is known from before.</summary>
    DiscoveryUnavailable,

    /// <summary>No endpoint, or not the application, could be connected to.</summary>
    ConnectFailed,

    /// <summary>The endpoint is not who discovery says, or TLS with it failed.</summary>
    TlsFailed,

    /// <summary>The server said it will not work on it.</summary>
    Refused,

    /// <summary>The server dropped it.</summary>
    ResetByServer,

    /// <summary>The client dropped it, or left.</summary>
    ResetByClient,

    /// <summary>The connection to the server ended in the middle.</summary>
    ConnectionLost,

    /// <summary>What the server sent is no HTTP we accept.</summary>
    MalformedResponse,

    /// <summary>The whole exchange took longer than its route allows.</summary>
    RequestTimeout,

    /// <summary>The response did not begin in time.</summary>
    ResponseTimeout,

    /// <summary>No bytes in either direction for too long.</summary>
    IdleTimeout,

    /// <summary>More requests wait than may.</summary>
    Overloaded,

    /// <summary>Cut at shutdown, after the grace period.</summary>
    Drained,

    /// <summary>A fault of ours.</summary>
    Bug,
}

internal static class HttpErrorText
{
    private static readonly string[] Labels = [.. Enum.GetValues<HttpError>().Select(e => LabelText.SnakeCase(e.ToString()))];

    public static int Count => Labels.Length;

    public static string Label(this HttpError error) => Labels[(int)error];
}
