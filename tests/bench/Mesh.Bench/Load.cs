using System.Diagnostics;
using System.Globalization;
using Mesh.Bench.Pairs;

namespace Mesh.Bench;

/// <summary>One of the small C programs beside this project ("tcp", "http"): backend and load generator.</summary>
internal sealed class Load
{
    private readonly string _executable;

    private Load(string executable) => _executable = executable;

    /// <summary>Compiles it into <paramref name="directory"/> with cc.</summary>
    public static async Task<Load> BuildAsync(string name, string directory)
    {
        var executable = Path.Combine(directory, name);
        await Tool.RunAsync("cc", "-O2", "-o", executable, Path.Combine(Tool.RepositoryRoot, "tests/bench/load", name + ".c"));
        return new Load(executable);
    }

    /// <summary>Starts a backend ("echo", "source" or "serve") and returns when it listens.</summary>
    public async Task<Process> ServeAsync(string kind, int port)
    {
        var process = Tool.Start(_executable, kind, port.ToString(CultureInfo.InvariantCulture));
        if (await process.StandardOutput.ReadLineAsync() != "ready") throw new InvalidOperationException($"the {kind} backend did not start");
        return process;
    }

    /// <summary>Runs one client through <paramref name="pair"/> to a backend, and reads what the pair used while it measured.</summary>
    public async Task<LoadResult> MeasureAsync(ProxyPair pair, string kind, string backend, params string[] arguments)
    {
        var observed = await Observed.RunAsync(pair, "begin", "end", _executable, [kind, pair.Ports[backend].ToString(CultureInfo.InvariantCulture), .. arguments]);
        return new LoadResult(observed, observed.Output[^1].Split(' ').Select(p => p.Split('=')).ToDictionary(p => p[0], p => double.Parse(p[1], CultureInfo.InvariantCulture)));
    }
}

/// <summary>What a client reported: its values by name.</summary>
internal sealed record LoadResult(Observed Observed, IReadOnlyDictionary<string, double> Values)
{
    public double this[string name] => Values[name];

    /// <summary>Answers in a second.</summary>
    public double Rate => this["count"] / this["seconds"];

    /// <summary>CPU of one proxy for each answer, microseconds.</summary>
    public double CpuEach => Observed.Cpu / this["count"];
}
