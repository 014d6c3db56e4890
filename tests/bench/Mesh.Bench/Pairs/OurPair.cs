using System.Diagnostics;
using System.Net;
using Mesh.Cli.Demo;
using Mesh.Spiffe;

namespace Mesh.Bench.Pairs;

/// <summary>Our own two proxies, published as they ship (self-contained, ReadyToRun), with a real control plane beside them.</summary>
internal static class OurPair
{
    private static Task<string>? _program;

    /// <summary>Starts both. <paramref name="environment"/> is added to theirs: for trying a setting of the runtime or of ours beside the default.</summary>
    public static async Task<ProxyPair> StartAsync(string name, string directory, IEnumerable<Backend> backends, IReadOnlyDictionary<string, string> environment)
    {
        var program = await (_program ??= PublishAsync());
        var mesh = await EmbeddedMesh.StartAsync(directory, TrustDomain.Parse("bench.mesh"), TimeSpan.FromHours(1), TimeProvider.System, CancellationToken.None);
        var inboundAddress = EmbeddedMesh.FreeAddress();
        var inbound = await mesh.StartProxyAsync(new ProxyPlan("inbound", "bench", "server") { Inbound = inboundAddress, Command = [program], Extra = environment }, CancellationToken.None);
        var services = backends.Select(b => (Backend: b, Listen: EmbeddedMesh.FreeAddress(), Authority: $"{b.Name}.bench.svc.cluster.local:80")).ToList();
        mesh.Publish([.. services.Select(s => new DiscoveryEntry(
            s.Authority,
            [new DiscoveryAddress(new IPEndPoint(IPAddress.Loopback, s.Backend.Port), inboundAddress.Port, mesh.IdOf("bench", "server"), mesh.ServerName("bench", "server"))]))]);
        var outbound = await mesh.StartProxyAsync(
            new ProxyPlan("outbound", "bench", "client") { OutboundServices = [.. services.Select(s => (s.Listen, s.Authority))], Command = [program], Extra = environment }, CancellationToken.None);
        return new ProxyPair(name, services.ToDictionary(s => s.Backend.Name, s => s.Listen.Port), Process.GetProcessById(outbound.Process!.Id), Process.GetProcessById(inbound.Process!.Id), mesh);
    }

    private static async Task<string> PublishAsync()
    {
        var output = Path.Combine(Tool.RepositoryRoot, "artifacts", "proxy");
        await Tool.RunAsync("dotnet", "publish", Path.Combine(Tool.RepositoryRoot, "proxy/Mesh.Proxy"), "-c", "Release", "-r", "linux-x64", "--self-contained", "-o", output, "--nologo", "-v", "quiet");
        return Path.Combine(output, "Mesh.Proxy");
    }
}
