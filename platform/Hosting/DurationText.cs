using System.Globalization;
using System.Text;

namespace Mesh.Hosting;

/// <summary>Durations as operators of Linkerd and Go programs write them: 500ms, 90s, 15m, 24h, 7d, 1h30m, 24h0m0s. Written without days, as Go does.</summary>
internal static class DurationText
{
    private static readonly (string Unit, double Milliseconds)[] Units = [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

    public static bool TryParse(string text, out TimeSpan duration)
    {
        duration = default;
        if (text is { Length: 0 or > 32 }) return false;
        var total = 0.0;
        var rest = text.AsSpan();
        while (rest.Length > 0)
        {
            var digits = rest.IndexOfAnyExceptInRange('0', '9');
            if (digits <= 0 || !long.TryParse(rest[..digits], NumberStyles.None, CultureInfo.InvariantCulture, out var number)) return false;
            rest = rest[digits..];
            var unitLength = rest.IndexOfAnyInRange('0', '9');
            var unit = unitLength < 0 ? rest : rest[..unitLength];
            var factor = 0.0;
            foreach (var (name, milliseconds) in Units)
                if (unit.SequenceEqual(name)) factor = milliseconds;
            if (factor == 0) return false;
            total += number * factor;
            rest = rest[unit.Length..];
        }

        if (total > TimeSpan.MaxValue.TotalMilliseconds / 2) return false;
        duration = TimeSpan.FromMilliseconds(total);
        return true;
    }

    public static string Format(TimeSpan duration)
    {
        if (duration == TimeSpan.Zero) return "0s";
        var text = new StringBuilder();
        var hours = (long)duration.TotalHours;
        if (hours > 0) text.Append(CultureInfo.InvariantCulture, $"{hours}h");
        if (duration.Minutes > 0) text.Append(CultureInfo.InvariantCulture, $"{duration.Minutes}m");
        if (duration.Seconds > 0) text.Append(CultureInfo.InvariantCulture, $"{duration.Seconds}s");
        if (duration.Milliseconds > 0) text.Append(CultureInfo.InvariantCulture, $"{duration.Milliseconds}ms");
        return text.ToString();
    }
}
