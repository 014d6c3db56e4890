using System.Net;
using System.Security.Cryptography;
using Google.Protobuf;
using Grpc.Net.Client;
using Mesh.Identity.Hosting;
using Mesh.Identity.Issuance;
using Mesh.Identity.Settings;
using Mesh.Identity.Tokens;
using Mesh.Protocol.Identity;
using Mesh.Spiffe;
using Mesh.Testing;

namespace Mesh.Identity.Tests;

/// <summary>The whole service on loopback, with files of its own for issuer, anchors and token keys, and clients to call it with.</summary>
internal sealed class RunningIdentity : IAsyncDisposable
{
    public const string TokenIssuerName = "https://tokens.test";
    public static readonly TrustDomain TrustDomain = TrustDomain.Parse("cluster.local");

    private readonly TemporaryDirectory _directory = new();
    private readonly List<IDisposable> _clients = [];

    private RunningIdentity(ShiftedTime time) => Time = time;

    public ShiftedTime Time { get; }

    public CapturedLog Log { get; } = new();

    public TestAuthority Root { get; private set; } = null!;

    public TestAuthority Issuer { get; private set; } = null!;

    public TokenIssuer Tokens { get; private set; } = null!;

    public IdentityServer Server { get; private set; } = null!;

    public string IssuerDirectory => _directory.File("issuer");

    public string AnchorsFile => _directory.File("ca-bundle.crt");

    public string JwksFile => _directory.File("jwks.json");

    public static SpiffeId IdOf(string ns, string account) => SpiffeId.ForServiceAccount(TrustDomain, ns, account);

    public static string LinkerdNameOf(string ns, string account) => new LinkerdName(TrustDomain, "mesh").Of(ns, account);

    /// <param name="issuerIsAnchor">Linkerd's default installation: one self-signed certificate is both.</param>
    /// <param name="settings">Changes to the environment before it is read.</param>
    public static async Task<RunningIdentity> StartAsync(bool issuerIsAnchor = false, Action<Dictionary<string, string>>? settings = null, bool waitUntilReady = true)
    {
        var running = new RunningIdentity(new ShiftedTime());
        try
        {
            running.Root = TestAuthority.CreateRoot(TrustDomain, time: running.Time);
            running.Issuer = issuerIsAnchor ? running.Root : running.Root.CreateIntermediate();
            running.WriteIssuer(running.Issuer);
            running.WriteAnchors(running.Root);
            running.Tokens = TokenIssuer.Create(TokenIssuerName, TokenIssuerKey.P256, running.Time);
            TokenIssuer.WriteJwks(running.JwksFile, running.Tokens);
            running.Server = await IdentityServer.StartAsync(running.Settings(settings), running.Time, running.Log.Factory, CancellationToken.None);
            if (waitUntilReady) await running.UntilReadyAsync();
            return running;
        }
        catch
        {
            await running.DisposeAsync();
            throw;
        }
    }

    public IdentitySettings Settings(Action<Dictionary<string, string>>? change = null)
    {
        Assert.True(IdentitySettings.TryRead(Environment(change), out var settings, out var faults), string.Join("; ", faults));
        return settings;
    }

    public Dictionary<string, string> Environment(Action<Dictionary<string, string>>? change = null)
    {
        var environment = new Dictionary<string, string>
        {
            ["MESH_IDENTITY_TRUST_DOMAIN"] = TrustDomain.Name,
            ["MESH_IDENTITY_LISTEN_ADDR"] = "127.0.0.1:0",
            ["MESH_IDENTITY_ADMIN_LISTEN_ADDR"] = "127.0.0.1:0",
            ["MESH_IDENTITY_ISSUER_DIR"] = IssuerDirectory,
            ["MESH_IDENTITY_TRUST_ANCHORS_FILE"] = AnchorsFile,
            ["MESH_IDENTITY_TOKEN_VALIDATION"] = "jwks-file",
            ["MESH_IDENTITY_TOKEN_JWKS_FILE"] = JwksFile,
            ["MESH_IDENTITY_TOKEN_ISSUER"] = TokenIssuerName,
            ["MESH_IDENTITY_LIFETIME"] = "1h",
        };
        change?.Invoke(environment);
        return environment;
    }

    /// <summary>Starts the service again on the files as they are; the old one has been disposed.</summary>
    public async Task RestartAsync() => Server = await IdentityServer.StartAsync(Settings(), Time, Log.Factory, CancellationToken.None);

    public bool IsReady => Server.Readiness.Judge(Time.GetUtcNow()).IsEmpty;

    public Task UntilReadyAsync() => Eventually.True(() => IsReady, "ready");

    /// <summary>Replaces the issuer's files, the key first, as whoever writes a directory does.</summary>
    public void WriteIssuer(TestAuthority issuer)
    {
        Directory.CreateDirectory(IssuerDirectory);
        WriteWhole(Path.Combine(IssuerDirectory, "ca.crt"), issuer.Root.CertificatePem);
        WriteWhole(Path.Combine(IssuerDirectory, "tls.key"), issuer.KeyPem);
        WriteWhole(Path.Combine(IssuerDirectory, "tls.crt"), issuer.CertificatePem);
        Issuer = issuer;
    }

    public void WriteAnchors(params TestAuthority[] anchors) => WriteWhole(AnchorsFile, string.Concat(anchors.Select(a => a.CertificatePem)));

    public string Token(string ns = "shop", string account = "web", string? audience = null, TimeSpan? lifetime = null) =>
        Tokens.Issue(ns, account, audience ?? "identity.l5d.io", lifetime ?? TimeSpan.FromHours(1), "web-0");

    /// <summary>TLS to the service, trusting our root; with a client certificate when given.</summary>
    public GrpcChannel Channel(X509Svid? client = null, ITrustBundleSource? bundles = null)
    {
        var handler = new SocketsHttpHandler
        {
            SslOptions = SvidTls.Client(() => client, bundles ?? Root.Bundles, Server.Own.Current?.Id ?? IdOf("mesh", "mesh-identity"), "identity", Time),
            EnableMultipleHttp2Connections = true,
            UseProxy = false,
        };
        var channel = GrpcChannel.ForAddress($"https://{Server.Address}", new GrpcChannelOptions { HttpHandler = handler, DisposeHttpClient = true });
        _clients.Add(channel);
        return channel;
    }

    public Protocol.Identity.Identity.IdentityClient Client() => new(Channel());

    /// <summary>A request as our proxy makes it: the SPIFFE ID in both places.</summary>
    public CertifyRequest Request(ECDsa key, string ns = "shop", string account = "web") => new()
    {
        Identity = IdOf(ns, account).ToString(),
        Token = ByteString.CopyFromUtf8(Token(ns, account)),
        CertificateSigningRequest = Csr.Bytes(Csr.Create(key, IdOf(ns, account).ToString())),
    };

    public async Task<(HttpStatusCode Status, string Body)> AdminAsync(string path, HttpMethod? method = null)
    {
        using var http = new HttpClient();
        using var request = new HttpRequestMessage(method ?? HttpMethod.Get, $"http://{Server.AdminAddress}{path}");
        using var response = await http.SendAsync(request);
        return (response.StatusCode, await response.Content.ReadAsStringAsync());
    }

    /// <summary>The value of one series, or null when it is not there.</summary>
    public async Task<double?> MetricAsync(string series)
    {
        var (_, text) = await AdminAsync("/metrics");
        var line = text.Split('\n').SingleOrDefault(l => l.StartsWith(series + " ", StringComparison.Ordinal));
        return line is null ? null : double.Parse(line[(series.Length + 1)..], System.Globalization.CultureInfo.InvariantCulture);
    }

    public async ValueTask DisposeAsync()
    {
        foreach (var client in _clients) client.Dispose();
        if (Server is not null) await Server.DisposeAsync();
        Tokens?.Dispose();
        Log.Factory.Dispose();
        _directory.Dispose();
    }

    private static void WriteWhole(string path, string content)
    {
        File.WriteAllText(path + ".new", content);
        File.Move(path + ".new", path, overwrite: true);
    }
}
