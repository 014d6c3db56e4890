using System.CommandLine;
using System.Globalization;
using Mesh.Hosting;

namespace Mesh.Cli.Demo;

/// <summary><c>mesh demo</c>: a whole mesh on this machine, without root and without Kubernetes.</summary>
internal static class DemoCommand
{
    private static readonly TimeSpan Longest = TimeSpan.FromDays(7);

    public static Command Create()
    {
        var duration = new Option<string?>("--duration") { Description = "how long to run, for example 20s or 2m; until Ctrl-C when absent" };
        var directory = new Option<string?>("--dir") { Description = "where the state lives while it runs, an empty directory or a new one; other commands act on it with the same option" };
        var output = Choice.Output("text or json (one object at the end)");
        var rate = new Option<string>("--rate") { Description = "requests per second of the sample client, 1 to 5000", DefaultValueFactory = _ => "200" };
        var keep = new Option<bool>("--keep") { Description = "leave state and logs behind" };
        var command = new Command("demo", "Two plain programs talk through two proxies; see who they are and what crosses the wire.") { duration, directory, output, rate, keep };
        command.SetAction(async (parsed, ct) =>
        {
            // The library listens for signals once the action has given the thread back: before that, a signal would end us without our clean-up.
            await Task.Yield();
            TimeSpan? length = null;
            if (parsed.GetValue(duration) is { } text)
                length = DurationText.TryParse(text, out var value) && value > TimeSpan.Zero && value <= Longest
                    ? value
                    : throw new CommandRefusedException($"--duration {text}: a duration such as 20s, 5m or 1h, more than none and at most 7d", ExitCode.Usage);
            if (parsed.GetValue(directory) is { } named && string.IsNullOrWhiteSpace(named)) throw new CommandRefusedException("--dir: is empty; name a directory", ExitCode.Usage);
            var asked = parsed.GetValue(rate);
            if (!double.TryParse(asked, NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var perSecond) || perSecond is < 1 or > 5000)
                throw new CommandRefusedException($"--rate {asked}: a number from 1 to 5000", ExitCode.Usage);
            var options = new DemoOptions(length, parsed.GetValue(directory), parsed.GetValue(output) == "json", perSecond, parsed.GetValue(keep));
            return await new DemoRun(options, TimeProvider.System).RunAsync(ct);
        });
        return command;
    }
}
