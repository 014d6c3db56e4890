using System.Collections.Immutable;
using Mesh.Proxy.Balance;

namespace Mesh.Proxy.Routing;

/// <summary>When a request that was sent is sent again. Immutable.</summary>
internal sealed record RetryPolicy
{
    /// <summary>Linkerd's bound on what is kept of a request to send it again, in bytes.</summary>
    public const int DefaultMaxRequestBytes = 64 * 1024;

    /// <summary>Beside the first attempt; at least 1.</summary>
    public required int MaxRetries { get; init; }

    /// <summary>A request with a longer body is sent once.</summary>
    public int MaxRequestBytes { get; init; } = DefaultMaxRequestBytes;

    /// <summary>Milliseconds for each attempt; 0: no limit of its own.</summary>
    public long Timeout { get; init; }

    /// <summary>What to wait before each retry; null: nothing.</summary>
    public ExponentialBackoff? Backoff { get; init; }

    /// <summary>HTTP status codes, both ends included.</summary>
    public ImmutableArray<(int First, int Last)> Statuses { get; init; } = [];

    /// <summary>One bit for each gRPC status code.</summary>
    public uint GrpcCodes { get; init; }

    public bool IsRetryable(int status)
    {
        foreach (var (first, last) in Statuses)
            if (status >= first && status <= last) return true;
        return false;
    }

    public bool IsRetryableGrpc(int code) => code is >= 0 and < 32 && (GrpcCodes >> code & 1) != 0;
}
