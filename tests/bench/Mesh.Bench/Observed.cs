using System.Diagnostics;
using Mesh.Bench.Pairs;

namespace Mesh.Bench;

/// <summary>What a pair used while a load generator measured through it, and what the generator said.</summary>
/// <param name="Cpu">CPU time in the measured period of one of the two proxies, as the mean of both; microseconds.</param>
/// <param name="Elapsed">Length of the measured period, to about a millisecond.</param>
/// <param name="Outbound">Memory at the end of the period, the connections still open.</param>
/// <param name="Inbound">Likewise.</param>
/// <param name="Output">The generator's lines after the period.</param>
internal sealed record Observed(double Cpu, TimeSpan Elapsed, Memory Outbound, Memory Inbound, IReadOnlyList<string> Output, string Errors)
{
    /// <summary>Runs a generator. The measured period lies between the first line that starts with <paramref name="begin"/> and the one that starts with <paramref name="end"/>.</summary>
    public static async Task<Observed> RunAsync(ProxyPair pair, string begin, string end, string program, params string[] arguments)
    {
        using var process = Tool.Start(program, arguments);
        var errors = process.StandardError.ReadToEndAsync();
        await ReachAsync(begin);
        var began = Stopwatch.GetTimestamp();
        var before = pair.Cpu();
        await ReachAsync(end);
        var cpu = (pair.Cpu() - before) / 1e3 / 2;
        var elapsed = Stopwatch.GetElapsedTime(began);
        Memory outbound = Memory.Of(pair.Outbound), inbound = Memory.Of(pair.Inbound);
        var output = await process.StandardOutput.ReadToEndAsync();
        await process.WaitForExitAsync();
        if (process.ExitCode != 0) throw await FailureAsync([]);
        return new Observed(cpu, elapsed, outbound, inbound, output.Split('\n', StringSplitOptions.RemoveEmptyEntries), await errors);

        async Task ReachAsync(string start)
        {
            var passed = new List<string>();
            while (await process.StandardOutput.ReadLineAsync() is { } line)
            {
                if (line.StartsWith(start, StringComparison.Ordinal)) return;
                passed.Add(line);
            }

            throw await FailureAsync(passed);
        }

        async Task<Exception> FailureAsync(IEnumerable<string> said) =>
            new InvalidOperationException($"{pair.Name}: {program} {string.Join(' ', arguments)} failed: {await errors}{string.Join('\n', said)}");
    }
}
