using System.CommandLine;
using Mesh.Cli.Demo;
using Mesh.Cli.Identity;
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
            new Command("trust", "The trust anchors and issuers of a trust domain.") { InitCommand.Create() },
            WorkloadCommand.Create(),
        };
        var parsed = root.Parse(arguments);
        if (parsed.Errors.Count > 0)
        {
            foreach (var error in parsed.Errors) await Console.Error.WriteLineAsync($"mesh: {error.Message}");
            await Console.Error.WriteLineAsync("mesh: see 'mesh --help'");
            return ExitCode.Usage;
        }

        try
        {
            // The library's two seconds after a signal are less than a slow child may take: the rest would be left running, with its files.
            return await parsed.InvokeAsync(new InvocationConfiguration { EnableDefaultExceptionHandler = false, ProcessTerminationTimeout = TimeSpan.FromMinutes(1) });
        }
        catch (CommandRefusedException refused)
        {
            await Console.Error.WriteLineAsync($"mesh: {refused.Message}");
            return refused.ExitCode;
        }
        catch (Exception failed) when (failed is IOException or UnauthorizedAccessException)
        {
            // A full disk, a directory that is none, no permission: the machine's to mend, not a defect.
            await Console.Error.WriteLineAsync($"mesh: {failed.Message}");
            return ExitCode.Refused;
        }
        catch (OperationCanceledException)
        {
            return ExitCode.Interrupted;
        }
        catch (Exception bug) when (bug is not OutOfMemoryException)
        {
            await Console.Error.WriteLineAsync($"mesh: internal error ({bug.GetType().Name}): {bug.Message}");
            if (Environment.GetEnvironmentVariable("MESH_DEBUG") is not null) await Console.Error.WriteLineAsync(bug.ToString());
            else await Console.Error.WriteLineAsync("mesh: set MESH_DEBUG=1 and run it again for the details to report.");
            return ExitCode.Internal;
        }
    }
}
