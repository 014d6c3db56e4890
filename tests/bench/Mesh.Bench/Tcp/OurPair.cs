namespace Mesh.Bench.Tcp;

internal static class OurPair
{
    public static Task<ProxyPair> StartAsync(string directory, int echo, int source) => throw new NotSupportedException();
}
