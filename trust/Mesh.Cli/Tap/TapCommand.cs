using System.CommandLine;
using Mesh.Cli.Stat;
using Mesh.Hosting;

namespace Mesh.Cli.Tap;

/// <summary><c>mesh tap</c>: the requests that proxies handle, live, as each ends.</summary>
internal static class TapCommand
{
    public static Command Create()
    {
        Option<string?>[] filters =
        [
            new("--direction") { Description = "inbound or outbound" },
            new("--method") { Description = "exactly this method" },
            new("--path") { Description = "what the path begins with" },
            new("--authority") { Description = "the host asked for, with or without its port" },
            new("--peer") { Description = "the SPIFFE ID of the other side" },
            new("--status") { Description = "a status or a class of them: 404, 5xx" },
            new("--rate") { Description = "events in a second of each proxy, 1 to 1000; 100 when absent. More are left out, and counted" },
        ];
        var count = new Option<int?>("--count") { Description = "end after so many requests; Ctrl-C ends it in any case" };
        var duration = new Option<string?>("--duration") { Description = "end after this time, for example 10s" };
        var output = new Option<string>("--output") { Description = "text or json (one object for each request)", DefaultValueFactory = _ => "text" };
        output.AcceptOnlyFromAmong("text", "json");
        var targets = new ProxyTargets();
        var command = new Command("tap", "Shows the requests that proxies handle, as they end. Exit code 0: all proxies told theirs, 1: one did not.") { count, duration, output };
        foreach (var filter in filters) command.Add(filter);
        targets.AddTo(command);
        command.SetAction(async (parsed, ct) =>
        {
            var proxies = targets.Of(parsed);
            if (parsed.GetValue(count) is < 1) throw new CommandRefusedException("--count: at least 1", ExitCode.Usage);
            using var ending = CancellationTokenSource.CreateLinkedTokenSource(ct);
            if (parsed.GetValue(duration) is { } text)
                ending.CancelAfter(DurationText.TryParse(text, out var length) && length > TimeSpan.Zero && length <= TimeSpan.FromDays(1)
                    ? length
                    : throw new CommandRefusedException($"--duration {text}: a duration such as 10s, at most 1d", ExitCode.Usage));
            var query = string.Join('&', filters.Where(f => parsed.GetValue(f) is not null).Select(f => $"{f.Name.TrimStart('-')}={Uri.EscapeDataString(parsed.GetValue(f)!)}"));
            using var client = ProxyTarget.Client();
            client.Timeout = Timeout.InfiniteTimeSpan;
            return await new TapRun(proxies, query, client, Console.Out).RunAsync(parsed.GetValue(output) == "json", parsed.GetValue(count), ending);
        });
        return command;
    }
}
