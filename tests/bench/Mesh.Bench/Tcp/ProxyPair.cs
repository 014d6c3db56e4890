using System.Diagnostics;

namespace Mesh.Bench.Tcp;

/// <summary>Two proxies of one kind: plaintext in, mutual TLS 1.3 between them, plaintext out.</summary>
/// <param name="Name">For the table.</param>
/// <param name="EchoPort">Where a client reaches the echo backend through both.</param>
/// <param name="SourcePort">Where a client reaches the source backend through both.</param>
/// <param name="Processes">What was started and is ended by <see cref="DisposeAsync"/>.</param>
internal sealed record ProxyPair(string Name, int EchoPort, int SourcePort, Process Outbound, Process Inbound, IReadOnlyList<Process> Processes, IAsyncDisposable? Owner = null) : IAsyncDisposable
{
    /// <summary>CPU of both proxies with their workers, nanoseconds.</summary>
    public long Cpu() => ProcessCost.CpuNanoseconds(ProcessCost.Family(Outbound.Id).Concat(ProcessCost.Family(Inbound.Id)));

    /// <summary>Resident memory of the outbound proxy with its workers, megabytes.</summary>
    public double OutboundMegabytes() => ProcessCost.Family(Outbound.Id).Sum(ProcessCost.ResidentMegabytes);

    /// <summary>Of that, what no file stands behind.</summary>
    public double OutboundAnonymousMegabytes() => ProcessCost.Family(Outbound.Id).Sum(ProcessCost.AnonymousMegabytes);

    public async ValueTask DisposeAsync()
    {
        foreach (var process in Processes)
        {
            if (!process.HasExited) process.Kill(entireProcessTree: true);
            await process.WaitForExitAsync();
            process.Dispose();
        }

        if (Owner is not null) await Owner.DisposeAsync();
    }
}

/// <summary>The peers, configured to do the same work: TLS 1.3, AES-128-GCM, X25519, P-256 certificates verified on both sides, no resumption.</summary>
internal static class Peers
{
    /// <summary>A throw-away root, an issuer and one leaf for each side, in PEM.</summary>
    public static async Task<string> MakeCertificatesAsync(string directory)
    {
        var path = Path.Combine(directory, "peers");
        Directory.CreateDirectory(path);
        string In(string name) => Path.Combine(path, name);
        // Root, issuer, leaf, as ours: what both sides have to send and to verify is the same for all.
        await Tool.RunAsync("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", In("ca.key"), "-out", In("ca.crt"), "-days", "2", "-subj", "/CN=bench root", "-addext", "keyUsage=critical,keyCertSign,cRLSign");
        await IssueAsync("issuer", "ca", "keyUsage=critical,keyCertSign,cRLSign\nbasicConstraints=critical,CA:TRUE,pathlen:0\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n");
        foreach (var side in new[] { "client", "server" })
        {
            await IssueAsync(side, "issuer", $"subjectAltName=DNS:{side}.bench\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth,clientAuth\nbasicConstraints=critical,CA:FALSE\nsubjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n");
            await File.AppendAllTextAsync(In(side + ".crt"), await File.ReadAllTextAsync(In("issuer.crt")));
            await File.WriteAllTextAsync(In(side + ".pem"), await File.ReadAllTextAsync(In(side + ".crt")) + await File.ReadAllTextAsync(In(side + ".key")));
        }

        async Task IssueAsync(string name, string authority, string extensions)
        {
            await File.WriteAllTextAsync(In(name + ".ext"), extensions);
            await Tool.RunAsync("openssl", "req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", In(name + ".key"), "-out", In(name + ".csr"), "-subj", "/CN=" + name + ".bench");
            await Tool.RunAsync("openssl", "x509", "-req", "-in", In(name + ".csr"), "-CA", In(authority + ".crt"), "-CAkey", In(authority + ".key"), "-CAcreateserial", "-days", "2", "-extfile", In(name + ".ext"), "-out", In(name + ".crt"));
        }

        return path;
    }

    public static async Task<ProxyPair> NginxAsync(string directory, string certificates, int echo, int source)
    {
        int outEcho = Tool.FreePort(), outSource = Tool.FreePort(), inEcho = Tool.FreePort(), inSource = Tool.FreePort();
        string Server(int listen, int target, bool outbound) => outbound
            ? $$"""
                server { listen 127.0.0.1:{{listen}}; proxy_pass 127.0.0.1:{{target}}; proxy_ssl on;
                  proxy_ssl_certificate {{certificates}}/client.crt; proxy_ssl_certificate_key {{certificates}}/client.key;
                  proxy_ssl_trusted_certificate {{certificates}}/ca.crt; proxy_ssl_verify on; proxy_ssl_verify_depth 2; proxy_ssl_name server.bench; proxy_ssl_server_name on;
                  proxy_ssl_session_reuse off; proxy_ssl_protocols TLSv1.3; proxy_ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256; proxy_ssl_conf_command Groups X25519; }
                """
            : $$"""
                server { listen 127.0.0.1:{{listen}} ssl; proxy_pass 127.0.0.1:{{target}};
                  ssl_certificate {{certificates}}/server.crt; ssl_certificate_key {{certificates}}/server.key;
                  ssl_client_certificate {{certificates}}/ca.crt; ssl_verify_client on; ssl_protocols TLSv1.3; ssl_session_cache off; ssl_session_tickets off;
                  ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256; ssl_ecdh_curve X25519; }
                """;
        async Task<Process> StartAsync(string name, string servers)
        {
            var prefix = Path.Combine(directory, "nginx-" + name);
            Directory.CreateDirectory(prefix);
            var configuration = Path.Combine(prefix, "nginx.conf");
            var module = "/usr/lib/nginx/modules/ngx_stream_module.so";
            await File.WriteAllTextAsync(configuration, $$"""
                {{(File.Exists(module) ? $"load_module {module};" : "")}}
                user root; daemon off; worker_processes 1; pid {{prefix}}/pid; error_log {{prefix}}/error.log;
                events { worker_connections 8192; }
                stream { access_log off; tcp_nodelay on; {{servers}} }
                """);
            return Tool.Start("nginx", "-p", prefix, "-c", configuration);
        }

        var inbound = await StartAsync("in", Server(inEcho, echo, false) + Server(inSource, source, false));
        var outbound = await StartAsync("out", Server(outEcho, inEcho, true) + Server(outSource, inSource, true));
        foreach (var port in new[] { outEcho, outSource, inEcho, inSource }) await Tool.WaitForPortAsync(port);
        return new ProxyPair("nginx", outEcho, outSource, outbound, inbound, [outbound, inbound]);
    }

    public static async Task<ProxyPair> HaproxyAsync(string directory, string certificates, int echo, int source)
    {
        int outEcho = Tool.FreePort(), outSource = Tool.FreePort(), inEcho = Tool.FreePort(), inSource = Tool.FreePort();
        string Listen(string name, int listen, int target, bool outbound) => outbound
            ? $"listen {name}\n  bind 127.0.0.1:{listen}\n  server s 127.0.0.1:{target} ssl crt {certificates}/client.pem ca-file {certificates}/ca.crt verify required verifyhost server.bench sni str(server.bench) no-ssl-reuse\n"
            : $"listen {name}\n  bind 127.0.0.1:{listen} ssl crt {certificates}/server.pem ca-file {certificates}/ca.crt verify required no-tls-tickets curves X25519\n  server s 127.0.0.1:{target}\n";
        async Task<Process> StartAsync(string name, string sections)
        {
            var configuration = Path.Combine(directory, $"haproxy-{name}.cfg");
            await File.WriteAllTextAsync(configuration, $"""
                global
                  nbthread 1
                  maxconn 8192
                  tune.ssl.cachesize 0
                  ssl-default-bind-options ssl-min-ver TLSv1.3
                  ssl-default-server-options ssl-min-ver TLSv1.3
                  ssl-default-bind-ciphersuites TLS_AES_128_GCM_SHA256
                  ssl-default-server-ciphersuites TLS_AES_128_GCM_SHA256
                defaults
                  mode tcp
                  timeout connect 5s
                  timeout client 60s
                  timeout server 60s
                {sections}
                """.Replace("\n                ", "\n", StringComparison.Ordinal));
            return Tool.Start("haproxy", "-db", "-f", configuration);
        }

        var inbound = await StartAsync("in", Listen("echo", inEcho, echo, false) + Listen("source", inSource, source, false));
        var outbound = await StartAsync("out", Listen("echo", outEcho, inEcho, true) + Listen("source", outSource, inSource, true));
        foreach (var port in new[] { outEcho, outSource, inEcho, inSource }) await Tool.WaitForPortAsync(port);
        return new ProxyPair("haproxy", outEcho, outSource, outbound, inbound, [outbound, inbound]);
    }
}
