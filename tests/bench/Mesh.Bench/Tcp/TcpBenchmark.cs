using System.Diagnostics;
using System.Globalization;

namespace Mesh.Bench.Tcp;

/// <summary>
/// Bytes through two proxies with mutual TLS between them: ours, nginx "stream" and HAProxy "mode tcp", interleaved round by round.
/// CPU is that of the two proxies together, halved: per proxy.
/// </summary>
internal static class TcpBenchmark
{
    private const int Connections = 50;
    private const int MessageBytes = 200;
    private const long BulkBytes = 2_000_000_000;

    public static async Task<Report> RunAsync(string[] arguments)
    {
        var rounds = arguments.SkipWhile(a => a != "--rounds").Skip(1).Select(int.Parse).FirstOrDefault(5);
        var only = arguments.SkipWhile(a => a != "--only").Skip(1).FirstOrDefault();
        var directory = Directory.CreateTempSubdirectory("mesh-bench-").FullName;
        var processes = new List<Process>();
        var pairs = new List<ProxyPair>();
        try
        {
            var load = await Load.BuildAsync(directory);
            int echo = Tool.FreePort(), source = Tool.FreePort();
            processes.Add(await load.ServeAsync("echo", echo));
            processes.Add(await load.ServeAsync("source", source));
            var certificates = await Peers.MakeCertificatesAsync(directory);
            foreach (var name in new[] { "mesh", "nginx", "haproxy" })
            {
                if (only is not null && !only.Split(',').Contains(name)) continue;
                pairs.Add(name switch
                {
                    "mesh" => await OurPair.StartAsync(directory, echo, source),
                    "nginx" => await Peers.NginxAsync(directory, certificates, echo, source),
                    _ => await Peers.HaproxyAsync(directory, certificates, echo, source),
                });
            }

            var results = pairs.ToDictionary(p => p.Name, _ => new Dictionary<string, List<double>>());
            for (var round = 1; round <= rounds; round++)
            {
                foreach (var pair in pairs)
                {
                    await Console.Error.WriteLineAsync($"round {round} of {rounds}: {pair.Name}");
                    await MeasureAsync(load, pair, results[pair.Name]);
                }
            }

            return Summarise(results);
        }
        finally
        {
            foreach (var pair in pairs) await pair.DisposeAsync();
            foreach (var process in processes)
            {
                process.Kill();
                await process.WaitForExitAsync();
            }

            Directory.Delete(directory, recursive: true);
        }
    }

    private static async Task MeasureAsync(Load load, ProxyPair pair, Dictionary<string, List<double>> results)
    {
        void Add(string figure, double value)
        {
            if (!results.TryGetValue(figure, out var values)) results[figure] = values = [];
            values.Add(value);
        }

        long before = 0;
        var echo = pair.EchoPort.ToString(CultureInfo.InvariantCulture);
        var pingpong = await load.RunAsync(() => before = pair.Cpu(), "pingpong", echo, $"{Connections}", $"{MessageBytes}", "1", "4");
        Add("pingpong CPU us", (pair.Cpu() - before) / 1e3 / 2 / pingpong["count"]);
        Add("pingpong per second", pingpong["count"] / pingpong["seconds"]);
        Add("pingpong p99 us", pingpong["p99"]);
        Add("RSS MB", pair.OutboundMegabytes());

        var bulk = await load.RunAsync(() => before = pair.Cpu(), "bulk", pair.SourcePort.ToString(CultureInfo.InvariantCulture), "4", BulkBytes.ToString(CultureInfo.InvariantCulture));
        Add("bulk CPU ms/GB", (pair.Cpu() - before) / 1e6 / 2 / (bulk["count"] / 1e9));
        Add("bulk MB/s", bulk["count"] / 1e6 / bulk["seconds"]);

        var churn = await load.RunAsync(() => before = pair.Cpu(), "churn", echo, "16", "1", "3");
        Add("new connections CPU us", (pair.Cpu() - before) / 1e3 / 2 / churn["count"]);
        Add("new connections per second", churn["count"] / churn["seconds"]);
        Add("new connections failed", churn["failed"]);
    }

    private static Report Summarise(Dictionary<string, Dictionary<string, List<double>>> results)
    {
        var report = new Report("tcp");
        foreach (var figure in results.Values.First().Keys)
            foreach (var (pair, figures) in results)
                report.Figure($"{pair}: {figure}", figure.Split(' ')[^1], figures[figure]);
        foreach (var peer in results.Keys.Where(p => p != "mesh" && results.ContainsKey("mesh")))
        {
            report.Ratio($"CPU per GB, mesh / {peer}", "mesh: bulk CPU ms/GB", $"{peer}: bulk CPU ms/GB", peer == "nginx" ? "<= 1.0" : "-");
            report.Ratio($"CPU per ping-pong, mesh / {peer}", "mesh: pingpong CPU us", $"{peer}: pingpong CPU us", peer == "nginx" ? "<= 0.9" : "-");
            report.Ratio($"new mTLS connections/s, mesh / {peer}", "mesh: new connections per second", $"{peer}: new connections per second", peer == "nginx" ? ">= 0.8" : "-");
            report.Ratio($"p99 of ping-pong, mesh / {peer}", "mesh: pingpong p99 us", $"{peer}: pingpong p99 us", "-");
        }

        return report;
    }
}
