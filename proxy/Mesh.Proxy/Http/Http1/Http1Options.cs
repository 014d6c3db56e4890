using Mesh.Proxy.Native;

namespace Mesh.Proxy.Http.Http1;

/// <summary>How HTTP/1 connections of clients are served.</summary>
internal sealed record Http1Options
{
    /// <summary>From the first byte of a request to the end of its head: who takes longer wants to hold a connection, not to ask for something.</summary>
    public TimeSpan HeadTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Told of every fault of the peer, for metrics.</summary>
    public Action<Http1Fault>? Faulted { get; init; }
}

/// <summary>How an HTTP/1 connection ended.</summary>
internal enum Http1EndKind : byte
{
    /// <summary>Between two requests, or after one, as one of the sides wished.</summary>
    Closed = 0,

    /// <summary>What the peer sent is no HTTP we accept; <see cref="Http1End.Fault"/> says why.</summary>
    Malformed = 1,

    /// <summary>The head of a request was not complete in time.</summary>
    HeadTimeout = 2,

    /// <summary>The peer, or the transport, ended within a message.</summary>
    Lost = 3,

    /// <summary>This side broke it off, because the other side of an exchange was lost or the proxy stops.</summary>
    Aborted = 4,
}

/// <param name="Kind">The class of the end.</param>
/// <param name="Fault">For <see cref="Http1EndKind.Malformed"/>.</param>
/// <param name="Status">What the transport said last.</param>
internal readonly record struct Http1End(Http1EndKind Kind, Http1Fault Fault = Http1Fault.None, IoStatus Status = IoStatus.Ok);
