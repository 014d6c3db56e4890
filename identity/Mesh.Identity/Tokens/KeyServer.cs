using System.Net;
using System.Net.Http.Headers;
using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;

namespace Mesh.Identity.Tokens;

/// <summary>
/// How to reach the server that publishes an issuer's keys. Keys fetched from the wrong server are a break-in, so: HTTPS except on
/// loopback, no redirects, and either the system's authorities or exactly those of a file.
/// </summary>
public sealed class KeyServer : IDisposable
{
    private static readonly TimeSpan ConnectionLifetime = TimeSpan.FromMinutes(5);
    private readonly string? _authoritiesFile;
    private readonly string? _bearerTokenFile;
    private readonly Uri _address;
    private HttpClient? _client;

    /// <param name="address">The JWKS, or the OpenID Connect issuer. <see cref="IsAcceptable"/> must hold.</param>
    /// <param name="authoritiesFile">PEM; for an API server, the cluster's CA. Null: the system's authorities.</param>
    /// <param name="bearerTokenFile">
    /// A token to present, read again for every request; an API server wants one unless anonymous discovery is allowed. It goes to
    /// the origin of <paramref name="address"/> only, or also to the key address found by discovery when authorities were given: those vouch for the server.
    /// </param>
    /// <exception cref="ArgumentException">The address is not acceptable.</exception>
    public KeyServer(Uri address, string? authoritiesFile, string? bearerTokenFile)
    {
        if (!IsAcceptable(address)) throw new ArgumentException($"{address} is neither https nor http on loopback", nameof(address));
        (_address, _authoritiesFile, _bearerTokenFile) = (address, authoritiesFile, bearerTokenFile);
    }

    internal Uri Address => _address;

    /// <summary>HTTPS, or HTTP to this machine; no user name in it.</summary>
    public static bool IsAcceptable(Uri address) =>
        address.IsAbsoluteUri && address.UserInfo.Length == 0 && (address.Scheme == Uri.UriSchemeHttps || address.Scheme == Uri.UriSchemeHttp && address.IsLoopback);

    /// <exception cref="TokenKeysException">No answer, or not a document of status 200.</exception>
    internal async Task<ReadOnlyMemory<byte>> GetAsync(Uri address, CancellationToken ct)
    {
        try
        {
            using var request = new HttpRequestMessage(HttpMethod.Get, address);
            request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue("application/jwk-set+json"));
            request.Headers.Accept.Add(new MediaTypeWithQualityHeaderValue("application/json"));
            if (_bearerTokenFile is not null && (_authoritiesFile is not null || SameOrigin(address)))
            {
                var bearer = (await File.ReadAllTextAsync(_bearerTokenFile, ct)).Trim();
                request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", bearer);
            }

            _client ??= CreateClient();
            using var response = await _client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, ct);
            if (response.StatusCode != HttpStatusCode.OK) throw new TokenKeysException($"{address}: the server answered {(int)response.StatusCode}");
            await using var body = await response.Content.ReadAsStreamAsync(ct);
            return await BoundedDocument.ReadAsync(body, address.ToString(), ct);
        }
        catch (Exception e) when (e is HttpRequestException or IOException or UnauthorizedAccessException or CryptographicException)
        {
            // The next attempt starts with fresh connections and the authorities as the file has them then.
            _client?.Dispose();
            _client = null;
            throw new TokenKeysException($"{address}: {LogText.Clean((e.InnerException ?? e).Message)}", e);
        }
    }

    public void Dispose() => _client?.Dispose();

    private bool SameOrigin(Uri address) => Uri.Compare(address, _address, UriComponents.SchemeAndServer, UriFormat.Unescaped, StringComparison.OrdinalIgnoreCase) == 0;

    private HttpClient CreateClient()
    {
        var handler = new SocketsHttpHandler
        {
            AllowAutoRedirect = false,
            UseCookies = false,
            PooledConnectionLifetime = ConnectionLifetime,
            ConnectTimeout = TimeSpan.FromSeconds(5),
            MaxResponseHeadersLength = 32,
            MaxConnectionsPerServer = 2,
        };
        if (_authoritiesFile is not null)
        {
            var policy = new X509ChainPolicy { TrustMode = X509ChainTrustMode.CustomRootTrust, RevocationMode = X509RevocationMode.NoCheck, DisableCertificateDownloads = true };
            policy.CustomTrustStore.ImportFromPemFile(_authoritiesFile);
            handler.SslOptions = new SslClientAuthenticationOptions { CertificateChainPolicy = policy };
        }

        return new HttpClient(handler) { Timeout = Timeout.InfiniteTimeSpan };
    }
}
