using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Net;
using System.Net.Sockets;
using Mesh.Destination.Services;
using Mesh.Grpc;
using Mesh.Protocol.Destination;
using Mesh.Protocol.Net;
using Endpoint = Mesh.Destination.Services.Endpoint;

namespace Mesh.Destination.Discovery;

/// <summary>What discovery says on the wire, in Linkerd's terms (<c>io.linkerd.proxy.destination</c>).</summary>
internal static class EndpointMessages
{
    /// <summary>Everything there is, for a stream that begins: one message, never none.</summary>
    public static ImmutableArray<SharedMessage<Update>> Whole(Service? service) =>
        service is { Endpoints.IsEmpty: false } ? [Add(service.Endpoints)] : [NoEndpoints(exists: service is not null)];

    /// <summary>What turns a client that holds <paramref name="before"/> into one that holds <paramref name="after"/>.</summary>
    public static ImmutableArray<SharedMessage<Update>> Between(Service? before, Service? after)
    {
        if (after is null || after.Endpoints.IsEmpty)
            return before is null == after is null && (before is null || before.Endpoints.IsEmpty) ? [] : [NoEndpoints(exists: after is not null)];
        var old = (before?.Endpoints ?? []).ToDictionary(e => e.Address);
        var gone = old.Keys.Except(after.Endpoints.Select(e => e.Address)).ToArray();
        // An endpoint that is there already and changed is added again: the newer word counts.
        var added = after.Endpoints.Where(e => !old.TryGetValue(e.Address, out var known) || !known.Equals(e)).ToArray();
        var messages = ImmutableArray.CreateBuilder<SharedMessage<Update>>(2);
        // New ones first, so that a balancer never stands with none between two messages.
        if (added.Length > 0) messages.Add(Add(added));
        if (gone.Length > 0) messages.Add(Remove(gone));
        return messages.DrainToImmutable();
    }

    public static WeightedAddr Weighted(Endpoint endpoint)
    {
        var message = new WeightedAddr { Addr = Tcp(endpoint.Address), Weight = endpoint.Weight, ProtocolHint = Hint(endpoint) };
        if (endpoint.Identity is { } identity)
        {
            message.TlsIdentity = new TlsIdentity
            {
                UriLikeIdentity = new TlsIdentity.Types.UriLikeIdentity { Uri = identity.ToString() },
                ServerName = new TlsIdentity.Types.DnsLikeIdentity { Name = endpoint.ServerName },
            };
        }

        foreach (var (label, value) in endpoint.Labels) message.MetricLabels.Add(label, value);
        return message;
    }

    private static ProtocolHint? Hint(Endpoint endpoint)
    {
        if (!endpoint.Opaque && endpoint.InboundPort is null && endpoint.Identity is null) return null;
        var hint = new ProtocolHint();
        // A meshed workload's proxy takes HTTP/1 requests over HTTP/2 as well: one connection for all.
        if (endpoint.Opaque) hint.Opaque = new ProtocolHint.Types.Opaque();
        else if (endpoint.Identity is not null) hint.H2 = new ProtocolHint.Types.H2();
        if (endpoint.InboundPort is { } port) hint.OpaqueTransport = new ProtocolHint.Types.OpaqueTransport { InboundPort = (uint)port };
        return hint;
    }

    private static SharedMessage<Update> Add(IEnumerable<Endpoint> endpoints)
    {
        var set = new WeightedAddrSet();
        foreach (var endpoint in endpoints) set.Addrs.Add(Weighted(endpoint));
        return new SharedMessage<Update>(new Update { Add = set });
    }

    private static SharedMessage<Update> Remove(IEnumerable<IPEndPoint> addresses)
    {
        var set = new AddrSet();
        foreach (var address in addresses) set.Addrs.Add(Tcp(address));
        return new SharedMessage<Update>(new Update { Remove = set });
    }

    private static SharedMessage<Update> NoEndpoints(bool exists) => new(new Update { NoEndpoints = new NoEndpoints { Exists = exists } });

    // Addresses travel as numbers in network order: 127.0.0.1 is 0x7f000001.
    private static TcpAddress Tcp(IPEndPoint address)
    {
        var bytes = address.Address.GetAddressBytes();
        var ip = address.AddressFamily == AddressFamily.InterNetwork
            ? new Protocol.Net.IPAddress { Ipv4 = BinaryPrimitives.ReadUInt32BigEndian(bytes) }
            : new Protocol.Net.IPAddress { Ipv6 = new IPv6 { First = BinaryPrimitives.ReadUInt64BigEndian(bytes), Last = BinaryPrimitives.ReadUInt64BigEndian(bytes.AsSpan(8)) } };
        return new TcpAddress { Ip = ip, Port = (uint)address.Port };
    }
}
