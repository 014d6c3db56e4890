using System.Globalization;

namespace Mesh.Bench.Pairs;

/// <summary>HAProxy: "mode tcp", or "mode http" with one version of HTTP from the client to the backend.</summary>
internal static class Haproxy
{
    public static Task<ProxyPair> StartAsync(string directory, PeerCertificates certificates, IEnumerable<Backend> backends) =>
        PeerPair.StartAsync("haproxy", backends, async (side, routes) =>
        {
            var configuration = Path.Combine(directory, side + ".cfg");
            await File.WriteAllTextAsync(configuration, Defaults + string.Concat(routes.Select(r => Listen(r, side, certificates))));
            return Tool.Start("haproxy", "-db", "-f", configuration);
        });

    private const string Defaults = """
        global
          nbthread 1
          maxconn 8192
          tune.ssl.cachesize 0
          ssl-default-bind-options ssl-min-ver TLSv1.3
          ssl-default-server-options ssl-min-ver TLSv1.3
          ssl-default-bind-ciphersuites TLS_AES_128_GCM_SHA256
          ssl-default-server-ciphersuites TLS_AES_128_GCM_SHA256
        defaults
          timeout connect 5s
          timeout client 600s
          timeout server 600s
          http-reuse always
          default-server pool-purge-delay 600s

        """;

    private static string Listen(PeerRoute route, string side, PeerCertificates certificates)
    {
        var (mode, plain, tls) = route.Backend.Protocol switch
        {
            BackendProtocol.Tcp => ("tcp", "", ""),
            BackendProtocol.Http1 => ("http", "", ""),
            _ => ("http", " proto h2", " alpn h2 proto h2"),
        };
        var (bind, server) = side == "outbound"
            ? ($"127.0.0.1:{route.Outbound}{plain}", $"127.0.0.1:{route.Inbound} ssl crt {certificates.ChainAndKey("client")} ca-file {certificates.Root} verify required verifyhost server.bench sni str(server.bench) no-ssl-reuse{tls}")
            : ($"127.0.0.1:{route.Inbound} ssl crt {certificates.ChainAndKey("server")} ca-file {certificates.Root} verify required no-tls-tickets curves X25519{tls}", $"127.0.0.1:{route.Backend.Port}{plain}");
        return string.Create(CultureInfo.InvariantCulture, $"listen {route.Backend.Name}\n  mode {mode}\n  bind {bind}\n  server s {server}\n");
    }
}
