using System.Buffers;
using System.CommandLine;
using System.Globalization;

namespace Mesh.Cli.Demo;

/// <summary><c>mesh demo</c>: a whole mesh on this machine, without root and without Kubernetes.</summary>
internal static class DemoCommand
{
    private static readonly SearchValues<char> NumberCharacters = SearchValues.Create("0123456789.");

    public static Command Create()
    {
        var duration = new Option<string?>("--duration") { Description = "how long to run, for example 20s or 2m; until Ctrl-C when absent" };
        var directory = new Option<string?>("--dir") { Description = "where the state lives; other commands act on it with the same option" };
        var output = new Option<string>("--output") { Description = "text or json (one object at the end)", DefaultValueFactory = _ => "text" };
        output.AcceptOnlyFromAmong("text", "json");
        var rate = new Option<double>("--rate") { Description = "requests per second of the sample client, 1 to 5000", DefaultValueFactory = _ => 200 };
        var keep = new Option<bool>("--keep") { Description = "leave state and logs behind" };
        var command = new Command("demo", "Two plain programs talk through two proxies; see who they are and what crosses the wire.") { duration, directory, output, rate, keep };
        command.SetAction(async (parsed, ct) =>
        {
            TimeSpan? length = null;
            if (parsed.GetValue(duration) is { } text)
                length = TryParseDuration(text, TimeSpan.FromDays(7), out var value) ? value : throw new CommandRefusedException($"--duration {text}: not a duration such as 20s, 5m or 1h", ExitCode.Usage);
            var perSecond = parsed.GetValue(rate);
            if (!(perSecond is >= 1 and <= 5000)) throw new CommandRefusedException("--rate: a number from 1 to 5000", ExitCode.Usage);
            var options = new DemoOptions(length, parsed.GetValue(directory), parsed.GetValue(output) == "json", perSecond, parsed.GetValue(keep));
            return await new DemoRun(options, TimeProvider.System).RunAsync(ct);
        });
        return command;
    }

    /// <summary>Reads "20s", "1.5m", "500ms", "1h"; only positive durations up to <paramref name="longest"/>.</summary>
    internal static bool TryParseDuration(string text, TimeSpan longest, out TimeSpan duration)
    {
        duration = default;
        var split = text.AsSpan().IndexOfAnyExcept(NumberCharacters);
        if (split <= 0 || !double.TryParse(text.AsSpan(0, split), NumberStyles.AllowDecimalPoint, CultureInfo.InvariantCulture, out var number)) return false;
        double? seconds = text[split..] switch { "ms" => number / 1000, "s" => number, "m" => number * 60, "h" => number * 3600, _ => null };
        if (!(seconds > 0) || seconds > longest.TotalSeconds) return false;
        duration = TimeSpan.FromSeconds(seconds.Value);
        return true;
    }
}
