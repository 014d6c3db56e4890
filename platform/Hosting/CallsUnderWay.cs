namespace Mesh.Hosting;

/// <summary>How many gRPC calls are being served: what a drain waits for, and what it has cut when it stops waiting.</summary>
internal sealed class CallsUnderWay
{
    private int _count;

    public int Count => Volatile.Read(ref _count);

    public void Enter() => Interlocked.Increment(ref _count);

    public void Leave() => Interlocked.Decrement(ref _count);
}
