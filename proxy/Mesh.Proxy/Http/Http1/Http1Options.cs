namespace Mesh.Proxy.Http.Http1;

/// <summary>What an operator may want to be different for the connections of clients.</summary>
internal sealed record Http1Options
{
    /// <summary>From the first byte of a request to the end of its head: who takes longer is broken, or holds connections on purpose.</summary>
    public TimeSpan HeadTimeout { get; init; } = TimeSpan.FromSeconds(30);

    /// <summary>Between two requests; none by default, as without a proxy.</summary>
    public TimeSpan IdleTimeout { get; init; } = Timeout.InfiniteTimeSpan;

    /// <summary>
    /// How long what a client still sends is taken and dropped after the last word of ours has been written: closing while it sends makes a reset,
    /// which may destroy what it has not read yet (RFC 9112 section 9.6).
    /// </summary>
    public TimeSpan Linger { get; init; } = TimeSpan.FromSeconds(5);
}
