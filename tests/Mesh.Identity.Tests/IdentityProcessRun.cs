using System.Diagnostics;
using System.Text.Json;
using Mesh.Testing;

namespace Mesh.Identity.Tests;

/// <summary>The identity service as a process of its own.</summary>
internal sealed class IdentityProcessRun : IAsyncDisposable
{
    private readonly Process _process;
    private readonly TemporaryDirectory _directory;

    private IdentityProcessRun(Process process, TemporaryDirectory directory, Task<string> output, Task<string> error) =>
        (_process, _directory, Output, Error) = (process, directory, output, error);

    /// <summary>Everything on standard output, complete when the process has ended.</summary>
    public Task<string> Output { get; }

    public Task<string> Error { get; }

    public string GrpcAddress { get; private set; } = "";

    public string AdminAddress { get; private set; } = "";

    public static IdentityProcessRun Start(IReadOnlyDictionary<string, string> environment)
    {
        var directory = new TemporaryDirectory();
        var start = new ProcessStartInfo("dotnet") { RedirectStandardOutput = true, RedirectStandardError = true };
        start.ArgumentList.Add(Path.Combine(AppContext.BaseDirectory, "Mesh.Identity.dll"));
        foreach (var key in start.Environment.Keys.Where(k => k.StartsWith("MESH_", StringComparison.Ordinal)).ToArray()) start.Environment.Remove(key);
        foreach (var (key, value) in environment) start.Environment[key] = value;
        start.Environment["MESH_IDENTITY_ADDR_FILE"] = directory.File("addresses.json");
        var process = Process.Start(start)!;
        return new IdentityProcessRun(process, directory, process.StandardOutput.ReadToEndAsync(), process.StandardError.ReadToEndAsync());
    }

    public async Task UntilListeningAsync()
    {
        var file = _directory.File("addresses.json");
        await Eventually.True(() => File.Exists(file) || _process.HasExited, "addresses written");
        if (_process.HasExited) Assert.Fail($"ended with {_process.ExitCode}: {await Error} {await Output}");
        using var addresses = JsonDocument.Parse(await File.ReadAllTextAsync(file));
        GrpcAddress = addresses.RootElement.GetProperty("grpc").GetString()!;
        AdminAddress = addresses.RootElement.GetProperty("admin").GetString()!;
    }

    public async Task SignalAsync(string signal)
    {
        using var kill = Process.Start("kill", [$"-{signal}", _process.Id.ToString(null, null)]);
        await kill.WaitForExitAsync();
    }

    public async Task<int> ExitCodeAsync()
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        await _process.WaitForExitAsync(deadline.Token);
        return _process.ExitCode;
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited) _process.Kill();
        await _process.WaitForExitAsync();
        await Task.WhenAll(Output, Error);
        _process.Dispose();
        _directory.Dispose();
    }
}
