using System.Reflection;
using Mesh.Spiffe;
using Mesh.Spiffe.Files;
using Microsoft.Extensions.Logging;

namespace Mesh.Hosting;

/// <summary>One run of a service: start, say where it listens, wait for a signal or a failure, drain.</summary>
internal static partial class ServiceProcess
{
    public static string Version { get; } = typeof(ServiceProcess).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+')[0] ?? "0";

    /// <param name="start">Starts it; <see cref="CannotListenException"/> when an address cannot be had.</param>
    /// <param name="stop">Fires when the process is to end.</param>
    /// <returns>The exit code.</returns>
    public static async Task<int> RunAsync(ServiceRun run, Func<Task<IRunningService>> start, ILogger log, CancellationToken stop)
    {
        IRunningService service;
        try
        {
            service = await start();
        }
        catch (CannotListenException taken)
        {
            Log.NotStarted(log, taken.Message);
            return ExitCode.Unavailable;
        }

        await using (service)
        {
            if (run.AddressFile is { } file) WriteAddresses(file, service);
            Log.Started(log, run.OwnId.ToString(), Version, service.Address.ToString(), service.AdminAddress.ToString());
            var signal = new TaskCompletionSource();
            await using var registration = stop.Register(signal.SetResult);
            await Task.WhenAny(signal.Task, service.Failed);
            var failure = service.Failed.IsCompleted ? await service.Failed : null;
            if (failure is not null) Log.Failed(log, failure);
            else Log.Stopping(log, run.GracePeriod.TotalSeconds);
            var cut = await service.StopAsync();
            Log.Stopped(log, cut);
            return failure is null ? ExitCode.Success : ExitCode.Internal;
        }
    }

    private static void WriteAddresses(string path, IRunningService service) =>
        PrivateFile.WritePublic(path, $$"""{"grpc":"{{service.Address}}","admin":"{{service.AdminAddress}}"}""" + "\n");

    private static partial class Log
    {
        [LoggerMessage(5101, LogLevel.Information, "{SpiffeId} {Version} listens on {GrpcAddress}, admin on {AdminAddress}", EventName = "Started")]
        public static partial void Started(ILogger log, string spiffeId, string version, string grpcAddress, string adminAddress);

        [LoggerMessage(5102, LogLevel.Information, "Stopping: no new connections, calls under way have {Seconds} s", EventName = "Stopping")]
        public static partial void Stopping(ILogger log, double seconds);

        [LoggerMessage(5103, LogLevel.Information, "Stopped; {Cut} connections were cut with calls under way", EventName = "Stopped")]
        public static partial void Stopped(ILogger log, int cut);

        [LoggerMessage(5104, LogLevel.Critical, "A part of the service has failed; the process ends", EventName = "Failed")]
        public static partial void Failed(ILogger log, Exception reason);

        [LoggerMessage(5105, LogLevel.Critical, "The service could not start: {Reason}", EventName = "NotStarted")]
        public static partial void NotStarted(ILogger log, string reason);
    }
}

/// <summary>What a run of a service tells of it, and how long its end may take.</summary>
/// <param name="OwnId">Who the service is.</param>
/// <param name="AddressFile">Where the addresses really bound are written as JSON; null for nowhere.</param>
/// <param name="GracePeriod">How long calls under way may take after the signal.</param>
internal sealed record ServiceRun(SpiffeId OwnId, string? AddressFile, TimeSpan GracePeriod);
