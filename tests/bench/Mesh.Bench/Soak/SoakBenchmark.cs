using System.Diagnostics;
using System.Globalization;
using Mesh.Bench.Pairs;

namespace Mesh.Bench.Soak;

/// <summary>
/// Does anything grow? Both proxies for minutes under work with pauses: small messages on open connections, new connections and bulk in
/// turn, certificates renewed every ten seconds. What the first minute held is compared with what the last one holds.
/// </summary>
internal static class SoakBenchmark
{
    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(3);
    private static readonly TimeSpan Compared = TimeSpan.FromMinutes(1);

    public static async Task<Report> RunAsync(string[] arguments)
    {
        var minutes = Options.Of(arguments, "--minutes") is { } given ? double.Parse(given, CultureInfo.InvariantCulture) : 5;
        await using var bench = new Workbench();
        var load = await Load.BuildAsync("tcp", bench.Directory);
        await bench.ServeAsync("echo", BackendProtocol.Tcp, port => load.ServeAsync("echo", port));
        await bench.ServeAsync("source", BackendProtocol.Tcp, port => load.ServeAsync("source", port));
        var pair = await bench.StartPairAsync("mesh", new Dictionary<string, string> { ["MESH_PROXY_IDENTITY_MAX_REFRESH"] = "10s" });
        var samples = new List<Sample>();
        var clock = Stopwatch.StartNew();
        double failed = 0, cpu = pair.Cpu();
        while (clock.Elapsed < TimeSpan.FromMinutes(minutes))
        {
            await load.MeasureAsync(pair, "pingpong", "echo", "50", "200", "0", "3");
            failed += (await load.MeasureAsync(pair, "churn", "echo", "8", "0", "1"))["failed"];
            await load.MeasureAsync(pair, "bulk", "source", "4", "400000000");
            samples.Add(new Sample(clock.Elapsed, Of(pair.Outbound), Of(pair.Inbound)));
            await Console.Error.WriteLineAsync(string.Create(CultureInfo.InvariantCulture, $"{clock.Elapsed.TotalSeconds,4:0} s: outbound {samples[^1].Outbound}, inbound {samples[^1].Inbound}"));
            await Task.Delay(Pause, TimeProvider.System, CancellationToken.None);
        }

        return Summarise(samples, failed, (pair.Cpu() - cpu) / 2e9 / clock.Elapsed.TotalSeconds);
    }

    private static Report Summarise(List<Sample> samples, double failed, double cores)
    {
        var report = new Report("soak");
        var first = samples.Where(s => s.At < samples[0].At + Compared).ToArray();
        var last = samples.Where(s => s.At > samples[^1].At - Compared).ToArray();
        void Compare(string figure, string unit, string bar, Func<Sample, double> of)
        {
            report.Figure($"{figure}, first minute", unit, first.Select(of));
            report.Figure($"{figure}, last minute", unit, last.Select(of));
            report.Ratio($"{figure}, last / first", $"{figure}, last minute", $"{figure}, first minute", bar);
        }

        Compare("outbound resident", "MB", "<= 1.1", s => s.Outbound.Resident);
        Compare("inbound resident", "MB", "<= 1.1", s => s.Inbound.Resident);
        Compare("outbound anonymous", "MB", "-", s => s.Outbound.Anonymous);
        Compare("inbound anonymous", "MB", "-", s => s.Inbound.Anonymous);
        Compare("outbound descriptors", "", "<= 1.0", s => s.Outbound.Descriptors);
        Compare("inbound descriptors", "", "<= 1.0", s => s.Inbound.Descriptors);
        Compare("outbound threads", "", "-", s => s.Outbound.Threads);
        report.Figure("new connections failed", "of all", [failed]);
        report.Figure("cores in use by a proxy, on average", "", [cores]);
        return report;
    }

    private static Held Of(Process process) => new(
        ProcessCost.ResidentMegabytes(process.Id), ProcessCost.AnonymousMegabytes(process.Id),
        Directory.GetFileSystemEntries($"/proc/{process.Id}/fd").Length, Directory.GetDirectories($"/proc/{process.Id}/task").Length);

    private readonly record struct Held(double Resident, double Anonymous, int Descriptors, int Threads)
    {
        public override string ToString() => string.Create(CultureInfo.InvariantCulture, $"{Resident:0.0} MB ({Anonymous:0.0} anonymous), {Descriptors} descriptors, {Threads} threads");
    }

    private readonly record struct Sample(TimeSpan At, Held Outbound, Held Inbound);
}
