using System.Buffers.Binary;
using System.Net;
using Mesh.Protocol.Destination;
using Mesh.Protocol.Net;

namespace Mesh.Proxy.Tests.Discovery;

/// <summary>Messages of the discovery service, as short as a test wants to write them.</summary>
internal static class Messages
{
    public const string Id = "spiffe://example.org/ns/web/sa/front";

    public static TcpAddress Address(string text)
    {
        IPEndPoint address = IPEndPoint.Parse(text);
        byte[] bytes = address.Address.GetAddressBytes();
        var ip = bytes.Length == 4
            ? new Protocol.Net.IPAddress { Ipv4 = BinaryPrimitives.ReadUInt32BigEndian(bytes) }
            : new Protocol.Net.IPAddress { Ipv6 = new IPv6 { First = BinaryPrimitives.ReadUInt64BigEndian(bytes), Last = BinaryPrimitives.ReadUInt64BigEndian(bytes.AsSpan(8)) } };
        return new TcpAddress { Ip = ip, Port = (uint)address.Port };
    }

    public static WeightedAddr Endpoint(string address, string? id = Id, Action<WeightedAddr>? change = null)
    {
        var message = new WeightedAddr { Addr = Address(address), Weight = 10_000 };
        if (id is not null) message.TlsIdentity = new TlsIdentity { UriLikeIdentity = new TlsIdentity.Types.UriLikeIdentity { Uri = id } };
        change?.Invoke(message);
        return message;
    }

    public static Update Add(params string[] addresses) => Add([.. addresses.Select(a => Endpoint(a))]);

    public static Update Add(params WeightedAddr[] endpoints)
    {
        var update = new Update { Add = new WeightedAddrSet() };
        update.Add.Addrs.AddRange(endpoints);
        return update;
    }

    public static Update Remove(params string[] addresses)
    {
        var update = new Update { Remove = new AddrSet() };
        update.Remove.Addrs.AddRange(addresses.Select(Address));
        return update;
    }

    public static Update None(bool exists) => new() { NoEndpoints = new NoEndpoints { Exists = exists } };
}
