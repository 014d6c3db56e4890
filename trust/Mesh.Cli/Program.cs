using System.CommandLine;
using System.Text.Json;
using Mesh.Cli.Demo;
using Mesh.Cli.Identity;
using Mesh.Cli.Stat;
using Mesh.Cli.Tap;
using Mesh.Cli.Trust;

namespace Mesh.Cli;

internal static class Program
{
    private static async Task<int> Main(string[] arguments)
    {
        var root = new RootCommand("mesh: SPIFFE identity and mutual TLS for the pods of a Kubernetes cluster.")
        {
            DemoCommand.Create(),
            new Command("identity", "Look at identities.") { InspectCommand.Create() },
            StatCommand.Create(),
            TapCommand.Create(),
            new Command("trust", "The trust anchors and issuers of a trust domain.") { InitCommand.Create() },
            WorkloadCommand.Create(),
        };
        var parsed = root.Parse(arguments);
        if (parsed.Errors.Count > 0)
        {
            var code = await FailAsync(parsed, string.Join("\nmesh: ", parsed.Errors.Select(e => e.Message)), ExitCode.Usage);
            await Console.Error.WriteLineAsync("mesh: see 'mesh --help'");
            return code;
        }

        try
        {
            // The library's two seconds after a signal are less than a slow child may take: the rest would be left running, with its files.
            return await parsed.InvokeAsync(new InvocationConfiguration { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = TimeSpan.FromMinutes(1) });
        }
        catch (CommandRefusedException refused)
        {
            return await FailAsync(parsed, refused.Message, refused.ExitCode);
        }
        catch (Exception failed) when (failed is IOException or UnauthorizedAccessException)
        {
            // A full disk, a directory that is none, no permission: the machine's to mend, not a defect.
            return await FailAsync(parsed, failed.Message, ExitCode.Refused);
        }
        catch (OperationCanceledException)
        {
            return await FailAsync(parsed, "interrupted before there was anything to tell", ExitCode.Interrupted);
        }
        catch (Exception bug) when (bug is not OutOfMemoryException)
        {
            await FailAsync(parsed, $"internal error ({bug.GetType().Name}): {bug.Message}", ExitCode.Internal);
            if (Environment.GetEnvironmentVariable("MESH_DEBUG") is not null) await Console.Error.WriteLineAsync(bug.ToString());
            else await Console.Error.WriteLineAsync("mesh: set MESH_DEBUG=1 and run it again for the details to report.");
            return ExitCode.Internal;
        }
    }

    /// <summary>A sentence for a person; and where the command's result was to be JSON, an object with nothing but the error in its place.</summary>
    private static async Task<int> FailAsync(ParseResult parsed, string message, int exitCode)
    {
        await Console.Error.WriteLineAsync($"mesh: {message}");
        if (Choice.IsJson(parsed)) Console.WriteLine(JsonSerializer.Serialize(new { error = message }));
        return exitCode;
    }
}
