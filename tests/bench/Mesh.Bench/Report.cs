using System.Globalization;
using System.Text;
using System.Text.Json;

namespace Mesh.Bench;

/// <summary>What one benchmark measured: named figures (each the rounds of one quantity) and the ratios that matter.</summary>
internal sealed class Report(string name)
{
    private readonly List<(string Name, string Unit, double[] Rounds, string? Bar)> _figures = [];
    private readonly List<(string Name, double Value, double Min, double Max, string Bar)> _ratios = [];

    private readonly List<string> _failures = [];

    /// <summary>What the figures come to, where a benchmark says more than numbers; empty when it does not.</summary>
    public string Verdict { get; set; } = "";

    /// <summary>What went wrong while measuring; the figures say nothing then.</summary>
    public IReadOnlyList<string> Failures => _failures;

    /// <summary>Adds a quantity with one value per round, and the bar it is held against by itself, if there is one.</summary>
    public void Figure(string figure, string unit, IEnumerable<double> rounds, string? bar = null) => _figures.Add((figure, unit, [.. rounds], bar));

    public void Fail(string what) => _failures.Add(what);

    /// <summary>
    /// Adds ours divided by the peer's, from the medians of two figures, with the bar it is held against. The spread is that of the rounds: of one
    /// round's two values where they were measured side by side, else of each of our rounds against the peer's median.
    /// </summary>
    public void Ratio(string ratio, string ours, string peer, string bar)
    {
        double[] mine = Rounds(ours), theirs = Rounds(peer);
        var each = mine.Length == theirs.Length ? mine.Zip(theirs, (m, t) => m / t) : mine.Select(m => m / MedianOf(theirs));
        _ratios.Add((ratio, MedianOf(mine) / MedianOf(theirs), each.Min(), each.Max(), bar));
    }

    /// <summary>The middle value of a figure's rounds.</summary>
    public double Median(string figure) => MedianOf(Rounds(figure));

    /// <summary>The table a person reads: median [least - most] of each figure, then the ratios.</summary>
    public string Table()
    {
        var text = new StringBuilder().AppendLine().AppendLine(CultureInfo.InvariantCulture, $"{name}: median [min - max]");
        foreach (var (figure, unit, rounds, bar) in _figures)
            text.AppendLine(CultureInfo.InvariantCulture, $"  {figure,-44} {MedianOf(rounds),12:0.##} [{rounds.Min():0.##} - {rounds.Max():0.##}] {unit} ({rounds.Length} rounds){(bar is null ? "" : $" (bar {bar})")}");
        foreach (var (ratio, value, min, max, bar) in _ratios)
            text.AppendLine(CultureInfo.InvariantCulture, $"  {ratio,-44} {value,12:0.00}x [{min:0.00} - {max:0.00}] (bar {bar})");
        foreach (var failure in _failures) text.AppendLine(CultureInfo.InvariantCulture, $"  FAILED: {failure}");
        if (Verdict.Length > 0) text.AppendLine(CultureInfo.InvariantCulture, $"  verdict: {Verdict}");
        return text.ToString();
    }

    /// <summary>One JSON object on one line: <c>{"name":…,"figures":{…},"ratios":{…},"failures":[…],"verdict":…}</c>.</summary>
    public string Json() => JsonSerializer.Serialize(new
    {
        name,
        figures = _figures.ToDictionary(f => f.Name, f => new { unit = f.Unit, median = MedianOf(f.Rounds), min = f.Rounds.Min(), max = f.Rounds.Max(), rounds = f.Rounds.Length }),
        ratios = _ratios.ToDictionary(r => r.Name, r => Math.Round(r.Value, 3)),
        failures = _failures,
        verdict = Verdict,
    });

    private double[] Rounds(string figure) => _figures.Single(f => f.Name == figure).Rounds;

    private static double MedianOf(double[] values)
    {
        var sorted = values.Order().ToArray();
        var middle = sorted.Length / 2;
        return sorted.Length % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
    }
}
