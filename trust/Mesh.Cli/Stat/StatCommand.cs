using System.CommandLine;
using Mesh.Hosting;

namespace Mesh.Cli.Stat;

/// <summary><c>mesh stat</c>: success rate, requests per second and latencies between workloads, from the metrics of their proxies.</summary>
internal static class StatCommand
{
    private static readonly TimeSpan Longest = TimeSpan.FromHours(1);

    public static Command Create()
    {
        var window = new Option<string>("--window") { Description = "how long to look, for example 2s or 1m", DefaultValueFactory = _ => "2s" };
        var watch = new Option<bool>("--watch") { Description = "go on until Ctrl-C, a table for each window" };
        var output = new Option<string>("--output") { Description = "text or json (one object for each window)", DefaultValueFactory = _ => "text" };
        output.AcceptOnlyFromAmong("text", "json");
        var targets = new ProxyTargets();
        var command = new Command("stat", "Success rate, requests per second, latencies and connections, by proxy and peer. Exit code 0: all proxies were read, 1: one was not.")
        {
            window, watch, output,
        };
        targets.AddTo(command);
        command.SetAction(async (parsed, ct) =>
        {
            var proxies = targets.Of(parsed);
            var text = parsed.GetValue(window)!;
            if (!DurationText.TryParse(text, out var length) || length < TimeSpan.FromMilliseconds(100) || length > Longest)
                throw new CommandRefusedException($"--window {text}: a duration from 100ms to 1h", ExitCode.Usage);
            using var client = ProxyTarget.Client();
            var run = new StatRun(proxies, length, client, TimeProvider.System);
            return await run.RunAsync(parsed.GetValue(watch), parsed.GetValue(output) == "json", ct);
        });
        return command;
    }
}

/// <summary>Reads the pages of some proxies again and again, and prints what passed between two readings.</summary>
internal sealed class StatRun(IReadOnlyList<ProxyTarget> proxies, TimeSpan window, HttpClient client, TimeProvider time)
{
    public async Task<int> RunAsync(bool watch, bool json, CancellationToken ct)
    {
        var printed = false;
        var before = await ReadAllAsync(ct);
        try
        {
            do
            {
                await Task.Delay(window, time, ct);
                var after = await ReadAllAsync(ct);
                var traffic = Between(before, after);
                Console.WriteLine(json ? StatText.Json(traffic, window) : StatText.Table(traffic) + (watch ? "\n" : ""));
                printed = true;
                before = after;
            }
            while (watch);
        }
        catch (OperationCanceledException) when (printed && ct.IsCancellationRequested)
        {
            // The operator has seen enough.
        }

        return before.Any(r => r.Page is null) ? ExitCode.Refused : ExitCode.Done;
    }

    private IReadOnlyList<Traffic> Between(IReadOnlyList<Reading> before, IReadOnlyList<Reading> after) =>
    [
        .. before.Zip(after).Where(pair => pair is { First.Page: not null, Second.Page: not null }).SelectMany(pair => TrafficReading.Between(
            TrafficReading.Workload(pair.Second.Page!) ?? pair.Second.Proxy.Name, pair.First.Page!, pair.Second.Page!, time.GetElapsedTime(pair.First.At, pair.Second.At))),
    ];

    private async Task<IReadOnlyList<Reading>> ReadAllAsync(CancellationToken ct) => await Task.WhenAll(proxies.Select(p => ReadAsync(p, ct)));

    private async Task<Reading> ReadAsync(ProxyTarget proxy, CancellationToken ct)
    {
        try
        {
            var page = await client.GetStringAsync(new Uri(proxy.Admin, "metrics"), ct);
            return new Reading(proxy, time.GetTimestamp(), PrometheusText.Parse(page));
        }
        catch (Exception failed) when (failed is HttpRequestException || (failed is TaskCanceledException && !ct.IsCancellationRequested))
        {
            await Console.Error.WriteLineAsync($"mesh: {proxy.Name}: its metrics cannot be read ({StatText.Printable(failed.Message)})");
            return new Reading(proxy, time.GetTimestamp(), null);
        }
    }

    private sealed record Reading(ProxyTarget Proxy, long At, IReadOnlyList<Sample>? Page);
}
