using System.Diagnostics;

namespace Mesh.Testing;

/// <summary>One run of a program to its end: what it printed and how it ended.</summary>
public sealed record ProgramRun(int ExitCode, string Output, string Errors)
{
    /// <summary>Runs a program and waits, at most <paramref name="seconds"/>; then it is killed and the test fails.</summary>
    public static async Task<ProgramRun> OfAsync(string program, IEnumerable<string> arguments, int seconds = 60, IReadOnlyDictionary<string, string>? environment = null)
    {
        var start = new ProcessStartInfo(program) { RedirectStandardOutput = true, RedirectStandardError = true, RedirectStandardInput = true };
        foreach (var argument in arguments) start.ArgumentList.Add(argument);
        foreach (var (key, value) in environment ?? new Dictionary<string, string>()) start.Environment[key] = value;
        using var process = Process.Start(start) ?? throw new InvalidOperationException($"{program} did not start");
        process.StandardInput.Close();
        var output = process.StandardOutput.ReadToEndAsync();
        var errors = process.StandardError.ReadToEndAsync();
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(seconds));
        try
        {
            await process.WaitForExitAsync(deadline.Token);
        }
        catch (OperationCanceledException)
        {
            process.Kill(entireProcessTree: true);
            throw new TimeoutException($"{program} {string.Join(' ', arguments)} did not end within {seconds} s: {await output}{await errors}");
        }

        return new ProgramRun(process.ExitCode, await output, await errors);
    }

    /// <summary>Runs the assembly of that name, which lies beside the tests, with the dotnet host of the tests.</summary>
    public static Task<ProgramRun> OfAssemblyAsync(string assembly, IEnumerable<string> arguments, int seconds = 60, IReadOnlyDictionary<string, string>? environment = null) =>
        OfAsync("dotnet", [Path.Combine(AppContext.BaseDirectory, assembly + ".dll"), .. arguments], seconds, environment);
}
