using System.Diagnostics;
using System.Net;
using Mesh.Cli.Demo;
using Mesh.Spiffe;

namespace Mesh.Bench.Tcp;

/// <summary>Our own two proxies, published as they ship (self-contained, ReadyToRun), with a real control plane beside them.</summary>
internal static class OurPair
{
    private const string EchoAuthority = "echo.bench.svc.cluster.local:80";
    private const string SourceAuthority = "source.bench.svc.cluster.local:80";

    /// <summary>Starts both. <paramref name="environment"/> is added to theirs: for trying a setting of the runtime or of ours beside the default.</summary>
    public static async Task<ProxyPair> StartAsync(string name, string directory, int echo, int source, IReadOnlyDictionary<string, string> environment)
    {
        var program = await PublishAsync();
        var mesh = await EmbeddedMesh.StartAsync(Path.Combine(directory, name), TrustDomain.Parse("bench.mesh"), TimeSpan.FromHours(1), TimeProvider.System, CancellationToken.None);
        IPEndPoint inboundAddress = EmbeddedMesh.FreeAddress(), echoAddress = EmbeddedMesh.FreeAddress(), sourceAddress = EmbeddedMesh.FreeAddress();
        var inbound = await mesh.StartProxyAsync(new ProxyPlan("inbound", "bench", "server") { Inbound = inboundAddress, Command = [program], Extra = environment }, CancellationToken.None);
        DiscoveryEntry Entry(string authority, int port) =>
            new(authority, [new DiscoveryAddress(new IPEndPoint(IPAddress.Loopback, port), inboundAddress.Port, mesh.IdOf("bench", "server"), mesh.ServerName("bench", "server"))]);
        mesh.Publish([Entry(EchoAuthority, echo), Entry(SourceAuthority, source)]);
        var outbound = await mesh.StartProxyAsync(
            new ProxyPlan("outbound", "bench", "client") { OutboundServices = [(echoAddress, EchoAuthority), (sourceAddress, SourceAuthority)], Command = [program], Extra = environment }, CancellationToken.None);
        return new ProxyPair(name, echoAddress.Port, sourceAddress.Port, Process.GetProcessById(outbound.Process!.Id), Process.GetProcessById(inbound.Process!.Id), [], mesh);
    }

    private static async Task<string> PublishAsync()
    {
        var output = Path.Combine(Tool.RepositoryRoot, "artifacts", "proxy");
        await Tool.RunAsync("dotnet", "publish", Path.Combine(Tool.RepositoryRoot, "proxy/Mesh.Proxy"), "-c", "Release", "-r", "linux-x64", "--self-contained", "-o", output, "--nologo", "-v", "quiet");
        return Path.Combine(output, "Mesh.Proxy");
    }
}
