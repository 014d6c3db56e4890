using System.Diagnostics;
using System.Net;
using System.Text.RegularExpressions;
using Mesh.Proxy.Tests.Connections;

namespace Mesh.Proxy.Tests;

/// <summary>The proxy as a process of its own; what it writes can be waited for.</summary>
internal sealed partial class ProxyProcessRun : IAsyncDisposable
{
    private readonly Process _process;
    private readonly Task _reading;

    private ProxyProcessRun(Process process)
    {
        _process = process;
        _reading = ReadAsync();
    }

    public CapturedLog Log { get; } = new();

    public static ProxyProcessRun Start(IReadOnlyDictionary<string, string> environment)
    {
        var start = new ProcessStartInfo("dotnet") { RedirectStandardError = true };
        start.ArgumentList.Add(Path.Combine(AppContext.BaseDirectory, "Mesh.Proxy.dll"));
        foreach (var key in start.Environment.Keys.Where(k => k.StartsWith("MESH_", StringComparison.Ordinal)).ToArray()) start.Environment.Remove(key);
        foreach (var (key, value) in environment) start.Environment["MESH_PROXY_" + key] = value;
        return new ProxyProcessRun(Process.Start(start)!);
    }

    /// <summary>The address of a line that says what it listens on.</summary>
    public async Task<IPEndPoint> ListeningAsync(string direction) =>
        IPEndPoint.Parse(Address().Match(await Log.NextAsync(" listening ", $"direction={direction}")).Groups[1].Value);

    public async Task SignalAsync(string signal)
    {
        using var kill = Process.Start("kill", [$"-{signal}", _process.Id.ToString(null, null)]);
        await kill.WaitForExitAsync();
    }

    public async Task<int> ExitCodeAsync()
    {
        await _process.WaitForExitAsync().WaitAsync(TimeSpan.FromSeconds(60));
        await _reading;
        return _process.ExitCode;
    }

    public async ValueTask DisposeAsync()
    {
        if (!_process.HasExited) _process.Kill();
        await _process.WaitForExitAsync();
        await _reading;
        _process.Dispose();
    }

    private async Task ReadAsync()
    {
        while (await _process.StandardError.ReadLineAsync() is { } line) Log.WriteLine(line);
    }

    [GeneratedRegex("address=([^ ]+)")]
    private static partial Regex Address();
}
