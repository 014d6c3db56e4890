using System.Globalization;

namespace Mesh.Bench.Http;

/// <summary>What is measured of the HTTP data path, and the bars.</summary>
internal static class HttpCases
{
    private static readonly string[] Both = ["nginx", "haproxy"];
    private static readonly string[] NginxOnly = ["nginx"];

    public static IReadOnlyList<HttpCase> All { get; } =
    [
        new("h1-50", Both, run => RequestsAsync(run, 50, 3)) { Ratio = ("CPU", "nginx", "<= 0.7") },
        new("h1-200", Both, run => RequestsAsync(run, 200, 3)) { Ratio = ("CPU", "nginx", "<= 0.6") },
        new("h1-paced-6000", Both, run => RequestsAsync(run, 50, 3, 6_000)) { Ratio = ("CPU", "nginx", "<= 0.9") },
        new("grpc", ["haproxy"], GrpcAsync) { Ratio = ("CPU", "haproxy", "<= 0.8") },
        new("p99-20000", NginxOnly, run => RequestsAsync(run, 50, 5, 20_000)) { Ratio = ("p99", "nginx", "<= 1.0") },
        new("arrivals", NginxOnly, ArrivalsAsync) { Ratio = ("p99", "nginx", "<= 1.0") },
        new("bodies", NginxOnly, BodiesAsync) { Ratio = ("CPU", "nginx", "<= 1.0") },
        new("memory", [], MemoryAsync) { Fresh = true },
        new("idle", NginxOnly, IdleAsync) { Fresh = true },
    ];

    /// <summary>GETs of 64 bytes on warm connections, in a closed loop or at <paramref name="rate"/> a second in all.</summary>
    private static async Task RequestsAsync(HttpRun run, int connections, int seconds, int rate = 0)
    {
        var result = await run.LoadAsync("run", $"{connections}", "1", $"{seconds}", $"{rate}");
        run.Add("CPU", "us/request", result.CpuEach);
        AddTimes(run, result);
    }

    /// <summary>How warm connections fare while new ones come in bursts.</summary>
    private static async Task ArrivalsAsync(HttpRun run)
    {
        var result = await run.LoadAsync("arrivals", "50", "1", "6", "6000");
        AddTimes(run, result);
        run.Add("p99 of the new connections", "us", result["new_p99"]);
    }

    private static void AddTimes(HttpRun run, LoadResult result)
    {
        run.Add("rate", "1/s", result.Rate);
        run.Add("p50", "us", result["p50"]);
        run.Add("p99", "us", result["p99"]);
        run.Add("p99.9", "us", result["p999"]);
        run.Add("max", "us", result["max"]);
    }

    private static async Task BodiesAsync(HttpRun run)
    {
        const int bytes = 1 << 20;
        var result = await run.LoadAsync("run", "4", "1", "3", "0", string.Create(CultureInfo.InvariantCulture, $"/bytes/{bytes}"));
        run.Add("CPU", "ms/GB", result.Observed.Cpu / 1e3 / (result["bytes"] / 1e9));
        run.Add("rate", "MB/s", result["bytes"] / 1e6 / result["seconds"]);
    }

    private static async Task GrpcAsync(HttpRun run)
    {
        var result = await run.Grpc.MeasureAsync(run.Pair, connections: 8, streams: 16, calls: 120_000);
        run.CountFailed(result.Failed, result.Observed);
        run.Add("CPU", "us/call", result.Observed.Cpu / result.Count);
        run.Add("rate", "1/s", result.Count / result.Observed.Elapsed.TotalSeconds);
        run.Add("mean time", "us", result.Mean);
    }

    /// <summary>What a proxy holds under moderate load.</summary>
    private static async Task MemoryAsync(HttpRun run)
    {
        var observed = (await run.LoadAsync("run", "100", "1", "5", "10000")).Observed;
        run.Add("outbound, resident", "MB", observed.Outbound.Resident, "<= 45");
        run.Add("outbound, of that anonymous", "MB", observed.Outbound.Anonymous, "<= 15");
        run.Add("inbound, resident", "MB", observed.Inbound.Resident, "<= 45");
        run.Add("inbound, of that anonymous", "MB", observed.Inbound.Anonymous, "<= 15");
    }

    /// <summary>What a connection costs that has made one request and waits.</summary>
    private static async Task IdleAsync(HttpRun run)
    {
        const int connections = 1_000;
        // One connection alone first, so that what is loaded and compiled once is not counted.
        var before = (await run.LoadAsync("run", "1", "0", "1")).Observed.Outbound;
        var after = (await run.LoadAsync("idle", $"{connections}", "1", "1")).Observed.Outbound;
        run.Add("memory of a connection, outbound", "kB", (after.Resident - before.Resident) * 1024 / connections, "<= 20");
    }
}
