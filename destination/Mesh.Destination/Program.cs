using System.Collections;
using Mesh.Destination.Hosting;
using Mesh.Destination.Settings;

namespace Mesh.Destination;

internal static class Program
{
    private static async Task<int> Main()
    {
        var environment = Environment.GetEnvironmentVariables().Cast<DictionaryEntry>().ToDictionary(v => (string)v.Key, v => (string?)v.Value ?? "");
        if (!DestinationSettings.TryRead(environment, out var settings, out var faults))
        {
            foreach (var fault in faults) await Console.Error.WriteLineAsync(fault.ToString());
            return ExitCode.Usage;
        }

        using var logs = ConsoleLog.Create(settings.LogLevel, settings.LogFormat);
        using var signals = new StopSignals();
        var run = new ServiceRun(settings.OwnId, settings.AddressFile, settings.ShutdownGracePeriod);
        return await ServiceProcess.RunAsync(run, async () => await DestinationServer.StartAsync(settings, TimeProvider.System, logs, signals.Token), logs.CreateLogger("Mesh.Destination"), signals.Token);
    }
}
