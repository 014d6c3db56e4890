namespace Mesh.Bench;

/// <summary>What was measured of several pairs, round by round: the values of each figure, by pair, in the order in which they first came.</summary>
internal sealed class Rounds
{
    private readonly Dictionary<string, Figure> _figures = [];

    /// <summary>Adds the value of one round. <paramref name="bar"/> is what ours is held to by itself.</summary>
    public void Add(string pair, string figure, string unit, double value, string? bar = null)
    {
        if (!_figures.TryGetValue(figure, out var known)) _figures[figure] = known = new Figure(unit, bar, []);
        if (!known.Pairs.TryGetValue(pair, out var values)) known.Pairs[pair] = values = [];
        values.Add(value);
    }

    /// <summary>Puts all of it into a report, the pairs one below the other.</summary>
    public void AddTo(Report report)
    {
        foreach (var (name, figure) in _figures)
            foreach (var (pair, values) in figure.Pairs)
                report.Figure($"{pair}: {name}", figure.Unit, values, pair == "mesh" ? figure.Bar : null);
    }

    /// <summary>Adds ours over the peer's of one figure to the report, where both were measured.</summary>
    public void AddRatio(Report report, string ratio, string figure, string peer, string bar)
    {
        if (_figures.TryGetValue(figure, out var known) && known.Pairs.ContainsKey("mesh") && known.Pairs.ContainsKey(peer))
            report.Ratio($"{ratio}, mesh / {peer}", $"mesh: {figure}", $"{peer}: {figure}", bar);
    }

    private sealed record Figure(string Unit, string? Bar, Dictionary<string, List<double>> Pairs);
}
