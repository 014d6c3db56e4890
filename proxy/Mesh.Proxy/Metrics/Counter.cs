namespace Mesh.Proxy.Metrics;

/// <summary>One number that grows; written on the loop.</summary>
internal sealed class Counter
{
    public long Value;
}
