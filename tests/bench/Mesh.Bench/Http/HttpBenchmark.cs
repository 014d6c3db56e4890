using Mesh.Bench.Pairs;

namespace Mesh.Bench.Http;

/// <summary>
/// HTTP through two proxies with mutual TLS between them: ours, nginx and HAProxy as HTTP proxies that keep their upstream connections,
/// interleaved case by case and round by round. CPU is that of the two proxies together, halved: per proxy. One request that fails spoils it all.
/// <c>--rounds N</c>, <c>--only CASE,…</c>, <c>--skip CASE,…</c>, <c>--peers nginx,haproxy</c>.
/// </summary>
internal static class HttpBenchmark
{
    public static async Task<Report> RunAsync(string[] arguments)
    {
        var rounds = Options.Rounds(arguments);
        var cases = Select(arguments);
        var peers = Options.ListOf(arguments, "--peers", "nginx", "haproxy");
        await using var bench = new Workbench();
        var load = await Load.BuildAsync("http", bench.Directory);
        var grpc = new GrpcLoad(bench.Directory);
        await bench.ServeAsync("h1", BackendProtocol.Http1, port => load.ServeAsync("serve", port));
        await bench.ServeAsync("grpc", BackendProtocol.Http2, grpc.ServeAsync);
        foreach (var name in Names(cases.Where(c => !c.Fresh).SelectMany(c => c.Peers), cases.Any(c => !c.Fresh)))
        {
            // What is compiled late is compiled before the first round.
            await load.MeasureAsync(await bench.StartPairAsync(name), "run", "h1", "50", "1", "2");
        }

        var report = new Report("http");
        var results = new Rounds();
        for (var round = 1; round <= rounds; round++)
        {
            foreach (var @case in cases)
            {
                foreach (var name in Names(@case.Peers, ours: true))
                {
                    await Console.Error.WriteLineAsync($"round {round} of {rounds}: {@case.Name}, {name}");
                    var pair = @case.Fresh ? await bench.StartPairAsync(name) : bench.Pairs.Single(p => p.Name == name);
                    await @case.MeasureAsync(new HttpRun(@case, pair, load, grpc, results, report));
                    if (@case.Fresh) await bench.EndAsync(pair);
                }
            }
        }

        results.AddTo(report);
        foreach (var @case in cases)
            if (@case.Ratio is var (figure, peer, bar))
                foreach (var other in @case.Peers)
                    results.AddRatio(report, $"{@case.Name}: {figure}", $"{@case.Name}: {figure}", other, other == peer ? bar : "-");
        return report;

        IEnumerable<string> Names(IEnumerable<string> wanted, bool ours) => (ours ? ["mesh"] : Array.Empty<string>()).Concat(wanted.Intersect(peers));
    }

    private static List<HttpCase> Select(string[] arguments)
    {
        string[] all = [.. HttpCases.All.Select(c => c.Name)];
        IReadOnlyList<string> only = Options.ListOf(arguments, "--only", all), skip = Options.ListOf(arguments, "--skip");
        foreach (var unknown in only.Concat(skip).Except(all)) throw new ArgumentException($"there is no case named {unknown}; there are {string.Join(", ", all)}");
        return [.. HttpCases.All.Where(c => only.Contains(c.Name) && !skip.Contains(c.Name))];
    }
}
