using System.Diagnostics;

namespace Mesh.Bench.Pairs;

/// <summary>What a backend speaks.</summary>
internal enum BackendProtocol
{
    Tcp,
    Http1,

    /// <summary>HTTP/2 in plaintext, by prior knowledge.</summary>
    Http2,
}

/// <summary>A server on loopback that is reached through a pair of proxies.</summary>
internal sealed record Backend(string Name, int Port, BackendProtocol Protocol);

/// <summary>Two proxies of one kind: plaintext in, mutual TLS 1.3 between them, plaintext out.</summary>
/// <param name="Name">For the table.</param>
/// <param name="Ports">By the name of a backend, where a client reaches it through both.</param>
/// <param name="Owner">What started them and ends them; null when <see cref="DisposeAsync"/> ends them itself.</param>
internal sealed record ProxyPair(string Name, IReadOnlyDictionary<string, int> Ports, Process Outbound, Process Inbound, IAsyncDisposable? Owner = null) : IAsyncDisposable
{
    /// <summary>CPU of both proxies with their workers, nanoseconds.</summary>
    public long Cpu() => ProcessCost.CpuNanoseconds(ProcessCost.Family(Outbound.Id).Concat(ProcessCost.Family(Inbound.Id)));

    public async ValueTask DisposeAsync()
    {
        if (Owner is null)
        {
            await Tool.StopAsync(Outbound);
            await Tool.StopAsync(Inbound);
        }
        else
        {
            await Owner.DisposeAsync();
        }
    }
}
