using System.Diagnostics;
using System.Text;

namespace Mesh.Proxy.Tests.Native;

/// <summary>A program we did not write, at the other end of a connection.</summary>
internal sealed class Tool : IAsyncDisposable
{
    private readonly Process _process;
    private readonly StringBuilder _output = new();
    private readonly SemaphoreSlim _grown = new(0);

    private Tool(Process process)
    {
        _process = process;
        _process.OutputDataReceived += (_, e) => Append(e.Data);
        _process.ErrorDataReceived += (_, e) => Append(e.Data);
        _process.BeginOutputReadLine();
        _process.BeginErrorReadLine();
    }

    public StreamWriter Input => _process.StandardInput;

    public string Output
    {
        get { lock (_output) return _output.ToString(); }
    }

    /// <summary>Starts it, or skips the test by the program's name when it is not installed.</summary>
    public static Tool Start(string program, params string[] arguments)
    {
        Assert.SkipUnless(Environment.GetEnvironmentVariable("PATH")!.Split(':').Any(d => File.Exists(Path.Combine(d, program))), $"{program} is not installed");
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardInput = true, RedirectStandardOutput = true, RedirectStandardError = true };
        return new Tool(Process.Start(start)!);
    }

    public async Task<string> OutputContaining(string text, int times = 1)
    {
        using var limit = new CancellationTokenSource(LoopThread.Limit);
        while (Output.Split(text).Length <= times)
        {
            try
            {
                await _grown.WaitAsync(limit.Token);
            }
            catch (OperationCanceledException)
            {
                Assert.Fail($"no \"{text}\" in the output:\n{Output}");
            }
        }

        return Output;
    }

    public async Task<int> ExitAsync()
    {
        await _process.WaitForExitAsync().WaitAsync(LoopThread.Limit);
        return _process.ExitCode;
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited) _process.Kill(entireProcessTree: true);
        await _process.WaitForExitAsync();
        _process.Dispose();
        _grown.Dispose();
    }

    private void Append(string? line)
    {
        if (line is null) return;
        lock (_output) _output.AppendLine(line);
        _grown.Release();
    }
}
