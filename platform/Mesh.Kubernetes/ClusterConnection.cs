using System.Net.Http.Headers;
using System.Net.Security;
using System.Security.Cryptography.X509Certificates;
using Mesh.Kubernetes.Configuration;

namespace Mesh.Kubernetes;

/// <summary>
/// The HTTP client of one API server, rebuilt when the files behind it (CA, client certificate) change: a cluster's CA is rotated under running pods.
/// </summary>
internal sealed class ClusterConnection : IDisposable
{
    private static readonly TimeSpan FileCheckInterval = TimeSpan.FromSeconds(30);
    private static readonly TimeSpan TokenCacheTime = TimeSpan.FromSeconds(10);
    private readonly KubernetesConfiguration _configuration;
    private readonly TimeProvider _time;
    private readonly Lock _lock = new();
    private HttpClient? _client;
    private string _material = "";
    private long _checked;
    private string? _token;
    private long _tokenRead;

    internal ClusterConnection(KubernetesConfiguration configuration, TimeProvider time) => (_configuration, _time) = (configuration, time);

    /// <summary>A client that trusts what the files say now, or said within the last half minute.</summary>
    /// <exception cref="IOException">A file cannot be read.</exception>
    /// <exception cref="System.Security.Cryptography.CryptographicException">A file holds no certificate or key.</exception>
    internal HttpClient Client()
    {
        lock (_lock)
        {
            if (_client is not null && _time.GetElapsedTime(_checked) < FileCheckInterval) return _client;
            Refresh();
            return _client!;
        }
    }

    /// <summary>Reads the files now. True when they differ from what the current client was made of.</summary>
    internal bool Reload()
    {
        lock (_lock) return Refresh();
    }

    /// <summary>The bearer token to present, or null when we identify ourselves otherwise.</summary>
    internal AuthenticationHeaderValue? Authorization(bool fresh)
    {
        if (_configuration.Credential is not ClusterCredential.Bearer bearer) return null;
        lock (_lock)
        {
            if (_token is null || fresh || _time.GetElapsedTime(_tokenRead) >= TokenCacheTime)
            {
                _token = bearer.Token.Read().Trim();
                _tokenRead = _time.GetTimestamp();
            }

            return new AuthenticationHeaderValue("Bearer", _token);
        }
    }

    public void Dispose() => _client?.Dispose();

    private bool Refresh()
    {
        var certificate = _configuration.Credential as ClusterCredential.ClientCertificate;
        var authorities = _configuration.Authorities?.Read() ?? "";
        var (leaf, key) = (certificate?.Certificate.Read() ?? "", certificate?.Key.Read() ?? "");
        var material = string.Join('\0', authorities, leaf, key);
        _checked = _time.GetTimestamp();
        if (_client is not null && material == _material) return false;

        // The previous client is left to the garbage collector: requests may still be using it.
        _client = Create(authorities, leaf, key);
        _material = material;
        return true;
    }

    private HttpClient Create(string authorities, string leaf, string key)
    {
        var ssl = new SslClientAuthenticationOptions();
        if (_configuration.Authorities is not null)
        {
            var policy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck, DisableCertificateDownloads = true };
            policy.CustomTrustStore.ImportFromPem(authorities);
            ssl.CertificateChainPolicy = policy;
        }

        if (leaf.Length > 0)
        {
            var chain = new X509Certificate2Collection();
            chain.ImportFromPem(leaf);
            ssl.ClientCertificateContext = SslStreamCertificateContext.Create(X509Certificate2.CreateFromPem(leaf, key), chain, offline: true);
        }

        var handler = new SocketsHttpHandler
        {
            SslOptions = ssl,
            AllowAutoRedirect = false,
            UseCookies = false,
            ConnectTimeout = TimeSpan.FromSeconds(5),
            PooledConnectionLifetime = TimeSpan.FromMinutes(10),
            EnableMultipleHttp2Connections = true,
            KeepAlivePingDelay = TimeSpan.FromSeconds(30),
            KeepAlivePingTimeout = TimeSpan.FromSeconds(15),
            MaxResponseHeadersLength = 32,
        };
        var client = new HttpClient(handler)
        {
            BaseAddress = new Uri(_configuration.Server.GetLeftPart(UriPartial.Path).TrimEnd('/') + "/"),
            Timeout = Timeout.InfiniteTimeSpan,
            DefaultRequestVersion = _configuration.Server.Scheme == Uri.UriSchemeHttps ? System.Net.HttpVersion.Version20 : System.Net.HttpVersion.Version11,
            DefaultVersionPolicy = HttpVersionPolicy.RequestVersionOrLower,
        };
        client.DefaultRequestHeaders.UserAgent.Add(new ProductInfoHeaderValue("mesh", typeof(ClusterConnection).Assembly.GetName().Version?.ToString(3)));
        client.DefaultRequestHeaders.Accept.Add(new MediaTypeWithQualityHeaderValue("application/json"));
        // The handler takes the TLS name from the Host header.
        client.DefaultRequestHeaders.Host = _configuration.TlsServerName;
        return client;
    }
}
