namespace Mesh.Bench;

/// <summary>The benchmarks of the project; <c>tests/bench/run NAME</c> builds what they need and starts them here.</summary>
internal static class Program
{
    private static readonly Dictionary<string, Func<string[], Task<Report>>> Benchmarks = new()
    {
        ["certify"] = Certify.CertifyBenchmark.RunAsync,
        ["codecs"] = Codecs.CodecBenchmark.RunAsync,
        ["http"] = Http.HttpBenchmark.RunAsync,
        ["issue"] = Issue.IssueBenchmark.RunAsync,
        ["soak"] = Soak.SoakBenchmark.RunAsync,
        ["tcp"] = Tcp.TcpBenchmark.RunAsync,
        ["tokens"] = Tokens.TokenBenchmark.RunAsync,
    };

    private static async Task<int> Main(string[] args)
    {
        if (args.Length == 0 || !Benchmarks.TryGetValue(args[0], out var run))
        {
            await Console.Error.WriteLineAsync($"usage: tests/bench/run {string.Join('|', Benchmarks.Keys)}");
            return 64;
        }

        var report = await run(args[1..]);
        Console.WriteLine(report.Table());
        Console.WriteLine(report.Json());
        if (Array.IndexOf(args, "--json") is > 0 and var at && at + 1 < args.Length) await File.WriteAllTextAsync(args[at + 1], report.Json() + "\n");
        return report.Failures.Count == 0 ? 0 : 1;
    }
}
