using System.Collections.Frozen;
using System.Net;
using Mesh.Protocol.Destination;

namespace Mesh.Proxy.Discovery;

/// <summary>
/// Folds the updates of one <c>Get</c> stream into endpoint sets. Tolerates updates in any order and more than once. After the
/// stream was reopened the old endpoints stay until the first update of the new stream says what is true now.
/// </summary>
internal sealed class EndpointTable(string controlPlaneNamespace)
{
    /// <summary>More endpoints than this are not kept: a bound on what discovery can make a proxy hold.</summary>
    public const int MaxEndpoints = 10_000;

    private readonly Dictionary<IPEndPoint, Endpoint> _endpoints = [];
    private FrozenDictionary<string, string> _labels = FrozenDictionary<string, string>.Empty;
    private bool _exists;
    private bool _replaceAtNext;

    /// <summary>Endpoints left out so far because they could not be read, or because there were too many.</summary>
    public long LeftOut { get; private set; }

    /// <summary>The stream was opened again: what comes next starts from nothing.</summary>
    public void StreamOpened() => _replaceAtNext = true;

    /// <summary>True with the new set when <paramref name="update"/> has changed anything.</summary>
    public bool Apply(Update update, EndpointSet? before, out EndpointSet set)
    {
        bool changed = before is null;
        switch (update.UpdateCase)
        {
            case Update.UpdateOneofCase.Add:
                changed |= Add(update.Add);
                break;
            case Update.UpdateOneofCase.Remove:
                // Says nothing of what else is there, so what we knew stands.
                changed |= Remove(update.Remove);
                break;
            case Update.UpdateOneofCase.NoEndpoints:
                changed |= _endpoints.Count > 0 || _exists != update.NoEndpoints.Exists;
                _endpoints.Clear();
                _exists = update.NoEndpoints.Exists;
                break;
            default:
                // An update of a later protocol.
                set = before!;
                return false;
        }

        _replaceAtNext = false;
        // The service said in another way, by a status, that the authority is gone, and now it is back.
        changed |= before is not null && before.Exists != _exists;
        set = changed ? new EndpointSet(_exists, [.. _endpoints.Values], _labels) : before!;
        return changed;
    }

    private bool Add(WeightedAddrSet added)
    {
        FrozenDictionary<string, string> labels = DiscoveryMessages.Labels(added.MetricLabels);
        bool changed = !_exists || !Endpoint.Same(labels, _labels);
        _exists = true;
        _labels = labels;
        HashSet<IPEndPoint>? named = _replaceAtNext ? [] : null;
        foreach (WeightedAddr message in added.Addrs)
        {
            if (!DiscoveryMessages.TryParse(message, controlPlaneNamespace, out Endpoint? endpoint))
            {
                LeftOut++;
                // It may have been good before; it is not what it was.
                if (DiscoveryMessages.TryParse(message.Addr, out IPEndPoint? gone)) changed |= _endpoints.Remove(gone!);
                continue;
            }

            named?.Add(endpoint!.Address);
            bool known = _endpoints.TryGetValue(endpoint!.Address, out Endpoint? old);
            if (known && old == endpoint) continue;
            if (!known && _endpoints.Count >= MaxEndpoints)
            {
                LeftOut++;
                continue;
            }

            _endpoints[endpoint.Address] = endpoint;
            changed = true;
        }

        if (named is null) return changed;
        foreach (IPEndPoint stale in _endpoints.Keys.Where(address => !named.Contains(address)).ToArray()) changed |= _endpoints.Remove(stale);
        return changed;
    }

    private bool Remove(AddrSet removed)
    {
        bool changed = !_exists;
        _exists = true;
        foreach (Protocol.Net.TcpAddress address in removed.Addrs)
        {
            if (DiscoveryMessages.TryParse(address, out IPEndPoint? gone)) changed |= _endpoints.Remove(gone!);
        }

        return changed;
    }
}
