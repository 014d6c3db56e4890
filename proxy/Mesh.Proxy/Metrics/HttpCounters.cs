using System.Globalization;

namespace Mesh.Proxy.Metrics;

/// <summary>
/// The requests of one label set. Kept by whoever sends or receives them, so that a request costs additions on plain fields. Written on the
/// loop; a scrape reads beside it.
/// </summary>
internal sealed class HttpCounters
{
    /// <summary>Different statuses counted apart; what comes after that is counted as <c>5xx</c> or <c>other</c>, so that no server can grow the page.</summary>
    public const int MostStatuses = 16;

    private HttpStatusCounters[] _statuses = [];
    private HttpStatusCounters? _latest;
    private FailureCounts? _failures;
    private long _requests;

    public long Requests => Volatile.Read(ref _requests);

    /// <summary>In the order of their first appearance.</summary>
    public ReadOnlySpan<HttpStatusCounters> Statuses => Volatile.Read(ref _statuses);

    /// <summary>The head of a request came. Retries are not requests of their own.</summary>
    public void Requested() => _requests++;

    /// <summary>A response has ended in order.</summary>
    /// <param name="status">100 to 999.</param>
    /// <param name="grpcStatus">What <c>grpc-status</c> says in the head or the trailers; -1 when it is not there.</param>
    /// <param name="latencyMicroseconds">From the request's head to the first byte of the response.</param>
    public void Responded(int status, int grpcStatus, long latencyMicroseconds)
    {
        var counters = _latest is { } latest && latest.Status == status ? latest : Find(status);
        counters.Record(grpcStatus, latencyMicroseconds);
    }

    /// <summary>The request was lost, before a response or within one. Not for clients that leave: that says nothing about the service.</summary>
    /// <param name="reason">As in <see cref="HttpMetrics.Failed"/>.</param>
    public void Failed(string reason) => (_failures ??= new FailureCounts()).Add(reason);

    /// <summary>Null: none.</summary>
    public FailureCounts? Failures => Volatile.Read(ref _failures);

    private HttpStatusCounters Find(int status)
    {
        foreach (var known in _statuses)
            if (known.Status == status) return _latest = known;
        if (_statuses.Length < MostStatuses) return _latest = Add(status, status.ToString(CultureInfo.InvariantCulture));
        return Spare(status is >= 500 and <= 599);
    }

    private HttpStatusCounters Spare(bool serverError)
    {
        var status = serverError ? HttpStatusCounters.OtherServerError : HttpStatusCounters.Other;
        foreach (var known in _statuses)
            if (known.Status == status) return known;
        return Add(status, serverError ? "5xx" : "other");
    }

    private HttpStatusCounters Add(int status, string label)
    {
        var added = new HttpStatusCounters(status, label);
        // A new array: the scrape may be walking the old one.
        Volatile.Write(ref _statuses, [.. _statuses, added]);
        return added;
    }
}

/// <summary>The responses with one status.</summary>
internal sealed class HttpStatusCounters(int status, string label)
{
    /// <summary>Stand for statuses that came when there were too many; no response has them.</summary>
    public const int Other = -1;

    public const int OtherServerError = -5;

    private const int Unknown = 2;
    private const int MostGrpcStatus = 16;

    // The first is of responses without a gRPC status.
    private readonly long[] _counts = new long[MostGrpcStatus + 2];

    public int Status => status;

    public string Label => label;

    public LatencyHistogram Latency { get; } = new(LatencyBuckets.Milliseconds);

    /// <summary>The gRPC statuses that are counted apart, from -1 (none) on.</summary>
    public static int GrpcStatuses => MostGrpcStatus + 1;

    public void Record(int grpcStatus, long microseconds)
    {
        // A number that gRPC does not have means "unknown", as its clients read it.
        _counts[(grpcStatus is >= -1 and <= MostGrpcStatus ? grpcStatus : Unknown) + 1]++;
        Latency.Record(microseconds);
    }

    public long CountOf(int grpcStatus) => Volatile.Read(ref _counts[grpcStatus + 1]);

    /// <summary>Linkerd's default: 5xx, and of gRPC unknown, deadline exceeded, internal, unavailable and data loss, are failures.</summary>
    public static bool IsFailure(int status, int grpcStatus) =>
        status is >= 500 and <= 599 or OtherServerError || grpcStatus is 2 or 4 or 13 or 14 or 15 or > MostGrpcStatus;
}
