using System.Diagnostics;
using System.Globalization;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text.Json;
using Google.Protobuf;
using Grpc.Net.Client;
using Mesh.Identity.Tokens;
using Mesh.Protocol.Identity;
using Mesh.Spiffe;
using Mesh.Trust;
using Mesh.Trust.Issuing;

namespace Mesh.Bench.Certify;

/// <summary>
/// Certify as proxies call it: the real identity service as a process on one core, eight callers with a TLS connection each on the
/// other, tokens checked against a JWKS, every certificate logged. CPU of the server per certificate.
/// </summary>
internal static class CertifyBenchmark
{
    private const int Callers = 8;
    private const int Rounds = 7;
    private const int PerRound = 4_000;
    private const int MostWarmUps = 60;
    private const int Workloads = 256;
    private const string Audience = "identity.l5d.io";
    private static readonly TrustDomain Domain = TrustDomain.Parse("cluster.local");

    public static async Task<Report> RunAsync(string[] args)
    {
        var report = new Report("certify");
        await MeasureAsync(report, onlyRsa: args is ["rs256"]);
        return report;
    }

    /// <summary>Adds the figures to a report; throws when the service does not start.</summary>
    public static async Task MeasureAsync(Report report, bool onlyRsa)
    {
        var folder = Directory.CreateTempSubdirectory("mesh-bench-").FullName;
        try
        {
            var trust = TrustDirectory.Init(Path.Combine(folder, "trust"), AuthorityProfile.Root(Domain), AuthorityProfile.Issuer(Domain), TimeProvider.System);
            // The generator keeps off the server's core, or the two would count each other's cache misses.
            await Tool.RunAsync("taskset", "-a", "-p", "-c", "1", Environment.ProcessId.ToString(CultureInfo.InvariantCulture));
            // RS256 is what Kubernetes signs with unless told otherwise.
            TokenIssuerKey[] kinds = onlyRsa ? [TokenIssuerKey.Rsa] : [TokenIssuerKey.Rsa, TokenIssuerKey.P256];
            foreach (var kind in kinds) await MeasureAsync(report, folder, trust, kind);
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static async Task MeasureAsync(Report report, string folder, TrustDirectory trust, TokenIssuerKey kind)
    {
        var name = kind == TokenIssuerKey.Rsa ? "RS256 tokens" : "ES256 tokens";
        using var tokens = TokenIssuer.Create("https://kubernetes.default.svc", kind, TimeProvider.System);
        var jwks = Path.Combine(folder, "jwks.json");
        TokenIssuer.WriteJwks(jwks, tokens);
        var requests = Enumerable.Range(0, Workloads).Select(i => NewRequest(tokens, i)).ToArray();
        var addresses = Path.Combine(folder, $"addresses-{kind}.json");
        using var server = Start(folder, trust, jwks, tokens.Issuer, addresses);
        var clients = new List<GrpcChannel>();
        try
        {
            var (grpc, admin) = await UntilReadyAsync(server, addresses);
            var bundles = new TrustBundleSet(new TrustBundle(Domain, [trust.Root]));
            for (var i = 0; i < Callers; i++) clients.Add(Connect(grpc, bundles));
            var callers = clients.Select(c => new Protocol.Identity.Identity.IdentityClient(c)).ToArray();
            // A saturated core leaves the JIT's background compilation no time, and quick code would be measured for minutes: pauses let it catch up.
            // Warm is when six rounds in a row were no better than the best before them.
            var best = double.MaxValue;
            for (int i = 0, stale = 0; i < MostWarmUps && stale < 6; i++)
            {
                var before = ProcessCost.CpuNanoseconds(server.Id);
                await RoundAsync(callers, requests, PerRound / 2);
                await Task.Delay(TimeSpan.FromMilliseconds(500), TimeProvider.System, CancellationToken.None);
                double used = ProcessCost.CpuNanoseconds(server.Id) - before;
                stale = used > 0 && used < best * 0.97 ? 0 : stale + 1;
                if (used > 0) best = Math.Min(best, used);
            }

            var cpu = new List<double>();
            var perSecond = new List<double>();
            var openssl = new List<double>();
            while (cpu.Count < Rounds)
            {
                var threads = Threads(server);
                var before = ProcessCost.CpuNanoseconds(server.Id);
                var clock = Stopwatch.StartNew();
                await RoundAsync(callers, requests, PerRound);
                var seconds = clock.Elapsed.TotalSeconds;
                var used = ProcessCost.CpuNanoseconds(server.Id) - before;
                // A thread that has ended takes its account with it: that round says nothing.
                if (threads.Except(Threads(server)).Any()) continue;
                perSecond.Add(PerRound / seconds);
                cpu.Add(used / 1000.0 / PerRound);
                if (openssl.Count < 3) openssl.Add(await Issue.IssueBenchmark.OpenSslAsync());
            }

            report.Figure($"certify, {name}: CPU per certificate", "us", cpu);
            report.Figure($"certify, {name}: certificates per second and core, by CPU", "1/s", cpu.Select(c => 1e6 / c));
            report.Figure($"certify, {name}: certificates per second, by the clock", "1/s", perSecond);
            // What the machine was worth in these very moments: 62 us when nothing else runs on it.
            report.Figure($"certify, {name}: OpenSSL sign + verify meanwhile", "us", openssl);
            report.Ratio($"certify, {name} / OpenSSL sign + verify", $"certify, {name}: CPU per certificate", $"certify, {name}: OpenSSL sign + verify meanwhile", "3.2");
            report.Figure($"certify, {name}: server RSS", "MB", [ProcessCost.ResidentMegabytes(server.Id)]);
        }
        finally
        {
            foreach (var client in clients) client.Dispose();
            server.Kill();
            await server.WaitForExitAsync();
        }
    }

    private static string[] Threads(Process server) => Directory.GetDirectories($"/proc/{server.Id}/task");

    private static Process Start(string folder, TrustDirectory trust, string jwks, string issuer, string addresses)
    {
        // Logs go to a file, as a container runtime would take them: the audit line is part of the work.
        var program = Path.Combine(AppContext.BaseDirectory, "Mesh.Identity.dll");
        var start = new ProcessStartInfo("sh", ["-c", $"exec taskset -c 0 dotnet '{program}' > '{Path.Combine(Directory.CreateDirectory(Path.Combine(folder, "log")).FullName, "identity.log")}'"]);
        foreach (var key in start.Environment.Keys.Where(k => k.StartsWith("MESH_IDENTITY_", StringComparison.Ordinal)).ToArray()) start.Environment.Remove(key);
        start.Environment["MESH_IDENTITY_TRUST_DOMAIN"] = Domain.Name;
        start.Environment["MESH_IDENTITY_LISTEN_ADDR"] = "127.0.0.1:0";
        start.Environment["MESH_IDENTITY_ADMIN_LISTEN_ADDR"] = "127.0.0.1:0";
        start.Environment["MESH_IDENTITY_ADDR_FILE"] = addresses;
        start.Environment["MESH_IDENTITY_ISSUER_DIR"] = trust.IssuerPath;
        start.Environment["MESH_IDENTITY_TRUST_ANCHORS_FILE"] = trust.AnchorsPath;
        start.Environment["MESH_IDENTITY_TOKEN_VALIDATION"] = "jwks-file";
        start.Environment["MESH_IDENTITY_TOKEN_JWKS_FILE"] = jwks;
        start.Environment["MESH_IDENTITY_TOKEN_ISSUER"] = issuer;
        return Process.Start(start)!;
    }

    private static async Task<(string Grpc, string Admin)> UntilReadyAsync(Process server, string addresses)
    {
        using var http = new HttpClient();
        using var tick = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
        for (var i = 0; i < 400 && !server.HasExited; i++)
        {
            await tick.WaitForNextTickAsync();
            if (!File.Exists(addresses)) continue;
            using var json = JsonDocument.Parse(await File.ReadAllTextAsync(addresses));
            var (grpc, admin) = (json.RootElement.GetProperty("grpc").GetString()!, json.RootElement.GetProperty("admin").GetString()!);
            if ((await http.GetAsync(new Uri($"http://{admin}/ready"))).IsSuccessStatusCode) return (grpc, admin);
        }

        throw new InvalidOperationException("the identity service did not get ready");
    }

    private static GrpcChannel Connect(string address, ITrustBundleSource bundles)
    {
        var expected = SpiffeId.ForServiceAccount(Domain, "mesh", "mesh-identity");
        var handler = new SocketsHttpHandler { SslOptions = SvidTls.Client(() => null, bundles, expected, "identity", TimeProvider.System), UseProxy = false };
        return GrpcChannel.ForAddress($"https://{address}", new GrpcChannelOptions { HttpHandler = handler, DisposeHttpClient = true });
    }

    private static Task RoundAsync(Protocol.Identity.Identity.IdentityClient[] callers, CertifyRequest[] requests, int count) =>
        Task.WhenAll(callers.Select(async (caller, n) =>
        {
            for (var i = n; i < count; i += callers.Length)
            {
                var response = await caller.CertifyAsync(requests[i % requests.Length]);
                if (response.LeafCertificate.IsEmpty || response.IntermediateCertificates.Count != 1) throw new InvalidOperationException("no certificate");
            }
        }));

    /// <summary>What a proxy of ours sends: its SPIFFE ID, a token bound to its pod, a new P-256 key.</summary>
    private static CertifyRequest NewRequest(TokenIssuer tokens, int number)
    {
        var account = string.Create(CultureInfo.InvariantCulture, $"web-{number}");
        var id = SpiffeId.ForServiceAccount(Domain, "shop", account).ToString();
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var names = new SubjectAlternativeNameBuilder();
        names.AddUri(new Uri(id));
        var request = new CertificateRequest("", key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(names.Build());
        return new CertifyRequest
        {
            Identity = id,
            Token = ByteString.CopyFromUtf8(tokens.Issue("shop", account, Audience, TimeSpan.FromHours(1), account + "-0")),
            CertificateSigningRequest = ByteString.CopyFrom(request.CreateSigningRequest()),
        };
    }
}
