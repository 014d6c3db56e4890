using System.Net;
using Mesh.Proxy.Policy;
using Mesh.Spiffe;

namespace Mesh.Proxy.Tests.Policy;

public sealed class PermitTests
{
    private static readonly PeerIdentity Verified = new PeerIdentity.Verified(SpiffeId.Parse("spiffe://example.org/ns/demo/sa/web"));
    private static readonly PeerIdentity Plain = new PeerIdentity.Absent(AbsentReason.NoTlsFromRemote);

    // policy, inside and verified, inside and plain, outside and verified, outside and plain
    [Theory]
    [InlineData(InboundPolicy.AllUnauthenticated, "", "", "", "")]
    [InlineData(InboundPolicy.AllAuthenticated, "", "unauthenticated", "", "unauthenticated")]
    [InlineData(InboundPolicy.ClusterUnauthenticated, "", "", "outside_cluster", "outside_cluster")]
    [InlineData(InboundPolicy.ClusterAuthenticated, "", "unauthenticated", "outside_cluster", "outside_cluster")]
    [InlineData(InboundPolicy.Deny, "denied_by_policy", "denied_by_policy", "denied_by_policy", "denied_by_policy")]
    [InlineData(InboundPolicy.Audit, "", "", "", "")]
    [InlineData((InboundPolicy)99, "denied_by_policy", "denied_by_policy", "denied_by_policy", "denied_by_policy")] // unknown is closed
    internal void Each_policy_decides_each_kind_of_peer(InboundPolicy policy, string inVerified, string inPlain, string outVerified, string outPlain)
    {
        Assert.Equal(inVerified, Ask(policy, Verified, "10.1.2.3"));
        Assert.Equal(inPlain, Ask(policy, Plain, "10.1.2.3"));
        Assert.Equal(outVerified, Ask(policy, Verified, "8.8.8.8"));
        Assert.Equal(outPlain, Ask(policy, Plain, "8.8.8.8"));
    }

    [Theory]
    [InlineData("::ffff:10.1.2.3", "")] // what a dual-stack listener reports
    [InlineData("::ffff:8.8.8.8", "outside_cluster")]
    [InlineData("fd00::7", "")]
    [InlineData("2001:db8::1", "outside_cluster")]
    public void Cluster_networks_know_both_families(string source, string denial) =>
        Assert.Equal(denial, Ask(InboundPolicy.ClusterUnauthenticated, Plain, source));

    [Theory]
    [InlineData(AbsentReason.NoTlsFromRemote)]
    [InlineData(AbsentReason.NoClientCertificate)]
    [InlineData(AbsentReason.ForeignTls)]
    [InlineData(AbsentReason.PortSkipped)]
    internal void No_kind_of_absence_is_authenticated(AbsentReason reason) =>
        Assert.Equal("unauthenticated", Ask(InboundPolicy.AllAuthenticated, new PeerIdentity.Absent(reason), "10.0.0.1"));

    [Fact]
    public void Audit_says_so_on_the_permit()
    {
        Assert.True(Permit.TryGrant(Rules(InboundPolicy.Audit), Plain, IPAddress.Loopback, 80, out var audited, out _) && audited.Audited);
        Assert.True(Permit.TryGrant(Rules(InboundPolicy.AllUnauthenticated), Plain, IPAddress.Loopback, 80, out var plain, out _) && !plain.Audited);
    }

    private static string Ask(InboundPolicy policy, PeerIdentity peer, string source)
    {
        var granted = Permit.TryGrant(Rules(policy), peer, IPAddress.Parse(source), 8080, out var permit, out var reason);
        Assert.Equal(granted, permit is not null);
        if (permit is null) return reason.Label();
        Assert.Equal((peer, 8080), (permit.Peer, permit.Port));
        return "";
    }

    private static InboundRules Rules(InboundPolicy policy) => new(policy, [IPNetwork.Parse("10.0.0.0/8"), IPNetwork.Parse("fd00::/8")]);
}
