using System.Collections.Immutable;
using System.Net;
using System.Net.NetworkInformation;

namespace Mesh.Proxy.Connections;

/// <summary>The addresses this proxy listens on: it never dials itself, or one connection would become as many as there are descriptors.</summary>
internal sealed class OwnListeners(ImmutableArray<IPEndPoint> listeners)
{
    private readonly HashSet<IPAddress> _local = [.. LocalAddresses()];

    public bool Contains(IPEndPoint target)
    {
        var address = Unmap(target.Address);
        foreach (var listener in listeners)
        {
            if (listener.Port != target.Port) continue;
            var own = Unmap(listener.Address);
            if (own.Equals(address)) return true;
            var wildcard = own.Equals(IPAddress.Any) || own.Equals(IPAddress.IPv6Any);
            var local = IPAddress.IsLoopback(address) || address.Equals(IPAddress.Any) || address.Equals(IPAddress.IPv6Any) || _local.Contains(address);
            if (wildcard && local) return true;
            // 0.0.0.0 as a target, and any address of 127.0.0.0/8 on a listener of another, are this machine too (ip(7)).
            if (IPAddress.IsLoopback(own) && (address.Equals(IPAddress.Any) || address.Equals(IPAddress.IPv6Any))) return true;
        }

        return false;
    }

    private static IPAddress Unmap(IPAddress address) => address.IsIPv4MappedToIPv6 ? address.MapToIPv4() : address;

    private static IEnumerable<IPAddress> LocalAddresses() =>
        NetworkInterface.GetAllNetworkInterfaces().SelectMany(i => i.GetIPProperties().UnicastAddresses).Select(a => Unmap(a.Address));
}
