using System.Diagnostics;
using System.Globalization;

namespace Mesh.Bench.Tcp;

/// <summary>The small C program beside this project, compiled once per run: backend and load generator.</summary>
internal sealed class Load(string executable)
{
    /// <summary>Compiles it into <paramref name="directory"/> with cc.</summary>
    public static async Task<Load> BuildAsync(string directory)
    {
        var executable = Path.Combine(directory, "load");
        await Tool.RunAsync("cc", "-O2", "-o", executable, Path.Combine(Tool.RepositoryRoot, "tests/bench/load/load.c"));
        return new Load(executable);
    }

    /// <summary>Starts a backend ("echo" or "source") and returns when it listens.</summary>
    public async Task<Process> ServeAsync(string kind, int port)
    {
        var process = Tool.Start(executable, kind, port.ToString(CultureInfo.InvariantCulture));
        if (await process.StandardOutput.ReadLineAsync() != "ready") throw new InvalidOperationException($"the {kind} backend did not start");
        return process;
    }

    /// <summary>
    /// Runs one client. <paramref name="onBegin"/> is called when its warm period is over, so that CPU times are read there.
    /// </summary>
    public async Task<IReadOnlyDictionary<string, double>> RunAsync(Action onBegin, params string[] arguments)
    {
        using var process = Tool.Start(executable, arguments);
        if (await process.StandardOutput.ReadLineAsync() != "begin") throw new InvalidOperationException($"load {string.Join(' ', arguments)}: {await process.StandardError.ReadToEndAsync()}");
        onBegin();
        var line = await process.StandardOutput.ReadLineAsync();
        await process.WaitForExitAsync();
        if (line is null || process.ExitCode != 0) throw new InvalidOperationException($"load {string.Join(' ', arguments)}: {await process.StandardError.ReadToEndAsync()}");
        return line.Split(' ').Select(p => p.Split('=')).Where(p => p[0] != "kind").ToDictionary(p => p[0], p => double.Parse(p[1], CultureInfo.InvariantCulture));
    }
}
