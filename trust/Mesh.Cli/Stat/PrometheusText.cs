using System.Globalization;
using System.Text;

namespace Mesh.Cli.Stat;

/// <summary>One line of a Prometheus page: a name, its labels and a value.</summary>
internal sealed record Sample(string Name, IReadOnlyDictionary<string, string> Labels, double Value)
{
    public string? Label(string label) => Labels.TryGetValue(label, out var value) ? value : null;
}

/// <summary>Reads the Prometheus text format (version 0.0.4). Lines that are none are passed over; what one page may make us hold is bounded.</summary>
internal static class PrometheusText
{
    private const int MostSamples = 200_000;
    private const int MostLabels = 64;

    public static IReadOnlyList<Sample> Parse(string page)
    {
        var samples = new List<Sample>();
        foreach (var range in page.AsSpan().Split('\n'))
        {
            var line = page.AsSpan()[range].Trim();
            if (line.IsEmpty || line[0] == '#' || TryParseLine(line) is not { } sample) continue;
            samples.Add(sample);
            if (samples.Count == MostSamples) break;
        }

        return samples;
    }

    private static Sample? TryParseLine(ReadOnlySpan<char> line)
    {
        var end = line.IndexOfAny(" \t{");
        if (end <= 0) return null;
        var name = line[..end].ToString();
        var rest = line[end..];
        var labels = new Dictionary<string, string>();
        if (rest[0] == '{' && !TryReadLabels(ref rest, labels)) return null;
        rest = rest.Trim();
        // A time may follow the value.
        var blank = rest.IndexOfAny(' ', '\t');
        return TryReadValue(blank < 0 ? rest : rest[..blank], out var value) ? new Sample(name, labels, value) : null;
    }

    private static bool TryReadLabels(ref ReadOnlySpan<char> rest, Dictionary<string, string> labels)
    {
        rest = rest[1..];
        while (true)
        {
            rest = rest.TrimStart(" \t,");
            if (rest.IsEmpty) return false;
            if (rest[0] == '}')
            {
                rest = rest[1..];
                return true;
            }

            var equals = rest.IndexOf('=');
            if (equals <= 0 || labels.Count == MostLabels) return false;
            var name = rest[..equals].Trim().ToString();
            rest = rest[(equals + 1)..].TrimStart();
            if (!TryReadText(ref rest, out var value)) return false;
            labels[name] = value;
        }
    }

    private static bool TryReadText(ref ReadOnlySpan<char> rest, out string value)
    {
        value = "";
        if (rest.IsEmpty || rest[0] != '"') return false;
        var text = new StringBuilder();
        for (var at = 1; at < rest.Length; at++)
        {
            switch (rest[at])
            {
                case '"':
                    value = text.ToString();
                    rest = rest[(at + 1)..];
                    return true;
                case '\\' when at + 1 < rest.Length:
                    var escaped = rest[++at];
                    text.Append(escaped == 'n' ? '\n' : escaped);
                    break;
                default:
                    text.Append(rest[at]);
                    break;
            }
        }

        return false;
    }

    private static bool TryReadValue(ReadOnlySpan<char> text, out double value)
    {
        value = text switch
        {
            "+Inf" or "Inf" => double.PositiveInfinity,
            "-Inf" => double.NegativeInfinity,
            _ => double.NaN,
        };
        return !double.IsNaN(value) || text is "NaN" || double.TryParse(text, NumberStyles.Float, CultureInfo.InvariantCulture, out value);
    }
}
