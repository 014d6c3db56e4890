using System.Net;
using Mesh.Protocol.Destination;
using Mesh.Proxy.Discovery;
using static Mesh.Proxy.Tests.Discovery.Messages;
using ProtocolHint = Mesh.Proxy.Discovery.ProtocolHint;

namespace Mesh.Proxy.Tests.Discovery;

public sealed class EndpointTableTests
{
    private readonly EndpointTable _table = new("mesh");
    private EndpointSet? _set;

    [Fact]
    public void Adds_and_removes_accumulate()
    {
        Assert.True(Apply(Add("10.0.0.1:80", "10.0.0.2:80")));
        Assert.True(Apply(Add("10.0.0.3:80")));
        Assert.True(Apply(Remove("10.0.0.1:80")));
        Assert.Equal(["10.0.0.2:80", "10.0.0.3:80"], Addresses());
    }

    [Fact]
    public void Repeated_updates_change_nothing()
    {
        Apply(Add("10.0.0.1:80"));
        EndpointSet before = _set!;
        Assert.False(Apply(Add("10.0.0.1:80")));
        Assert.False(Apply(Remove("10.9.9.9:80")));
        Assert.Same(before, _set);
    }

    [Fact]
    public void An_endpoint_that_did_not_change_stays_the_same_object()
    {
        Apply(Add("10.0.0.1:80"));
        Endpoint kept = _set!.Endpoints.Single();
        Apply(Add("10.0.0.1:80", "10.0.0.2:80"));
        Assert.Contains(_set.Endpoints, e => ReferenceEquals(e, kept));
    }

    [Fact]
    public void An_add_of_a_known_address_replaces_it()
    {
        Apply(Add("10.0.0.1:80"));
        Assert.True(Apply(Add(Endpoint("10.0.0.1:80", change: e => e.Weight = 5))));
        Assert.Equal(5u, _set!.Endpoints.Single().Weight);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void No_endpoints_empties_the_set_and_says_whether_there_is_a_service(bool exists)
    {
        Apply(Add("10.0.0.1:80"));
        Assert.True(Apply(None(exists)));
        Assert.Empty(_set!.Endpoints);
        Assert.Equal(exists, _set.Exists);

        // What follows starts from nothing.
        Apply(Add("10.0.0.2:80"));
        Assert.Equal(["10.0.0.2:80"], Addresses());
        Assert.True(_set.Exists);
    }

    [Fact]
    public void After_reopening_the_first_add_is_the_whole_truth()
    {
        Apply(Add("10.0.0.1:80", "10.0.0.2:80"));
        Endpoint kept = _set!.Endpoints.Single(e => e.Address.ToString() == "10.0.0.2:80");
        _table.StreamOpened();
        Assert.True(Apply(Add("10.0.0.2:80", "10.0.0.3:80")));
        Assert.Equal(["10.0.0.2:80", "10.0.0.3:80"], Addresses());
        Assert.Contains(_set.Endpoints, e => ReferenceEquals(e, kept));
        Apply(Add("10.0.0.4:80"));
        Assert.Equal(3, _set.Endpoints.Length);
    }

    [Fact]
    public void After_reopening_the_same_endpoints_are_no_change()
    {
        Apply(Add("10.0.0.1:80"));
        _table.StreamOpened();
        Assert.False(Apply(Add("10.0.0.1:80")));
    }

    [Fact]
    public void A_service_that_was_gone_by_status_is_back_with_the_same_endpoints()
    {
        Apply(Add("10.0.0.1:80"));
        _set = EndpointSet.Absent;
        _table.StreamOpened();
        Assert.True(Apply(Add("10.0.0.1:80")));
        Assert.True(_set.Exists);
    }

    [Fact]
    public void An_endpoint_has_all_that_discovery_said()
    {
        Apply(Add(Endpoint("[2001:db8::1]:8080", change: e =>
        {
            e.Weight = 0;
            e.TlsIdentity.ServerName = new TlsIdentity.Types.DnsLikeIdentity { Name = "front.web" };
            e.ProtocolHint = new Protocol.Destination.ProtocolHint
            {
                Opaque = new Protocol.Destination.ProtocolHint.Types.Opaque(),
                OpaqueTransport = new Protocol.Destination.ProtocolHint.Types.OpaqueTransport { InboundPort = 4143 },
            };
            e.AuthorityOverride = new AuthorityOverride { AuthorityOverride_ = "other:80" };
            e.MetricLabels.Add("pod", "front-1");
        })));
        Endpoint endpoint = _set!.Endpoints.Single();
        Assert.Equal(IPEndPoint.Parse("[2001:db8::1]:8080"), endpoint.Address);
        Assert.Equal((1u, 4143, ProtocolHint.Opaque, "other:80"), (endpoint.Weight, endpoint.InboundPort!.Value, endpoint.Protocol, endpoint.AuthorityOverride));
        Assert.Equal((Id, "front.web"), (endpoint.Identity!.Id.ToString(), endpoint.Identity.ServerName));
        Assert.Equal("front-1", endpoint.Labels["pod"]);
    }

    [Fact]
    public void An_identity_without_a_server_name_gets_the_derived_one()
    {
        Apply(Add("10.0.0.1:80"));
        Assert.Equal("front.web.serviceaccount.identity.mesh.example.org", _set!.Endpoints.Single().Identity!.ServerName);
    }

    [Fact]
    public void Linkerds_names_are_identities_too()
    {
        const string name = "front.web.serviceaccount.identity.linkerd.example.org";
        Apply(Add(Endpoint("10.0.0.1:80", null, e => e.TlsIdentity = new TlsIdentity { DnsLikeIdentity = new TlsIdentity.Types.DnsLikeIdentity { Name = name } })));
        EndpointIdentity identity = _set!.Endpoints.Single().Identity!;
        Assert.Equal((Id, name), (identity.Id.ToString(), identity.ServerName));
    }

    [Fact]
    public void No_identity_means_no_proxy_there()
    {
        Apply(Add(Endpoint("10.0.0.1:80", null)));
        Assert.Null(_set!.Endpoints.Single().Identity);
    }

    [Theory]
    [InlineData("spiffe://example.org")]
    [InlineData("spiffe://Example.org/ns/web/sa/front")]
    [InlineData("https://example.org/ns/web/sa/front")]
    [InlineData("spiffe://example.org/other/form")]
    [InlineData("")]
    public void An_identity_that_no_peer_can_be_held_to_is_never_taken_for_none(string id)
    {
        Apply(Add("10.0.0.1:80", "10.0.0.2:80"));
        Assert.True(Apply(Add(Endpoint("10.0.0.1:80", id))));
        Assert.Equal(["10.0.0.2:80"], Addresses());
        Assert.Equal(1, _table.LeftOut);
    }

    [Fact]
    public void An_identity_of_no_kind_is_never_taken_for_none()
    {
        Apply(Add(Endpoint("10.0.0.1:80", null, e => e.TlsIdentity = new TlsIdentity())));
        Assert.Empty(_set!.Endpoints);
        Assert.True(_set.Exists);
    }

    [Fact]
    public void Endpoints_without_a_usable_address_are_left_out()
    {
        Apply(Add(new WeightedAddr(), new WeightedAddr { Addr = new Protocol.Net.TcpAddress { Port = 80 } }, Endpoint("10.0.0.1:80", change: e => e.Addr.Port = 70_000), Endpoint("10.0.0.2:80")));
        Assert.Equal(["10.0.0.2:80"], Addresses());
        Assert.Equal(3, _table.LeftOut);
    }

    [Fact]
    public void An_update_of_a_later_protocol_changes_nothing()
    {
        Apply(Add("10.0.0.1:80"));
        Assert.False(Apply(new Update()));
    }

    [Fact]
    public void The_number_of_endpoints_is_bounded()
    {
        for (int i = 0; i < 4; i++) Apply(Add([.. Enumerable.Range(0, 4_000).Select(n => $"10.{i}.{n / 250}.{n % 250}:80")]));
        Assert.Equal(EndpointTable.MaxEndpoints, _set!.Endpoints.Length);
        Assert.Equal(6_000, _table.LeftOut);
    }

    private bool Apply(Update update)
    {
        bool changed = _table.Apply(update, _set, out EndpointSet after);
        _set = after;
        return changed;
    }

    private IEnumerable<string> Addresses() => _set!.Endpoints.Select(e => e.Address.ToString()).Order(StringComparer.Ordinal);
}
