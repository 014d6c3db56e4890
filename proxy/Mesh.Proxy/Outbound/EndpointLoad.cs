using System.Collections.Immutable;
using System.Net;
using Mesh.Proxy.Discovery;

namespace Mesh.Proxy.Outbound;

/// <summary>
/// Chooses endpoints by open connections: of two drawn by weight the less loaded one, which spreads nearly as well as looking at all and does not
/// send everybody to the newest. Lives on the loop.
/// </summary>
internal sealed class EndpointLoad(Random random)
{
    private readonly Dictionary<IPEndPoint, int> _open = [];

    public int Open(IPEndPoint address) => _open.GetValueOrDefault(address);

    /// <summary>One of <paramref name="candidates"/> that is not in <paramref name="tried"/>; null when none is left.</summary>
    public Endpoint? Pick(ImmutableArray<Endpoint> candidates, IReadOnlyCollection<Endpoint> tried)
    {
        var left = tried.Count == 0 ? candidates : [.. candidates.Where(c => !tried.Contains(c))];
        if (left.IsEmpty) return null;
        if (left.Length == 1) return left[0];
        var first = Draw(left, except: null);
        var second = Draw(left, except: first);
        return Load(second) < Load(first) ? second : first;
    }

    public void Started(Endpoint endpoint) => _open[endpoint.Address] = Open(endpoint.Address) + 1;

    public void Finished(Endpoint endpoint)
    {
        var open = Open(endpoint.Address) - 1;
        if (open > 0) _open[endpoint.Address] = open;
        else _open.Remove(endpoint.Address);
    }

    private double Load(Endpoint endpoint) => (Open(endpoint.Address) + 1) / (double)Math.Max(1, endpoint.Weight);

    private Endpoint Draw(ImmutableArray<Endpoint> from, Endpoint? except)
    {
        long total = 0;
        foreach (var endpoint in from) total += ReferenceEquals(endpoint, except) ? 0 : Math.Max(1, endpoint.Weight);
        var at = random.NextInt64(total);
        foreach (var endpoint in from)
        {
            if (ReferenceEquals(endpoint, except)) continue;
            at -= Math.Max(1, endpoint.Weight);
            if (at < 0) return endpoint;
        }

        return from[^1];
    }
}
