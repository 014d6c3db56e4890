using System.Collections.Frozen;
using System.Collections.Immutable;

namespace Mesh.Proxy.Metrics;

/// <summary>
/// What discovery says of the workload behind an endpoint, as labels with Linkerd's <c>dst_</c> before them. Only names that stay when a pod is
/// replaced are kept: with the name of each pod that ever was, the counters of a proxy that runs for months would have no bound.
/// </summary>
internal sealed class EndpointLabels : IEquatable<EndpointLabels>
{
    private static readonly string[] Kept =
        ["namespace", "service", "serviceaccount", "deployment", "statefulset", "daemonset", "cronjob", "replicationcontroller", "zone"];

    private readonly ImmutableArray<MetricLabel> _labels;

    private EndpointLabels(ImmutableArray<MetricLabel> labels) => _labels = labels;

    public static EndpointLabels None { get; } = new([]);

    /// <summary>To be made once for each endpoint and kept. The endpoint's own labels come before those of its set.</summary>
    public static EndpointLabels Of(FrozenDictionary<string, string> endpoint, FrozenDictionary<string, string> set)
    {
        if (endpoint.Count + set.Count == 0) return None;
        return new EndpointLabels(
            [.. Kept.Select(name => new MetricLabel("dst_" + name, Find(endpoint, name) ?? Find(set, name) ?? "")).Where(l => l.Value.Length > 0)]);
    }

    public ImmutableArray<MetricLabel> ToLabels() => _labels;

    public bool Equals(EndpointLabels? other) => other is not null && _labels.SequenceEqual(other._labels);

    public override bool Equals(object? obj) => Equals(obj as EndpointLabels);

    public override int GetHashCode() => _labels.IsEmpty ? 0 : HashCode.Combine(_labels.Length, _labels[0], _labels[^1]);

    private static string? Find(FrozenDictionary<string, string> labels, string name) => labels.GetValueOrDefault(name) ?? labels.GetValueOrDefault("dst_" + name);
}
