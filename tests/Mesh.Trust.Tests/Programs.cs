using System.Diagnostics;

namespace Mesh.Trust.Tests;

/// <summary>Programs that others wrote, as far as they are on this machine. A test that needs one that is not is skipped by name.</summary>
internal static class Programs
{
    private static readonly string Tools = Environment.GetEnvironmentVariable("MESH_TEST_TOOLS")
        ?? Path.Combine(
            Environment.GetEnvironmentVariable("XDG_CACHE_HOME") ?? Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".cache"),
            "mesh-tests");

    /// <summary>The program's path: from the folder that tests/trixie-tools.sh fills, else from PATH.</summary>
    public static string Require(string name, string? package = null)
    {
        var places = (Environment.GetEnvironmentVariable("PATH") ?? "").Split(':').Select(d => Path.Combine(d, name));
        if (package is not null) places = places.Prepend(Path.Combine(Tools, package, "usr/bin", name));
        var path = places.FirstOrDefault(File.Exists);
        Assert.SkipUnless(path is not null, $"{name} is not on this machine");
        return path!;
    }

    /// <summary>Runs a program to its end, at most 60 seconds, and gives its exit code and everything it wrote.</summary>
    public static async Task<(int Code, string Output)> RunAsync(string program, params string[] arguments)
    {
        var start = new ProcessStartInfo(program, arguments) { RedirectStandardOutput = true, RedirectStandardError = true };
        using var process = Process.Start(start)!;
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        var output = process.StandardOutput.ReadToEndAsync(deadline.Token);
        var errors = process.StandardError.ReadToEndAsync(deadline.Token);
        await process.WaitForExitAsync(deadline.Token);
        return (process.ExitCode, await output + await errors);
    }
}
