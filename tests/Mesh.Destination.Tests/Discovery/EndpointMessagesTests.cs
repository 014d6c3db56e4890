using System.Collections.Immutable;
using System.Net;
using Mesh.Destination.Discovery;
using Mesh.Destination.Services;
using Mesh.Protocol.Destination;
using Mesh.Spiffe;
using Endpoint = Mesh.Destination.Services.Endpoint;

namespace Mesh.Destination.Tests.Discovery;

public sealed class EndpointMessagesTests
{
    [Fact]
    public void A_meshed_endpoint_carries_its_spiffe_id_server_name_and_inbound_port()
    {
        var message = EndpointMessages.Weighted(Endpoint(8080) with { Identity = SpiffeId.Parse("spiffe://td/ns/a/sa/b"), ServerName = "b.a", InboundPort = 4143, Opaque = true });
        Assert.Equal(0x7f000001u, message.Addr.Ip.Ipv4);
        Assert.Equal(8080u, message.Addr.Port);
        Assert.Equal("spiffe://td/ns/a/sa/b", message.TlsIdentity.UriLikeIdentity.Uri);
        Assert.Equal("b.a", message.TlsIdentity.ServerName.Name);
        Assert.Equal(4143u, message.ProtocolHint.OpaqueTransport.InboundPort);
        Assert.Equal(ProtocolHint.ProtocolOneofCase.Opaque, message.ProtocolHint.ProtocolCase);
    }

    [Fact]
    public void An_endpoint_outside_the_mesh_carries_no_identity_and_no_hint()
    {
        var message = EndpointMessages.Weighted(Endpoint(1) with { Address = IPEndPoint.Parse("[2001:db8::1]:443") });
        Assert.Equal(0x20010db800000000ul, message.Addr.Ip.Ipv6.First);
        Assert.Equal(1ul, message.Addr.Ip.Ipv6.Last);
        Assert.Null(message.TlsIdentity);
        Assert.Null(message.ProtocolHint);
    }

    [Fact]
    public void A_stream_begins_with_one_message_whatever_there_is()
    {
        Assert.Equal(2, Assert.Single(EndpointMessages.Whole(Service(1, 2))).Value.Add.Addrs.Count);
        Assert.True(Assert.Single(EndpointMessages.Whole(Service())).Value.NoEndpoints.Exists);
        Assert.False(Assert.Single(EndpointMessages.Whole(null)).Value.NoEndpoints.Exists);
    }

    [Fact]
    public void A_change_adds_before_it_removes()
    {
        var messages = EndpointMessages.Between(Service(1, 2), Service(2, 3));
        Assert.Equal(2, messages.Length);
        Assert.Equal(3u, Assert.Single(messages[0].Value.Add.Addrs).Addr.Port);
        Assert.Equal(1u, Assert.Single(messages[1].Value.Remove.Addrs).Port);
    }

    [Fact]
    public void An_endpoint_whose_identity_changes_is_added_again()
    {
        var before = Service(1);
        var after = before with { Endpoints = [before.Endpoints[0] with { Identity = SpiffeId.Parse("spiffe://td/x"), ServerName = "x" }] };
        Assert.Equal("spiffe://td/x", Assert.Single(Assert.Single(EndpointMessages.Between(before, after)).Value.Add.Addrs).TlsIdentity.UriLikeIdentity.Uri);
    }

    [Fact]
    public void A_service_that_loses_its_endpoints_still_exists_and_one_that_is_gone_does_not()
    {
        Assert.True(Assert.Single(EndpointMessages.Between(Service(1), Service())).Value.NoEndpoints.Exists);
        Assert.False(Assert.Single(EndpointMessages.Between(Service(1), null)).Value.NoEndpoints.Exists);
        Assert.Empty(EndpointMessages.Between(Service(), Service()));
        Assert.Empty(EndpointMessages.Between(null, null));
    }

    [Fact]
    public void Whatever_is_applied_in_order_leads_to_the_same_set()
    {
        var random = new Random(3);
        var held = new HashSet<uint>();
        Service? before = null;
        for (var i = 0; i < 500; i++)
        {
            var after = random.Next(8) == 0 ? null : Service([.. Enumerable.Range(1, 12).Where(_ => random.Next(2) == 0)]);
            foreach (var message in EndpointMessages.Between(before, after))
            {
                switch (message.Value.UpdateCase)
                {
                    case Update.UpdateOneofCase.Add:
                        held.UnionWith(message.Value.Add.Addrs.Select(a => a.Addr.Port));
                        break;
                    case Update.UpdateOneofCase.Remove:
                        held.ExceptWith(message.Value.Remove.Addrs.Select(a => a.Port));
                        break;
                    default:
                        held.Clear();
                        break;
                }
            }

            Assert.Equal((after?.Endpoints ?? []).Select(e => (uint)e.Address.Port).Order(), held.Order());
            before = after;
        }
    }

    [Fact]
    public void A_change_is_encoded_once_for_all_streams_and_a_slow_one_gets_the_difference()
    {
        var feed = new ServiceFeed(Service(1));
        var first = feed.Current;
        feed.Publish(Service(1, 2));
        var second = feed.Current;
        Assert.True(first.Superseded.IsCompleted);
        Assert.Same(ServiceFeed.Catch(first, second)[0], ServiceFeed.Catch(first, second)[0]);
        feed.Publish(Service(2, 3));
        var difference = ServiceFeed.Catch(first, feed.Current);
        Assert.Equal([2u, 3u], difference[0].Value.Add.Addrs.Select(a => a.Addr.Port).Order());
        Assert.Equal([1u], difference[1].Value.Remove.Addrs.Select(a => a.Port));
        feed.Publish(Service(2, 3));
        Assert.False(feed.Current.Superseded.IsCompleted);
    }

    private static Service Service(params int[] ports)
    {
        Assert.True(Authority.TryParse("a:1", out var authority));
        return new Service(authority, false, [.. ports.Select(Endpoint)]) { Policy = new() };
    }

    private static Endpoint Endpoint(int port) => new()
    {
        Address = new IPEndPoint(IPAddress.Loopback, port),
        Identity = null,
        ServerName = null,
        InboundPort = null,
        Weight = 10_000,
        Opaque = false,
        Labels = ImmutableSortedDictionary<string, string>.Empty,
    };
}
