using Mesh.Bench.Pairs;

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
        var rounds = Options.Rounds(arguments);
        var figures = Options.ListOf(arguments, "--figures", "pingpong", "bulk", "churn");
        await using var bench = new Workbench();
        var load = await Load.BuildAsync("tcp", bench.Directory);
        await bench.ServeAsync("echo", BackendProtocol.Tcp, port => load.ServeAsync("echo", port));
        await bench.ServeAsync("source", BackendProtocol.Tcp, port => load.ServeAsync("source", port));
        foreach (var name in Options.ListOf(arguments, "--only", "mesh", "nginx", "haproxy"))
        {
            await bench.StartPairAsync(name);
            // --variant NAME=VALUE: ours once more with that in the environment of its proxies, to see what a setting is worth.
            if (name == "mesh" && Options.Of(arguments, "--variant")?.Split('=', 2) is [var key, var value])
                await bench.StartPairAsync("variant", new Dictionary<string, string> { [key] = value });
        }

        var results = new Rounds();
        for (var round = 1; round <= rounds; round++)
        {
            foreach (var pair in bench.Pairs)
            {
                await Console.Error.WriteLineAsync($"round {round} of {rounds}: {pair.Name}");
                await MeasureAsync(load, pair, figures, results);
            }
        }

        return Summarise(results, bench.Pairs.Select(p => p.Name));
    }

    private static async Task MeasureAsync(Load load, ProxyPair pair, IReadOnlyList<string> figures, Rounds results)
    {
        void Add(string figure, string unit, double value) => results.Add(pair.Name, figure, unit, value);
        if (figures.Contains("pingpong"))
        {
            var pingpong = await load.MeasureAsync(pair, "pingpong", "echo", $"{Connections}", $"{MessageBytes}", "1", "4");
            Add("ping-pong, CPU", "us each", pingpong.CpuEach);
            Add("ping-pong, rate", "1/s", pingpong.Rate);
            Add("ping-pong, p99", "us", pingpong["p99"]);
            Add("resident", "MB", pingpong.Observed.Outbound.Resident);
            Add("of that anonymous", "MB", pingpong.Observed.Outbound.Anonymous);
        }

        if (figures.Contains("bulk"))
        {
            var bulk = await load.MeasureAsync(pair, "bulk", "source", "4", $"{BulkBytes}");
            Add("bulk, CPU", "ms/GB", bulk.CpuEach * 1e6);
            Add("bulk, rate", "MB/s", bulk.Rate / 1e6);
        }

        if (figures.Contains("churn"))
        {
            var churn = await load.MeasureAsync(pair, "churn", "echo", "16", "1", "3");
            Add("new connections, CPU", "us each", churn.CpuEach);
            Add("new connections, rate", "1/s", churn.Rate);
            Add("new connections, failed", "of all", churn["failed"]);
        }
    }

    private static Report Summarise(Rounds results, IEnumerable<string> pairs)
    {
        var report = new Report("tcp");
        results.AddTo(report);
        foreach (var peer in pairs.Where(p => p != "mesh"))
        {
            void Ratio(string ratio, string figure, string bar) => results.AddRatio(report, ratio, figure, peer, peer == "nginx" ? bar : "-");
            Ratio("CPU per GB", "bulk, CPU", "<= 1.0");
            Ratio("CPU per ping-pong", "ping-pong, CPU", "<= 0.9");
            Ratio("new mTLS connections/s", "new connections, rate", ">= 0.8");
            Ratio("CPU per new connection", "new connections, CPU", "-");
            Ratio("p99 of ping-pong", "ping-pong, p99", "-");
        }

        return report;
    }
}
