namespace Mesh.Proxy.Http.Http1;

/// <summary>The header blocks of one loop's thread. A connection has one while it reads a head or trailers, which is mostly within one call.</summary>
internal static class HeaderBlocks
{
    private const int MaxIdle = 16;

    // What a head with a huge cookie made of a block is not kept.
    private const int MaxCapacity = 16 * 1024;

    [ThreadStatic] private static Stack<HeaderBlock>? t_idle;

    /// <summary>An empty block.</summary>
    public static HeaderBlock Rent() => t_idle is { Count: > 0 } idle ? idle.Pop() : new HeaderBlock();

    public static void Return(HeaderBlock block)
    {
        var idle = t_idle ??= new Stack<HeaderBlock>(MaxIdle);
        if (idle.Count == MaxIdle || block.Capacity > MaxCapacity) return;
        block.Clear();
        idle.Push(block);
    }
}
