using System.Diagnostics;

namespace Mesh.Bench.Pairs;

/// <summary>How one backend is reached through two peers: a client dials <see cref="Outbound"/>, that proxy dials <see cref="Inbound"/>, that one the backend.</summary>
internal sealed record PeerRoute(Backend Backend, int Outbound, int Inbound);

/// <summary>
/// Two peers, configured to do the work that ours do: TLS 1.3, AES-128-GCM, X25519, certificates verified on both sides, no resumption; one
/// worker thread each, connections kept open.
/// </summary>
internal static class PeerPair
{
    /// <summary>Starts both. <paramref name="start"/> is told "outbound" or "inbound", and the routes to configure.</summary>
    public static async Task<ProxyPair> StartAsync(string name, IEnumerable<Backend> backends, Func<string, IReadOnlyList<PeerRoute>, Task<Process>> start)
    {
        var routes = backends.Select(b => new PeerRoute(b, Tool.FreePort(), Tool.FreePort())).ToList();
        var inbound = await start("inbound", routes);
        var outbound = await start("outbound", routes);
        var pair = new ProxyPair(name, routes.ToDictionary(r => r.Backend.Name, r => r.Outbound), outbound, inbound);
        try
        {
            foreach (var port in routes.SelectMany(r => new[] { r.Inbound, r.Outbound })) await Tool.WaitForPortAsync(port);
            return pair;
        }
        catch
        {
            await pair.DisposeAsync();
            throw;
        }
    }
}
