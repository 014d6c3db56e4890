using System.Reflection;
using Mesh.Identity.Settings;
using Mesh.Spiffe.Files;
using Microsoft.Extensions.Logging;

namespace Mesh.Identity.Hosting;

/// <summary>One run of the service: start, say where it listens, wait for a signal or a failure, drain.</summary>
internal static partial class IdentityProcess
{
    public static string Version { get; } = typeof(IdentityProcess).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion.Split('+')[0] ?? "0";

    /// <returns>The exit code.</returns>
    public static async Task<int> RunAsync(IdentitySettings settings, TimeProvider time, ILoggerFactory logs, CancellationToken stop)
    {
        var log = logs.CreateLogger("Mesh.Identity");
        IdentityServer server;
        try
        {
            server = await IdentityServer.StartAsync(settings, time, logs, stop);
        }
        catch (CannotListenException taken)
        {
            Log.NotStarted(log, taken.Message);
            return ExitCode.Unavailable;
        }

        await using (server)
        {
            if (settings.AddressFile is { } file) WriteAddresses(file, server);
            Log.Started(log, settings.OwnId.ToString(), Version, server.Address.ToString(), server.AdminAddress.ToString());
            var signal = new TaskCompletionSource();
            await using var registration = stop.Register(signal.SetResult);
            await Task.WhenAny(signal.Task, server.Failed);
            var failure = server.Failed.IsCompleted ? await server.Failed : null;
            if (failure is not null) Log.Failed(log, failure);
            else Log.Stopping(log, settings.DrainTimeout.TotalSeconds);
            var cut = await server.StopAsync();
            Log.Stopped(log, cut);
            return failure is null ? ExitCode.Success : ExitCode.Internal;
        }
    }

    private static void WriteAddresses(string path, IdentityServer server)
    {
        var json = $$"""{"grpc":"{{server.Address}}","admin":"{{server.AdminAddress}}"}""";
        PrivateFile.WritePublic(path, json + "\n");
    }
}
