namespace Mesh.Bench.Pairs;

/// <summary>nginx: "stream" for a TCP backend, "http" with upstream keep-alive for HTTP/1.1.</summary>
internal static class Nginx
{
    // Debian has it as a package of its own.
    private const string StreamModule = "/usr/lib/nginx/modules/ngx_stream_module.so";

    public static Task<ProxyPair> StartAsync(string directory, PeerCertificates certificates, IEnumerable<Backend> backends) =>
        PeerPair.StartAsync("nginx", backends.Where(b => b.Protocol != BackendProtocol.Http2), async (side, routes) =>
        {
            var prefix = Directory.CreateDirectory(Path.Combine(directory, side)).FullName;
            var configuration = Path.Combine(prefix, "nginx.conf");
            string Servers(BackendProtocol protocol, Func<PeerRoute, PeerCertificates, string> outbound, Func<PeerRoute, PeerCertificates, string> inbound) =>
                string.Concat(routes.Where(r => r.Backend.Protocol == protocol).Select(r => (side == "outbound" ? outbound : inbound)(r, certificates)));
            var stream = Servers(BackendProtocol.Tcp, StreamOutbound, StreamInbound);
            var http = Servers(BackendProtocol.Http1, HttpOutbound, HttpInbound);
            await File.WriteAllTextAsync(configuration, $$"""
                {{(stream.Length > 0 && File.Exists(StreamModule) ? $"load_module {StreamModule};" : "")}}
                user root; daemon off; worker_processes 1; worker_rlimit_nofile 16384; pid {{prefix}}/pid; error_log {{prefix}}/error.log;
                events { worker_connections 8192; }
                {{(stream.Length > 0 ? $$"""stream { access_log off; tcp_nodelay on; {{stream}} }""" : "")}}
                {{(http.Length > 0 ? $$"""http { {{HttpDefaults}} {{http}} }""" : "")}}
                """);
            return Tool.Start("nginx", "-p", prefix, "-c", configuration);
        });

    // No temporary files: a body that comes faster than the client reads waits in the sockets, as it does with ours. Buffers the size of a TLS
    // record: measured, a body costs a quarter less with them than with the default, a page.
    private const string HttpDefaults = """
        access_log off; tcp_nodelay on; keepalive_requests 1000000000; keepalive_timeout 600s;
        proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header Host $http_host; proxy_max_temp_file_size 0;
        proxy_buffer_size 16k; proxy_buffers 16 16k; proxy_busy_buffers_size 64k;
        """;

    private static string TlsOutbound(PeerCertificates certificates) => $"""
        proxy_ssl_certificate {certificates.Chain("client")}; proxy_ssl_certificate_key {certificates.Key("client")};
        proxy_ssl_trusted_certificate {certificates.Root}; proxy_ssl_verify on; proxy_ssl_verify_depth 2; proxy_ssl_name server.bench; proxy_ssl_server_name on;
        proxy_ssl_session_reuse off; proxy_ssl_protocols TLSv1.3; proxy_ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256; proxy_ssl_conf_command Groups X25519;
        """;

    private static string TlsInbound(PeerCertificates certificates) => $"""
        ssl_certificate {certificates.Chain("server")}; ssl_certificate_key {certificates.Key("server")};
        ssl_client_certificate {certificates.Root}; ssl_verify_client on; ssl_verify_depth 2; ssl_protocols TLSv1.3; ssl_session_cache off; ssl_session_tickets off;
        ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256; ssl_ecdh_curve X25519;
        """;

    private static string StreamOutbound(PeerRoute route, PeerCertificates certificates) =>
        $$"""server { listen 127.0.0.1:{{route.Outbound}}; proxy_pass 127.0.0.1:{{route.Inbound}}; proxy_ssl on; {{TlsOutbound(certificates)}} }""";

    private static string StreamInbound(PeerRoute route, PeerCertificates certificates) =>
        $$"""server { listen 127.0.0.1:{{route.Inbound}} ssl; proxy_pass 127.0.0.1:{{route.Backend.Port}}; {{TlsInbound(certificates)}} }""";

    private static string HttpOutbound(PeerRoute route, PeerCertificates certificates) => $$"""
        {{Upstream(route, route.Inbound)}}
        server { listen 127.0.0.1:{{route.Outbound}}; location / { proxy_pass https://{{route.Backend.Name}}; {{TlsOutbound(certificates)}} } }
        """;

    private static string HttpInbound(PeerRoute route, PeerCertificates certificates) => $$"""
        {{Upstream(route, route.Backend.Port)}}
        server { listen 127.0.0.1:{{route.Inbound}} ssl; {{TlsInbound(certificates)}} location / { proxy_pass http://{{route.Backend.Name}}; } }
        """;

    private static string Upstream(PeerRoute route, int port) =>
        $$"""upstream {{route.Backend.Name}} { server 127.0.0.1:{{port}}; keepalive 1024; keepalive_requests 1000000000; keepalive_timeout 600s; }""";
}
