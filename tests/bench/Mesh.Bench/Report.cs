using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Mesh.Bench;

/// <summary>What one benchmark measured: named figures (each the rounds of one quantity) and the ratios that matter.</summary>
internal sealed class Report(string name)
{
    private readonly List<(string Name, string Unit, double[] Rounds)> _figures = [];
    private readonly List<(string Name, double Value, string Bar)> _ratios = [];

    /// <summary>Adds a quantity with one value per round.</summary>
    public void Figure(string figure, string unit, IEnumerable<double> rounds) => _figures.Add((figure, unit, [.. rounds]));

    /// <summary>Adds ours divided by the peer's, from the medians of two figures, with the bar it is held against.</summary>
    public void Ratio(string ratio, string ours, string peer, string bar) =>
        _ratios.Add((ratio, Median(ours) / Median(peer), bar));

    /// <summary>The middle value of a figure's rounds.</summary>
    public double Median(string figure) => MedianOf(_figures.Single(f => f.Name == figure).Rounds);

    /// <summary>The table a person reads: median [least - most] of each figure, then the ratios.</summary>
    public string Table()
    {
        var text = new StringBuilder().AppendLine().AppendLine(CultureInfo.InvariantCulture, $"{name}: median [min - max]");
        foreach (var (figure, unit, rounds) in _figures)
            text.AppendLine(CultureInfo.InvariantCulture, $"  {figure,-44} {MedianOf(rounds),12:0.##} [{rounds.Min():0.##} - {rounds.Max():0.##}] {unit} ({rounds.Length} rounds)");
        foreach (var (ratio, value, bar) in _ratios)
            text.AppendLine(CultureInfo.InvariantCulture, $"  {ratio,-44} {value,12:0.00}x  (bar {bar})");
        return text.ToString();
    }

    /// <summary>One JSON object on one line: <c>{"name":…,"figures":{…},"ratios":{…}}</c>.</summary>
    public string Json() => JsonSerializer.Serialize(new
    {
        name,
        figures = _figures.ToDictionary(f => f.Name, f => new { unit = f.Unit, median = MedianOf(f.Rounds), min = f.Rounds.Min(), max = f.Rounds.Max(), rounds = f.Rounds.Length }),
        ratios = _ratios.ToDictionary(r => r.Name, r => Math.Round(r.Value, 3)),
    });

    private static double MedianOf(double[] values)
    {
        var sorted = values.Order().ToArray();
        var middle = sorted.Length / 2;
        return sorted.Length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
    }
}
