using System.Diagnostics;
using Mesh.Bench.Pairs;

namespace Mesh.Bench;

/// <summary>What a benchmark starts, in a temporary directory: backends and pairs of proxies. Disposing it ends them all and leaves nothing behind.</summary>
internal sealed class Workbench : IAsyncDisposable
{
    private static readonly IReadOnlyDictionary<string, string> NoEnvironment = new Dictionary<string, string>();

    private readonly List<Process> _servers = [];
    private readonly List<Backend> _backends = [];
    private readonly List<ProxyPair> _pairs = [];
    private PeerCertificates? _certificates;
    private int _started;

    public string Directory { get; } = System.IO.Directory.CreateTempSubdirectory("mesh-bench-").FullName;

    /// <summary>The pairs that run, in the order of their start.</summary>
    public IReadOnlyList<ProxyPair> Pairs => _pairs;

    /// <summary>Starts a backend that every pair started later leads to. <paramref name="start"/> is told the port, and returns when it listens there.</summary>
    public async Task ServeAsync(string name, BackendProtocol protocol, Func<int, Task<Process>> start)
    {
        var port = Tool.FreePort();
        _servers.Add(await start(port));
        _backends.Add(new Backend(name, port, protocol));
    }

    /// <summary>Starts "nginx", "haproxy", "mesh", or ours under another name with something added to its environment.</summary>
    public async Task<ProxyPair> StartPairAsync(string name, IReadOnlyDictionary<string, string>? environment = null)
    {
        var directory = System.IO.Directory.CreateDirectory(Path.Combine(Directory, $"{name}-{++_started}")).FullName;
        var pair = name switch
        {
            "nginx" => await Nginx.StartAsync(directory, await CertificatesAsync(), _backends),
            "haproxy" => await Haproxy.StartAsync(directory, await CertificatesAsync(), _backends),
            _ => await OurPair.StartAsync(name, directory, _backends, environment ?? NoEnvironment),
        };
        _pairs.Add(pair);
        return pair;
    }

    public async Task EndAsync(ProxyPair pair)
    {
        _pairs.Remove(pair);
        await pair.DisposeAsync();
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var pair in _pairs) await pair.DisposeAsync();
        foreach (var server in _servers) await Tool.StopAsync(server);
        System.IO.Directory.Delete(Directory, recursive: true);
    }

    private async Task<PeerCertificates> CertificatesAsync() => _certificates ??= await PeerCertificates.MakeAsync(Directory);
}
