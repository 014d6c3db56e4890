using System.Collections;
using Mesh.Destination.Hosting;
using Mesh.Destination.Settings;

namespace Mesh.Destination;

internal static partial class Program
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
        return await RunAsync(settings, TimeProvider.System, logs, signals.Token);
    }

    private static async Task<int> RunAsync(DestinationSettings settings, TimeProvider time, ILoggerFactory logs, CancellationToken stop)
    {
        var log = logs.CreateLogger("Mesh.Destination");
        DestinationServer server;
        try
        {
            server = await DestinationServer.StartAsync(settings, time, logs, stop);
        }
        catch (CannotListenException taken)
        {
            Log.NotStarted(log, taken.Message);
            return ExitCode.Unavailable;
        }

        await using (server)
        {
            Log.Started(log, settings.OwnId.ToString(), server.Address.ToString(), server.AdminAddress.ToString());
            var signal = new TaskCompletionSource();
            await using var registration = stop.Register(signal.SetResult);
            await Task.WhenAny(signal.Task, server.Failed);
            var failure = server.Failed.IsCompleted ? await server.Failed : null;
            if (failure is not null) Log.Failed(log, failure);
            await server.StopAsync();
            Log.Stopped(log);
            return failure is null ? ExitCode.Success : ExitCode.Internal;
        }
    }

    private static partial class Log
    {
        [LoggerMessage(4001, LogLevel.Information, "Destination service {SpiffeId} listens on {Address}, admin on {AdminAddress}", EventName = "Started")]
        public static partial void Started(ILogger log, string spiffeId, string address, string adminAddress);

        [LoggerMessage(4002, LogLevel.Information, "Stopped", EventName = "Stopped")]
        public static partial void Stopped(ILogger log);

        [LoggerMessage(4003, LogLevel.Critical, "A part of the service has failed; the process ends", EventName = "Failed")]
        public static partial void Failed(ILogger log, Exception reason);

        [LoggerMessage(4004, LogLevel.Critical, "The service could not start: {Reason}", EventName = "NotStarted")]
        public static partial void NotStarted(ILogger log, string reason);
    }
}
