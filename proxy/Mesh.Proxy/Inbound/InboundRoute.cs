using System.Collections.Immutable;
using System.Net;
using Mesh.Proxy.Connections;
using Mesh.Proxy.Settings;

namespace Mesh.Proxy.Inbound;

/// <summary>What an inbound connection is for, decided before a byte of it is read.</summary>
/// <param name="Application">Where it goes unless a transport header says more; null when only a header can say.</param>
/// <param name="SkipDetection">The port is opaque: pass the bytes on unseen.</param>
/// <param name="Refusal">Set when the connection cannot be served.</param>
internal readonly record struct InboundRoute(IPEndPoint? Application, bool SkipDetection, ConnectionEnd? Refusal)
{
    /// <summary>A connection to a named listener: always for its application. Meshed peers come here too, so the bytes are always looked at.</summary>
    public static InboundRoute ForService(InboundService service) => new(service.Application, false, null);

    /// <summary>A connection to the shared listener: redirected, or made to the proxy itself by a peer that will send a transport header.</summary>
    /// <param name="original">Where the client meant to go; null when nothing redirected it.</param>
    /// <param name="local">The address it arrived at.</param>
    /// <param name="addresses">The pod's addresses; empty for any.</param>
    /// <param name="opaquePorts">Ports whose bytes are not looked at.</param>
    /// <param name="own">The proxy's own listeners.</param>
    public static InboundRoute ForRedirected(IPEndPoint? original, IPEndPoint local, ImmutableArray<IPAddress> addresses, PortSet opaquePorts, OwnListeners own)
    {
        if (original is null || original.Equals(local)) return new InboundRoute(null, false, null);
        if (!addresses.IsEmpty && !addresses.Contains(original.Address)) return new InboundRoute(null, false, ConnectionEnd.UnknownPort);
        return own.Contains(original)
            ? new InboundRoute(null, false, ConnectionEnd.LoopRefused)
            : new InboundRoute(original, opaquePorts.Contains(original.Port), null);
    }

    /// <summary>Where a transport header's port leads; null when that port is not served here.</summary>
    /// <param name="port">The port of the header.</param>
    /// <param name="local">The address the peer connected to.</param>
    /// <param name="namedListener">A named listener serves its one application and nothing else.</param>
    public IPEndPoint? ApplicationFor(int port, IPEndPoint local, bool namedListener) =>
        namedListener ? (Application?.Port == port ? Application : null) : new IPEndPoint(Application?.Address ?? local.Address, port);
}
