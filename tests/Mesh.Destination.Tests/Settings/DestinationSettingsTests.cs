using Mesh.Destination.Settings;
using Mesh.Testing;
using Microsoft.Extensions.Logging;

namespace Mesh.Destination.Tests.Settings;

public sealed class DestinationSettingsTests
{
    private static Dictionary<string, string> Complete() => new()
    {
        ["MESH_DESTINATION_TRUST_DOMAIN"] = "example.org",
        ["MESH_DESTINATION_SERVICES_FILE"] = "/s.json",
        ["MESH_DESTINATION_IDENTITY_SVC_ADDR"] = "127.0.0.1:8080",
        ["MESH_DESTINATION_TOKEN_FILE"] = "/t",
        ["MESH_DESTINATION_TRUST_ANCHORS_FILE"] = "/a",
    };

    [Fact]
    public void Defaults_are_linkerds_ports_and_our_identities()
    {
        Assert.True(DestinationSettings.TryRead(Complete(), out var settings, out _));
        Assert.Equal(8086, settings.Listen.Port);
        Assert.Equal(9990, settings.Admin.Port);
        Assert.Null(settings.PolicyListen);
        Assert.Equal("spiffe://example.org/ns/mesh/sa/mesh-destination", settings.OwnId.ToString());
        Assert.Equal("spiffe://example.org/ns/mesh/sa/mesh-identity", settings.IdentityId.ToString());
        Assert.Equal("mesh-destination.mesh.serviceaccount.identity.mesh.example.org", settings.OwnDnsName);
    }

    [Fact]
    public void Routes_may_have_a_port_of_their_own()
    {
        var environment = Complete();
        environment["MESH_DESTINATION_POLICY_LISTEN_ADDR"] = "0.0.0.0:8090";
        Assert.True(DestinationSettings.TryRead(environment, out var settings, out _));
        Assert.Equal(8090, settings.PolicyListen!.Port);
        environment["MESH_DESTINATION_POLICY_LISTEN_ADDR"] = "8090";
        Assert.False(DestinationSettings.TryRead(environment, out _, out var faults));
        Assert.Equal("MESH_DESTINATION_POLICY_LISTEN_ADDR", Assert.Single(faults).Key);
    }

    [Theory]
    [InlineData("debug", LogLevel.Debug)]
    [InlineData("info", LogLevel.Information)]
    [InlineData("warn", LogLevel.Warning)]
    [InlineData("error", LogLevel.Error)]
    [InlineData("off", LogLevel.None)]
    public void Levels_have_the_proxys_names(string name, LogLevel level)
    {
        var environment = Complete();
        environment["MESH_DESTINATION_LOG_LEVEL"] = name;
        Assert.True(DestinationSettings.TryRead(environment, out var settings, out _));
        Assert.Equal(level, settings.LogLevel);
    }

    [Fact]
    public async Task A_port_that_is_taken_is_one_sentence_with_its_setting_and_69()
    {
        using var directory = new TemporaryDirectory();
        using var taken = new System.Net.Sockets.TcpListener(System.Net.IPAddress.Loopback, 0);
        taken.Start();
        var environment = Complete();
        environment["MESH_DESTINATION_SERVICES_FILE"] = directory.Write("services.json", "{}");
        environment["MESH_DESTINATION_TRUST_ANCHORS_FILE"] = directory.File("anchors.pem");
        environment["MESH_DESTINATION_TOKEN_FILE"] = directory.File("token");
        environment["MESH_DESTINATION_IDENTITY_SVC_ADDR"] = "127.0.0.1:1";
        environment["MESH_DESTINATION_ADMIN_LISTEN_ADDR"] = taken.LocalEndpoint.ToString()!;
        environment["MESH_DESTINATION_LOG_FORMAT"] = "text";
        var run = await ProgramRun.OfAssemblyAsync("Mesh.Destination", [], environment: environment);
        Assert.Equal(69, run.ExitCode);
        Assert.Contains($"MESH_DESTINATION_ADMIN_LISTEN_ADDR: cannot listen on {taken.LocalEndpoint}: the address is in use.", run.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("   at ", run.Output, StringComparison.Ordinal);
    }

    [Fact]
    public void Every_fault_is_listed_with_its_key()
    {
        var environment = Complete();
        environment.Remove("MESH_DESTINATION_TOKEN_FILE");
        environment["MESH_DESTINATION_LISTEN_ADDR"] = "here";
        environment["MESH_DESTINATION_IDENTITY_SVC_ADDR"] = "no port";
        environment["MESH_DESTINATION_TRUST_DOMAIN"] = "Example.org";
        environment["MESH_DESTINATION_COLOUR"] = "red";
        Assert.False(DestinationSettings.TryRead(environment, out _, out var faults));
        foreach (var key in new[] { "TOKEN_FILE", "LISTEN_ADDR", "IDENTITY_SVC_ADDR", "TRUST_DOMAIN", "COLOUR" })
            Assert.Contains(faults, f => f.Key == "MESH_DESTINATION_" + key);
    }
}
