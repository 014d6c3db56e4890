using System.Diagnostics;
using System.Globalization;
using Mesh.Hosting;

namespace Mesh.Cli.Demo;

/// <summary>One program of the mesh, run as a process of its own, its output in a log file.</summary>
internal sealed class ChildProcess : IAsyncDisposable
{
    private readonly Process _process;
    private readonly Task _logging;
    private bool _asked;

    private ChildProcess(string name, Process process, Task logging)
    {
        Name = name;
        _process = process;
        _logging = logging;
    }

    public string Name { get; }

    public int Id => _process.Id;

    /// <summary>Completes when the process is gone.</summary>
    public Task Exited => _process.WaitForExitAsync(CancellationToken.None);

    /// <summary>Completes when all its output is in the log file.</summary>
    public Task Logged => _logging;

    /// <summary>True when it is gone and nobody asked it to go.</summary>
    public bool Died => _process.HasExited && !_asked;

    /// <summary>How it ended, for a person: an exit code, or the signal behind it (128 + n).</summary>
    public string Ending => _process.ExitCode switch
    {
        137 => "killed by signal 9 (SIGKILL)",
        143 => "ended by signal 15 (SIGTERM)",
        139 => "crashed by signal 11 (SIGSEGV)",
        134 => "aborted by signal 6 (SIGABRT)",
        var code => string.Create(CultureInfo.InvariantCulture, $"ended with exit code {code}"),
    };

    /// <summary>
    /// Starts one of our programs (<paramref name="command"/>, or an assembly beside this one) with <paramref name="settings"/> as its environment.
    /// Lines of its standard output go to <paramref name="onLine"/> when given, else with standard error into <paramref name="logFile"/>.
    /// </summary>
    public static ChildProcess Start(string name, IReadOnlyList<string>? command, string assembly, IEnumerable<string> arguments, IReadOnlyDictionary<string, string> settings, string logFile, Action<string>? onLine = null)
    {
        command ??= [Environment.ProcessPath is { } host && Path.GetFileNameWithoutExtension(host) == "dotnet" ? host : "dotnet", Path.Combine(AppContext.BaseDirectory, assembly + ".dll")];
        var start = new ProcessStartInfo(command[0])
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
            RedirectStandardInput = true,
            UseShellExecute = false,
        };
        foreach (var argument in command.Skip(1).Concat(arguments)) start.ArgumentList.Add(argument);
        foreach (var inherited in start.Environment.Keys.Where(k => k.StartsWith("MESH_", StringComparison.Ordinal)).ToArray()) start.Environment.Remove(inherited);
        foreach (var (key, value) in settings) start.Environment[key] = value;
        // Small programs on a shared machine: one heap, and no background compilation racing the first requests.
        start.Environment["DOTNET_gcServer"] = "0";
        // Its standard input stays open as long as we live: where we are killed, it sees the end of it and stops.
        start.Environment[StarterWatch.Variable] = "1";
        var process = Process.Start(start) ?? throw new CommandRefusedException($"{name} could not be started: {start.FileName} did not run");
        var log = new StreamWriter(new FileStream(logFile, FileMode.Append, FileAccess.Write, FileShare.ReadWrite)) { AutoFlush = true };
        return new ChildProcess(name, process, LogAsync(process, log, onLine));
    }

    /// <summary>Asks with SIGTERM, waits up to <paramref name="grace"/>, then kills.</summary>
    public async Task StopAsync(TimeSpan grace, TimeProvider time)
    {
        _asked = true;
        if (!_process.HasExited)
        {
            Signal(15);
            using var deadline = new CancellationTokenSource(grace, time);
            try
            {
                await _process.WaitForExitAsync(deadline.Token);
            }
            catch (OperationCanceledException) when (deadline.IsCancellationRequested)
            {
                _process.Kill(entireProcessTree: true);
                await _process.WaitForExitAsync(CancellationToken.None);
            }
        }

        await _logging;
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited)
        {
            _asked = true;
            _process.Kill(entireProcessTree: true);
            await _process.WaitForExitAsync(CancellationToken.None);
        }

        await _logging;
        _process.Dispose();
    }

    // The base library has no call for SIGTERM; the shell's kill is a builtin everywhere.
    private void Signal(int number)
    {
        using var kill = Process.Start(new ProcessStartInfo("/bin/sh") { ArgumentList = { "-c", string.Create(CultureInfo.InvariantCulture, $"kill -{number} {_process.Id} 2>/dev/null") } });
        kill?.WaitForExit();
    }

    private static async Task LogAsync(Process process, StreamWriter log, Action<string>? onLine)
    {
        var gate = new SemaphoreSlim(1, 1);
        async Task PumpAsync(StreamReader reader, Action<string>? take)
        {
            while (await reader.ReadLineAsync(CancellationToken.None) is { } line)
            {
                if (take is not null)
                {
                    take(line);
                    continue;
                }

                await gate.WaitAsync(CancellationToken.None);
                try
                {
                    await log.WriteLineAsync(line);
                }
                catch (IOException)
                {
                    // The disk is full: the log gets a gap. The child goes on, and must be stopped in the end as every other.
                }
                finally
                {
                    gate.Release();
                }
            }
        }

        try
        {
            await Task.WhenAll(PumpAsync(process.StandardOutput, onLine), PumpAsync(process.StandardError, null));
        }
        finally
        {
            try
            {
                await log.DisposeAsync();
            }
            catch (IOException)
            {
                // As above, for what was still to be written.
            }

            gate.Dispose();
        }
    }
}
