using System.Globalization;

namespace Mesh.Cli.Demo;

/// <summary>One line of a Prometheus page: a name, its labels and a value.</summary>
internal sealed record Sample(string Name, IReadOnlyDictionary<string, string> Labels, double Value)
{
    public string? Label(string label) => Labels.TryGetValue(label, out var value) ? value : null;
}

/// <summary>Reads the Prometheus text format (version 0.0.4) as our own processes write it.</summary>
internal static class PrometheusText
{
    public static IReadOnlyList<Sample> Parse(string page)
    {
        var samples = new List<Sample>();
        foreach (var line in page.Split('\n', StringSplitOptions.RemoveEmptyEntries | StringSplitOptions.TrimEntries))
            if (line[0] != '#' && TryParseLine(line, out var sample)) samples.Add(sample);
        return samples;
    }

    private static bool TryParseLine(string line, out Sample sample)
    {
        sample = null!;
        var labels = new Dictionary<string, string>();
        var nameEnd = line.AsSpan().IndexOfAny(' ', '{');
        if (nameEnd <= 0) return false;
        var at = nameEnd;
        if (line[at] == '{')
        {
            at++;
            while (at < line.Length && line[at] != '}')
            {
                var equals = line.IndexOf('=', at);
                if (equals < 0 || equals + 1 >= line.Length || line[equals + 1] != '"') return false;
                var label = line[at..equals].Trim(',', ' ');
                var value = new System.Text.StringBuilder();
                for (at = equals + 2; at < line.Length && line[at] != '"'; at++)
                {
                    if (line[at] == '\\' && at + 1 < line.Length) at++;
                    value.Append(line[at]);
                }

                labels[label] = value.ToString();
                at++;
                while (at < line.Length && line[at] is ',' or ' ') at++;
            }

            at++;
        }

        if (at >= line.Length || !double.TryParse(line.AsSpan(at).Trim().ToString().Split(' ')[0], NumberStyles.Float, CultureInfo.InvariantCulture, out var number)) return false;
        sample = new Sample(line[..nameEnd], labels, number);
        return true;
    }
}
