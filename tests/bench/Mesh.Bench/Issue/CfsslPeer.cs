using System.Net.Http.Json;
using System.Security.Cryptography;
using System.Text.Json;
using Mesh.Spiffe;
using Mesh.Trust.Issuing;

namespace Mesh.Bench.Issue;

/// <summary><c>cfssl serve</c> with a P-256 authority of its own, on one core, asked by eight callers over plain HTTP.</summary>
internal static class CfsslPeer
{
    private const int Callers = 8;
    private const int Rounds = 5;
    private const int PerRound = 2_000;

    private const string Config = """
        {"signing":{"default":{"expiry":"24h","usages":["digital signature","server auth","client auth"]}}}
        """;

    /// <summary>False when there is no cfssl on this machine.</summary>
    public static async Task<bool> MeasureAsync(Report report, byte[][] requests)
    {
        if (Find() is not { } program) return false;
        var folder = Directory.CreateTempSubdirectory("mesh-bench-").FullName;
        try
        {
            using var root = CertificateAuthority.CreateRoot(AuthorityProfile.Root(TrustDomain.Parse("example.org")), TimeProvider.System);
            await File.WriteAllTextAsync(Path.Combine(folder, "ca.pem"), root.Certificate.ToPem());
            using (var key = ECDsa.Create())
            {
                key.ImportFromPem(root.Key.ExportPem()!);
                await File.WriteAllTextAsync(Path.Combine(folder, "ca-key.pem"), key.ExportECPrivateKeyPem() + "\n");
            }

            await File.WriteAllTextAsync(Path.Combine(folder, "config.json"), Config);
            var port = Tool.FreePort();
            using var server = Tool.Start(
                "taskset", "-c", "0", program, "serve", "-address", "127.0.0.1", "-port", $"{port}", "-ca", Path.Combine(folder, "ca.pem"),
                "-ca-key", Path.Combine(folder, "ca-key.pem"), "-config", Path.Combine(folder, "config.json"), "-loglevel", "5");
            server.OutputDataReceived += (_, _) => { };
            server.ErrorDataReceived += (_, _) => { };
            server.BeginOutputReadLine();
            server.BeginErrorReadLine();
            try
            {
                using var client = new HttpClient { BaseAddress = new Uri($"http://127.0.0.1:{port}") };
                await Tool.WaitForPortAsync(port);
                var bodies = requests.Select(r => JsonSerializer.Serialize(new { certificate_request = PemEncoding.WriteString("CERTIFICATE REQUEST", r) })).ToArray();
                await RoundAsync(client, bodies, PerRound / 2);
                var cpu = new List<double>();
                for (var round = 0; round < Rounds; round++)
                {
                    var before = ProcessCost.CpuNanoseconds(server.Id);
                    await RoundAsync(client, bodies, PerRound);
                    cpu.Add((ProcessCost.CpuNanoseconds(server.Id) - before) / 1000.0 / PerRound);
                }

                report.Figure("cfssl: CPU per certificate", "us", cpu);
                return true;
            }
            finally
            {
                server.Kill();
                await server.WaitForExitAsync();
            }
        }
        finally
        {
            Directory.Delete(folder, recursive: true);
        }
    }

    private static Task RoundAsync(HttpClient client, string[] bodies, int count) => Task.WhenAll(Enumerable.Range(0, Callers).Select(async caller =>
    {
        for (var i = caller; i < count; i += Callers)
        {
            using var content = new StringContent(bodies[i % bodies.Length], System.Text.Encoding.UTF8, "application/json");
            using var answer = await client.PostAsync(new Uri("/api/v1/cfssl/sign", UriKind.Relative), content);
            var result = await answer.Content.ReadFromJsonAsync<JsonElement>();
            if (!result.GetProperty("success").GetBoolean()) throw new InvalidOperationException(result.ToString());
        }
    }));

    /// <summary>The one that tests/trixie-tools.sh fetches (1.6), else the system's.</summary>
    private static string? Find()
    {
        var home = Environment.GetFolderPath(Environment.SpecialFolder.UserProfile);
        var tools = Environment.GetEnvironmentVariable("MESH_TEST_TOOLS") ?? Path.Combine(home, ".cache/mesh-tests");
        string[] places = [Path.Combine(tools, "golang-cfssl/usr/bin/cfssl"), "/usr/bin/cfssl"];
        return places.FirstOrDefault(File.Exists);
    }
}
