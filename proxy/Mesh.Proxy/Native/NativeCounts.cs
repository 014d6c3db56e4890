namespace Mesh.Proxy.Native;

/// <summary>How many native things are alive in the process: what a leak test and the admin endpoint look at.</summary>
internal static class NativeCounts
{
    private static int s_descriptors, s_tlsConnections, s_tlsContexts, s_buffers;

    /// <summary>Sockets and listeners.</summary>
    public static int OpenDescriptors => Volatile.Read(ref s_descriptors);

    public static int TlsConnectionsAlive => Volatile.Read(ref s_tlsConnections);

    public static int TlsContextsAlive => Volatile.Read(ref s_tlsContexts);

    /// <summary>Buffers rented and not returned; idle ones of a pool do not count.</summary>
    public static int BuffersRented => Volatile.Read(ref s_buffers);

    public static void Descriptors(int change) => Interlocked.Add(ref s_descriptors, change);

    public static void TlsConnections(int change) => Interlocked.Add(ref s_tlsConnections, change);

    public static void TlsContexts(int change) => Interlocked.Add(ref s_tlsContexts, change);

    public static void Buffers(int change) => Interlocked.Add(ref s_buffers, change);
}
