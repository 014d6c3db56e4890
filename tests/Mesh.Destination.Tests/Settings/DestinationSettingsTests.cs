using Mesh.Destination.Settings;

namespace Mesh.Destination.Tests.Settings;

public sealed class DestinationSettingsTests
{
    private static Dictionary<string, string> Complete() => new()
    {
        ["MESH_DESTINATION_TRUST_DOMAIN"] = "example.org",
        ["MESH_DESTINATION_SERVICES_FILE"] = "/s.json",
        ["MESH_DESTINATION_IDENTITY_ADDRESS"] = "127.0.0.1:8080",
        ["MESH_DESTINATION_TOKEN_FILE"] = "/t",
        ["MESH_DESTINATION_ANCHORS_FILE"] = "/a",
    };

    [Fact]
    public void Defaults_are_linkerds_ports_and_our_identities()
    {
        Assert.True(DestinationSettings.TryRead(Complete(), out var settings, out _));
        Assert.Equal(8086, settings.Listen.Port);
        Assert.Equal(9990, settings.Admin.Port);
        Assert.Equal("spiffe://example.org/ns/mesh/sa/mesh-destination", settings.OwnId.ToString());
        Assert.Equal("spiffe://example.org/ns/mesh/sa/mesh-identity", settings.IdentityId.ToString());
        Assert.Equal("mesh-destination.mesh.serviceaccount.identity.mesh.example.org", settings.OwnDnsName);
    }

    [Fact]
    public void Every_fault_is_listed_with_its_key()
    {
        var environment = Complete();
        environment.Remove("MESH_DESTINATION_TOKEN_FILE");
        environment["MESH_DESTINATION_LISTEN_ADDRESS"] = "here";
        environment["MESH_DESTINATION_IDENTITY_ADDRESS"] = "no port";
        environment["MESH_DESTINATION_TRUST_DOMAIN"] = "Example.org";
        environment["MESH_DESTINATION_COLOUR"] = "red";
        Assert.False(DestinationSettings.TryRead(environment, out _, out var faults));
        foreach (var key in new[] { "TOKEN_FILE", "LISTEN_ADDRESS", "IDENTITY_ADDRESS", "TRUST_DOMAIN", "COLOUR" })
            Assert.Contains(faults, f => f.Key == "MESH_DESTINATION_" + key);
    }
}
