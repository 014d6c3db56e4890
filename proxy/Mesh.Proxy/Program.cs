using System.Collections;
using System.Runtime.InteropServices;
using Mesh.Hosting;
using Mesh.Proxy.Logging;
using Mesh.Proxy.Settings;

namespace Mesh.Proxy;

/// <summary>The micro-proxy: settings from the environment, then one process until it is told to stop.</summary>
internal static class Program
{
    private static async Task<int> Main()
    {
        var environment = Environment.GetEnvironmentVariables().Cast<DictionaryEntry>().ToDictionary(v => (string)v.Key, v => (string?)v.Value ?? "");
        if (!ProxyEnvironment.TryRead(environment, out var settings, out var faults, out var unknownKeys))
        {
            foreach (var fault in faults) await Console.Error.WriteLineAsync(fault.ToString());
            return ExitCodes.BadConfiguration;
        }

        await using var output = new StreamWriter(Console.OpenStandardError());
        await using var log = new LineLog(output, settings.LogLevel, settings.LogFormat, TimeProvider.System);
        using var stop = new StopRequest();
        using var terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, stop.OnSignal);
        using var interrupt = PosixSignalRegistration.Create(PosixSignal.SIGINT, stop.OnSignal);
        StarterWatch.Begin(stop.Ask);
        var process = new ProxyProcess(settings, TimeProvider.System, log);
        process.Announce(unknownKeys);
        return await process.RunAsync(stop);
    }
}
