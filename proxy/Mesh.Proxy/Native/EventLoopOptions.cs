namespace Mesh.Proxy.Native;

/// <summary>How one <see cref="EventLoop"/> shares its thread among connections. The defaults are what measurements on two cores chose.</summary>
internal sealed record EventLoopOptions
{
    /// <summary>Events taken from the kernel per turn.</summary>
    public int EventsPerTurn { get; init; } = 256;

    /// <summary>
    /// Bytes one connection may read in one turn before the others have theirs. Without it a connection whose peer is as fast as we are
    /// would never give the thread back.
    /// </summary>
    public int ReadBudgetPerTurn { get; init; } = 512 * 1024;

    /// <summary>Connections one listener hands out per turn.</summary>
    public int AcceptsPerTurn { get; init; } = 32;

    /// <summary>
    /// TLS handshake steps per turn. A step costs 0.3 to 0.5 ms of public-key arithmetic; unlimited, 50 arriving connections held 50 warm ones
    /// up for 50 ms, with one step per turn for 7.
    /// </summary>
    public int HandshakeStepsPerTurn { get; init; } = 1;

    /// <summary>How long a loop that was told to stop waits for connections to unwind before it closes what is left.</summary>
    public TimeSpan StopGrace { get; init; } = TimeSpan.FromSeconds(2);

    /// <summary>Told of an exception that escaped posted work, a timer or a flush: a bug, which must not end the loop. Called on the loop's thread.</summary>
    public Action<Exception>? Unhandled { get; init; }

    /// <summary>Told when a listener cannot accept because descriptors or memory ran out (errno); at most once per back-off. Called on the loop's thread.</summary>
    public Action<int>? AcceptTrouble { get; init; }
}

/// <summary>Something with bytes collected during a turn, written out once at its end: many small frames become one system call.</summary>
internal interface IFlushable
{
    /// <summary>Writes what has been collected. Must not throw: a failure belongs to the connection and is reported there.</summary>
    void Flush();
}
