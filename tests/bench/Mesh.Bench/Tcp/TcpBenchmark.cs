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
        var names = arguments.SkipWhile(a => a != "--only").Skip(1).FirstOrDefault("mesh,nginx,haproxy").Split(',').ToList();
        // --variant NAME=VALUE: ours once more with that in the environment of its proxies, to see what a setting is worth.
        var variant = arguments.SkipWhile(a => a != "--variant").Skip(1).FirstOrDefault();
        var figures = arguments.SkipWhile(a => a != "--figures").Skip(1).FirstOrDefault("pingpong,bulk,churn").Split(',');
        if (variant is not null) names.Insert(1, "variant");
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
            foreach (var name in names)
            {
                pairs.Add(name switch
                {
                    "mesh" => await OurPair.StartAsync(name, directory, echo, source, new Dictionary<string, string>()),
                    "variant" => await OurPair.StartAsync(name, directory, echo, source, new Dictionary<string, string> { [variant!.Split('=')[0]] = variant.Split('=', 2)[1] }),
                    "nginx" => await Peers.NginxAsync(directory, certificates, echo, source),
                    "haproxy" => await Peers.HaproxyAsync(directory, certificates, echo, source),
                    _ => throw new ArgumentException($"there is no peer named {name}"),
                });
            }

            var results = pairs.ToDictionary(p => p.Name, _ => new Dictionary<string, List<double>>());
            for (var round = 1; round <= rounds; round++)
            {
                foreach (var pair in pairs)
                {
                    await Console.Error.WriteLineAsync($"round {round} of {rounds}: {pair.Name}");
                    await MeasureAsync(load, pair, figures, results[pair.Name]);
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

    private static async Task MeasureAsync(Load load, ProxyPair pair, string[] figures, Dictionary<string, List<double>> results)
    {
        void Add(string figure, double value)
        {
            if (!results.TryGetValue(figure, out var values)) results[figure] = values = [];
            values.Add(value);
        }

        long before = 0;
        var echo = pair.EchoPort.ToString(CultureInfo.InvariantCulture);
        if (figures.Contains("pingpong"))
        {
            var pingpong = await load.RunAsync(() => before = pair.Cpu(), "pingpong", echo, $"{Connections}", $"{MessageBytes}", "1", "4");
            Add("ping-pong, CPU", (pair.Cpu() - before) / 1e3 / 2 / pingpong["count"]);
            Add("ping-pong, rate", pingpong["count"] / pingpong["seconds"]);
            Add("ping-pong, p99", pingpong["p99"]);
            Add("resident", pair.OutboundMegabytes());
            Add("of that anonymous", pair.OutboundAnonymousMegabytes());
        }

        if (figures.Contains("bulk"))
        {
            var bulk = await load.RunAsync(() => before = pair.Cpu(), "bulk", pair.SourcePort.ToString(CultureInfo.InvariantCulture), "4", BulkBytes.ToString(CultureInfo.InvariantCulture));
            Add("bulk, CPU", (pair.Cpu() - before) / 1e6 / 2 / (bulk["count"] / 1e9));
            Add("bulk, rate", bulk["count"] / 1e6 / bulk["seconds"]);
        }

        if (figures.Contains("churn"))
        {
            var churn = await load.RunAsync(() => before = pair.Cpu(), "churn", echo, "16", "1", "3");
            Add("new connections, CPU", (pair.Cpu() - before) / 1e3 / 2 / churn["count"]);
            Add("new connections, rate", churn["count"] / churn["seconds"]);
            Add("new connections, failed", churn["failed"]);
        }
    }

    private static readonly Dictionary<string, string> Units = new()
    {
        ["ping-pong, CPU"] = "us each", ["ping-pong, rate"] = "1/s", ["ping-pong, p99"] = "us", ["resident"] = "MB", ["of that anonymous"] = "MB",
        ["bulk, CPU"] = "ms/GB", ["bulk, rate"] = "MB/s",
        ["new connections, CPU"] = "us each", ["new connections, rate"] = "1/s", ["new connections, failed"] = "of all",
    };

    private static Report Summarise(Dictionary<string, Dictionary<string, List<double>>> results)
    {
        var report = new Report("tcp");
        foreach (var figure in results.Values.First().Keys)
            foreach (var (pair, figures) in results)
                report.Figure($"{pair}: {figure}", Units[figure], figures[figure]);
        foreach (var peer in results.Keys.Where(p => p != "mesh" && results.ContainsKey("mesh")))
        {
            void Ratio(string ratio, string figure, string bar)
            {
                if (results["mesh"].ContainsKey(figure)) report.Ratio($"{ratio}, mesh / {peer}", $"mesh: {figure}", $"{peer}: {figure}", peer == "nginx" ? bar : "-");
            }

            Ratio("CPU per GB", "bulk, CPU", "<= 1.0");
            Ratio("CPU per ping-pong", "ping-pong, CPU", "<= 0.9");
            Ratio("new mTLS connections/s", "new connections, rate", ">= 0.8");
            Ratio("CPU per new connection", "new connections, CPU", "-");
            Ratio("p99 of ping-pong", "ping-pong, p99", "-");
        }

        return report;
    }
}
