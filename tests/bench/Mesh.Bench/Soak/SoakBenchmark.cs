using System.Diagnostics;
using System.Globalization;
using Mesh.Bench.Pairs;

namespace Mesh.Bench.Soak;

/// <summary>
/// Does anything grow? Both proxies for minutes under work with pauses: small messages on open connections, new connections and bulk in turn,
/// certificates renewed every ten seconds. First comes a time that does not count, for what fills once: code that is compiled again when it is used
/// often, and the managed heap; on a busy machine both take five minutes. Of the time that counts, the last third is compared with the first.
/// <code>
/// --warm 5 --minutes 5                          how long
/// --work renewals,messages,connections,bulk     only some of it, to find what grows by what
/// --renewal 10s                                 the time between renewals
/// </code>
/// </summary>
internal static class SoakBenchmark
{
    // Between the medians of two thirds, which lie 200 s apart in five minutes: with all work that is some 15,000 new connections and 20 renewals, so
    // that 0.1 KB left by each connection would show, or 75 KB by each renewal. For a finer look at renewals: --work renewals --renewal 100ms.
    private const double MegabytesAllowed = 1.5;

    private static readonly TimeSpan Pause = TimeSpan.FromSeconds(3);

    public static async Task<Report> RunAsync(string[] arguments)
    {
        string Option(string name, string fallback) => Options.Of(arguments, name) ?? fallback;
        TimeSpan Minutes(string name) => TimeSpan.FromMinutes(double.Parse(Option(name, "5"), CultureInfo.InvariantCulture));
        TimeSpan warm = Minutes("--warm"), counted = Minutes("--minutes");
        var work = Option("--work", "renewals,messages,connections,bulk").Split(',').ToHashSet();
        var settings = new Dictionary<string, string>();
        if (work.Contains("renewals")) (settings["MESH_PROXY_IDENTITY_MIN_REFRESH"], settings["MESH_PROXY_IDENTITY_MAX_REFRESH"]) = ("100ms", Option("--renewal", "10s"));
        await using var bench = new Workbench();
        var load = await Load.BuildAsync("tcp", bench.Directory);
        await bench.ServeAsync("echo", BackendProtocol.Tcp, port => load.ServeAsync("echo", port));
        await bench.ServeAsync("source", BackendProtocol.Tcp, port => load.ServeAsync("source", port));
        var pair = await bench.StartPairAsync("mesh", settings);
        var samples = new List<Sample>();
        var clock = Stopwatch.StartNew();
        double failed = 0, cpu = pair.Cpu();
        while (clock.Elapsed < warm + counted)
        {
            if (work.Contains("messages")) await load.MeasureAsync(pair, "pingpong", "echo", "50", "200", "0", "3");
            if (work.Contains("connections")) failed += (await load.MeasureAsync(pair, "churn", "echo", "8", "0", "1"))["failed"];
            if (work.Contains("bulk")) await load.MeasureAsync(pair, "bulk", "source", "4", "400000000");
            await Task.Delay(Pause, TimeProvider.System, CancellationToken.None);
            // After the pause: connections that have just ended are not growth.
            samples.Add(new Sample(clock.Elapsed, Of(pair.Outbound), Of(pair.Inbound)));
            await Console.Error.WriteLineAsync(string.Create(CultureInfo.InvariantCulture, $"{clock.Elapsed.TotalSeconds,4:0} s: outbound {samples[^1].Outbound}, inbound {samples[^1].Inbound}"));
        }

        var report = Summarise([.. samples.Where(s => s.At > warm)], warm, counted);
        report.Figure("new connections failed", "of all", [failed]);
        report.Figure("cores in use by a proxy, on average", "", [(pair.Cpu() - cpu) / 2e9 / clock.Elapsed.TotalSeconds]);
        return report;
    }

    private static Report Summarise(Sample[] samples, TimeSpan warm, TimeSpan counted)
    {
        var report = new Report("soak");
        var first = samples.Where(s => s.At <= warm + (counted / 3)).ToArray();
        var last = samples.Where(s => s.At > warm + (counted * 2 / 3)).ToArray();
        var grown = new List<string>();
        var most = 0.0;
        void Compare(string figure, string unit, double allowed, Func<Sample, double> of)
        {
            var (before, after) = ($"{figure}, first third", $"{figure}, last third");
            report.Figure(before, unit, first.Select(of));
            report.Figure(after, unit, last.Select(of));
            report.Ratio($"{figure}, last / first third", after, before, string.Create(CultureInfo.InvariantCulture, $"at most {allowed}{(unit.Length == 0 ? "" : " " + unit)} more"));
            var more = report.Median(after) - report.Median(before);
            if (more > allowed) grown.Add(figure);
            if (unit.Length > 0) most = Math.Max(most, more);
        }

        Compare("outbound resident", "MB", MegabytesAllowed, s => s.Outbound.Resident);
        Compare("inbound resident", "MB", MegabytesAllowed, s => s.Inbound.Resident);
        Compare("outbound anonymous", "MB", MegabytesAllowed, s => s.Outbound.Anonymous);
        Compare("inbound anonymous", "MB", MegabytesAllowed, s => s.Inbound.Anonymous);
        Compare("outbound descriptors", "", 0, s => s.Outbound.Descriptors);
        Compare("inbound descriptors", "", 0, s => s.Inbound.Descriptors);
        Compare("outbound threads", "", 2, s => s.Outbound.Threads);
        Compare("inbound threads", "", 2, s => s.Inbound.Threads);
        report.Verdict = string.Create(CultureInfo.InvariantCulture, $"{(grown.Count == 0 ? "all within the bounds" : "beyond the bounds: " + string.Join(", ", grown))}; {most:0.0} MB more at most");
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
