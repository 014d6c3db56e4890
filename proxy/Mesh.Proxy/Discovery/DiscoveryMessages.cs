using System.Buffers.Binary;
using System.Collections.Frozen;
using System.Net;
using Google.Protobuf.Collections;
using Mesh.Protocol.Destination;
using Mesh.Protocol.Net;
using Mesh.Proxy.Settings;
using Mesh.Spiffe;

namespace Mesh.Proxy.Discovery;

/// <summary>Brings discovery's messages into the proxy's own types. What cannot be read is left out, never read as something weaker.</summary>
internal static class DiscoveryMessages
{
    private const int MaxLabels = 32;
    private const int MaxLabelLength = 256;

    /// <summary>False when the endpoint has no usable address, or an identity that we could not hold a peer to. Such a one must not be dialled in plaintext.</summary>
    public static bool TryParse(WeightedAddr message, string controlPlaneNamespace, out Endpoint? endpoint)
    {
        endpoint = null;
        if (!TryParse(message.Addr, out IPEndPoint? address)) return false;
        if (!TryParse(message.TlsIdentity, controlPlaneNamespace, out EndpointIdentity? identity)) return false;
        uint? inbound = message.ProtocolHint?.OpaqueTransport?.InboundPort;
        if (inbound > ushort.MaxValue) return false;
        ProtocolHint protocol = message.ProtocolHint?.ProtocolCase switch
        {
            Protocol.Destination.ProtocolHint.ProtocolOneofCase.H2 => ProtocolHint.Http2,
            Protocol.Destination.ProtocolHint.ProtocolOneofCase.Opaque => ProtocolHint.Opaque,
            _ => ProtocolHint.Unknown,
        };
        string? authority = message.AuthorityOverride?.AuthorityOverride_ is { Length: > 0 and <= 512 } text ? text : null;
        endpoint = new Endpoint(address!, Math.Max(message.Weight, 1), identity, inbound is null or 0 ? null : (int)inbound, protocol, authority, Labels(message.MetricLabels));
        return true;
    }

    public static bool TryParse(TcpAddress? message, out IPEndPoint? address)
    {
        address = null;
        if (message is null || message.Port is 0 or > ushort.MaxValue) return false;
        switch (message.Ip?.IpCase)
        {
            case Protocol.Net.IPAddress.IpOneofCase.Ipv4:
                Span<byte> four = stackalloc byte[4];
                BinaryPrimitives.WriteUInt32BigEndian(four, message.Ip.Ipv4);
                address = new IPEndPoint(new System.Net.IPAddress(four), (int)message.Port);
                return true;
            case Protocol.Net.IPAddress.IpOneofCase.Ipv6:
                Span<byte> sixteen = stackalloc byte[16];
                BinaryPrimitives.WriteUInt64BigEndian(sixteen, message.Ip.Ipv6.First);
                BinaryPrimitives.WriteUInt64BigEndian(sixteen[8..], message.Ip.Ipv6.Last);
                address = new IPEndPoint(new System.Net.IPAddress(sixteen), (int)message.Port);
                return true;
            default:
                return false;
        }
    }

    /// <summary>At most 32 labels of 256 characters: they end up in metrics, which must stay bounded whatever discovery sends.</summary>
    public static FrozenDictionary<string, string> Labels(MapField<string, string> labels) =>
        labels.Count == 0
            ? FrozenDictionary<string, string>.Empty
            : labels.Where(l => l.Key.Length <= MaxLabelLength && l.Value.Length <= MaxLabelLength).Take(MaxLabels).ToFrozenDictionary(l => l.Key, l => l.Value);

    private static bool TryParse(TlsIdentity? message, string controlPlaneNamespace, out EndpointIdentity? identity)
    {
        identity = null;
        // No TLS identity is discovery's way to say that no proxy is there.
        if (message is null) return true;
        string? name = message.StrategyCase switch
        {
            TlsIdentity.StrategyOneofCase.UriLikeIdentity => message.UriLikeIdentity.Uri,
            TlsIdentity.StrategyOneofCase.DnsLikeIdentity => message.DnsLikeIdentity.Name,
            _ => null,
        };
        if (!IdentityName.TryParse(name, out SpiffeId? id)) return false;
        string? serverName = message.ServerName?.Name is { Length: > 0 } given ? given
            : message.StrategyCase == TlsIdentity.StrategyOneofCase.DnsLikeIdentity ? name
            : IdentityName.DnsForm(id, controlPlaneNamespace);
        if (serverName is null || !HostPort.IsDnsName(serverName)) return false;
        identity = new EndpointIdentity(id, serverName);
        return true;
    }
}
