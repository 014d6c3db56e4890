using System.Collections.Immutable;

namespace Mesh.Proxy.Settings;

/// <summary>TCP ports, written as <c>25,587,4000-4010</c>.</summary>
internal sealed class PortSet
{
    private readonly ImmutableArray<(int First, int Last)> _ranges;

    private PortSet(ImmutableArray<(int First, int Last)> ranges) => _ranges = ranges;

    public static PortSet Empty { get; } = new([]);

    public static PortSet Of(params ReadOnlySpan<int> ports)
    {
        var ranges = ImmutableArray.CreateBuilder<(int, int)>(ports.Length);
        foreach (var port in ports) ranges.Add((port, port));
        return new PortSet(ranges.ToImmutable());
    }

    public static bool TryParse(string text, out PortSet ports)
    {
        var ranges = ImmutableArray.CreateBuilder<(int, int)>();
        ports = Empty;
        foreach (var part in text.Split(',', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries))
        {
            var dash = part.IndexOf('-', StringComparison.Ordinal);
            if (!HostPort.TryParsePort(dash < 0 ? part : part.AsSpan(0, dash), out var first)) return false;
            var last = first;
            if (dash >= 0 && (!HostPort.TryParsePort(part.AsSpan(dash + 1), out last) || last < first)) return false;
            ranges.Add((first, last));
        }

        ports = new PortSet(ranges.ToImmutable());
        return true;
    }

    public bool Contains(int port)
    {
        foreach (var (first, last) in _ranges)
            if (port >= first && port <= last) return true;
        return false;
    }
}
