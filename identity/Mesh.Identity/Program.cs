using System.Collections;
using Mesh.Identity.Hosting;
using Mesh.Identity.Settings;
using Microsoft.Extensions.Logging;

namespace Mesh.Identity;

internal static class Program
{
    private static async Task<int> Main()
    {
        if (!IdentitySettings.TryRead(ReadEnvironment(), out var settings, out var faults))
        {
            foreach (var fault in faults) await Console.Error.WriteLineAsync(fault.ToString());
            return ExitCode.Usage;
        }

        using var logs = ConsoleLog.Create(settings.LogLevel, settings.LogFormat);
        using var signals = new StopSignals();
        var run = new ServiceRun(settings.OwnId, settings.AddressFile, settings.ShutdownGracePeriod);
        return await ServiceProcess.RunAsync(run, async () => await IdentityServer.StartAsync(settings, TimeProvider.System, logs, signals.Token), logs.CreateLogger("Mesh.Identity"), signals.Token);
    }

    private static Dictionary<string, string> ReadEnvironment()
    {
        var variables = new Dictionary<string, string>();
        foreach (DictionaryEntry variable in Environment.GetEnvironmentVariables()) variables[(string)variable.Key] = (string?)variable.Value ?? "";
        return variables;
    }
}
