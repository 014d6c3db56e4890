using System.Net;
using Mesh.Proxy.Logging;
using Mesh.Proxy.Policy;
using Mesh.Proxy.Settings;

namespace Mesh.Proxy.Tests.Settings;

public sealed class ProxyEnvironmentTests
{
    private static Dictionary<string, string> Minimal => new()
    {
        ["MESH_PROXY_IDENTITY_SPIFFE_ID"] = "spiffe://example.org/ns/demo/sa/web",
        ["MESH_PROXY_IDENTITY_TOKEN_FILE"] = "/var/run/token",
        ["MESH_PROXY_IDENTITY_TRUST_ANCHORS_FILE"] = "/var/run/ca.pem",
        ["MESH_PROXY_IDENTITY_SVC_ADDR"] = "mesh-identity.mesh.svc.cluster.local.:8080",
    };

    [Fact]
    public void Defaults_are_linkerds()
    {
        var settings = Read(Minimal);
        Assert.Equal("0.0.0.0:4143", settings.Inbound.Listen!.ToString());
        Assert.Equal("127.0.0.1:4140", settings.Outbound.Listen!.ToString());
        Assert.Equal("127.0.0.1:4191", settings.AdminListen.ToString());
        Assert.Equal(InboundPolicy.AllUnauthenticated, settings.Inbound.Policy);
        Assert.True(settings.Inbound.OpaquePorts.Contains(5432));
        Assert.False(settings.Inbound.OpaquePorts.Contains(8080));
        Assert.Equal(TimeSpan.FromMilliseconds(300), settings.Inbound.ConnectTimeout);
        Assert.Equal(TimeSpan.FromSeconds(1), settings.Outbound.ConnectTimeout);
        Assert.Equal(TimeSpan.FromSeconds(10), settings.Inbound.DetectTimeout);
        Assert.Equal("web.demo.serviceaccount.identity.mesh.example.org", settings.Identity.ServerName);
        Assert.Equal("spiffe://example.org/ns/mesh/sa/mesh-identity", settings.Identity.ServiceId.ToString());
        Assert.Null(settings.Destination);
        Assert.Null(settings.Tracing);
        Assert.Equal((LogLevel.Info, LogFormat.Text, false), (settings.LogLevel, settings.LogFormat, settings.AccessLog));
    }

    [Fact]
    public void Routes_may_be_known_by_another_service_than_endpoints()
    {
        var settings = Read(new(Minimal)
        {
            ["MESH_PROXY_DESTINATION_SVC_ADDR"] = "127.0.0.1:8086",
            ["MESH_PROXY_POLICY_SVC_ADDR"] = "policy.mesh:8090",
            ["MESH_PROXY_POLICY_SVC_NAME"] = "spiffe://example.org/ns/mesh/sa/policy",
        });
        Assert.Equal(("127.0.0.1:8086", "policy.mesh:8090"), (settings.Destination!.ServiceAddress.ToString(), settings.Destination.PolicyAddress.ToString()));
        Assert.Equal("spiffe://example.org/ns/mesh/sa/policy", settings.Destination.PolicyServiceId.ToString());
    }

    [Fact]
    public void Everything_can_be_set()
    {
        var settings = Read(new(Minimal)
        {
            ["MESH_PROXY_INBOUND_LISTEN_ADDR"] = "[::]:5143",
            ["MESH_PROXY_OUTBOUND_LISTEN_ADDR"] = "127.0.0.1:0",
            ["MESH_PROXY_ADMIN_LISTEN_ADDR"] = "0.0.0.0:4191",
            ["MESH_PROXY_INBOUND_DEFAULT_POLICY"] = "cluster-authenticated",
            ["MESH_PROXY_POLICY_CLUSTER_NETWORKS"] = "10.0.0.0/8, fd00::/8",
            ["MESH_PROXY_INBOUND_PORTS_DISABLE_PROTOCOL_DETECTION"] = "25,4000-4010",
            ["MESH_PROXY_INBOUND_IPS"] = "10.0.0.7,fd00::7",
            ["MESH_PROXY_INBOUND_CONNECT_TIMEOUT"] = "100ms",
            ["MESH_PROXY_OUTBOUND_CONNECT_TIMEOUT"] = "2s",
            ["MESH_PROXY_DETECT_TIMEOUT"] = "5s",
            ["MESH_PROXY_INBOUND_SERVICES"] = "127.0.0.1:9443=127.0.0.1:8080,127.0.0.1:9444=[::1]:8081",
            ["MESH_PROXY_OUTBOUND_SERVICES"] = "127.0.0.1:8001=web.demo.svc.cluster.local:80",
            ["MESH_PROXY_DESTINATION_SVC_ADDR"] = "127.0.0.1:8086",
            ["MESH_PROXY_DESTINATION_SVC_NAME"] = "mesh-destination.mesh.serviceaccount.identity.mesh.example.org",
            ["MESH_PROXY_DESTINATION_CONTEXT"] = "{\"ns\":\"demo\"}",
            ["MESH_PROXY_IDENTITY_SERVER_NAME"] = "Web.Example",
            ["MESH_PROXY_IDENTITY_SVC_NAME"] = "spiffe://example.org/other",
            ["MESH_PROXY_IDENTITY_MIN_REFRESH"] = "500ms",
            ["MESH_PROXY_IDENTITY_MAX_REFRESH"] = "1h",
            ["MESH_PROXY_SHUTDOWN_GRACE_PERIOD"] = "1m60s",
            ["MESH_PROXY_LOG_LEVEL"] = "debug",
            ["MESH_PROXY_LOG_FORMAT"] = "json",
            ["MESH_PROXY_ACCESS_LOG"] = "on",
            ["MESH_PROXY_TRACE_COLLECTOR_ADDR"] = "collector.observability:4317",
            ["MESH_PROXY_TRACE_COLLECTOR_NAME"] = "spiffe://example.org/ns/observability/sa/collector",
            ["MESH_PROXY_TRACE_PROBABILITY"] = "0.25",
        });
        Assert.Equal("[::]:5143", settings.Inbound.Listen!.ToString());
        Assert.Equal(0, settings.Outbound.Listen!.Port);
        Assert.Equal(InboundPolicy.ClusterAuthenticated, settings.Inbound.Policy);
        Assert.Equal(2, settings.Inbound.ClusterNetworks.Length);
        Assert.True(settings.Inbound.OpaquePorts.Contains(4005) && !settings.Inbound.OpaquePorts.Contains(5432));
        Assert.Equal(new InboundService(new(IPAddress.Loopback, 9444), new(IPAddress.IPv6Loopback, 8081)), settings.Inbound.Services[1]);
        Assert.Equal("web.demo.svc.cluster.local:80", settings.Outbound.Services[0].Authority.ToString());
        Assert.Equal("spiffe://example.org/ns/mesh/sa/mesh-destination", settings.Destination!.ServiceId.ToString());
        Assert.Equal(("127.0.0.1:8086", settings.Destination.ServiceId), (settings.Destination.PolicyAddress.ToString(), settings.Destination.PolicyServiceId));
        Assert.Equal("web.example", settings.Identity.ServerName);
        Assert.Equal(
            ("collector.observability:4317", "spiffe://example.org/ns/observability/sa/collector", "web", 0.25),
            (settings.Tracing!.Collector.ToString(), settings.Tracing.CollectorId!.ToString(), settings.Tracing.ServiceName, settings.Tracing.Probability));
        Assert.Equal(TimeSpan.FromMinutes(2), settings.ShutdownGracePeriod);
        Assert.Equal((LogLevel.Debug, LogFormat.Json, true), (settings.LogLevel, settings.LogFormat, settings.AccessLog));
    }

    [Fact]
    public void Every_policy_is_set_by_the_name_it_is_reported_by()
    {
        string[] names = ["all-unauthenticated", "all-authenticated", "cluster-unauthenticated", "cluster-authenticated", "deny", "audit"];
        Assert.Equal(Enum.GetValues<InboundPolicy>(), names.Select(n => Read(new(Minimal) { ["MESH_PROXY_INBOUND_DEFAULT_POLICY"] = n }).Inbound.Policy));
        Assert.Equal(names, Enum.GetValues<InboundPolicy>().Select(p => p.Label()));
    }

    [Fact]
    public void Named_services_need_no_redirected_listeners()
    {
        var settings = Read(new(Minimal) { ["MESH_PROXY_INBOUND_SERVICES"] = "127.0.0.1:9443=127.0.0.1:8080" });
        Assert.Null(settings.Inbound.Listen);
        Assert.Null(settings.Outbound.Listen);
    }

    [Fact]
    public void Every_fault_is_reported_with_its_key()
    {
        var environment = new Dictionary<string, string>
        {
            ["MESH_PROXY_INBOUND_LISTEN_ADDR"] = "4143",
            ["MESH_PROXY_INBOUND_DEFAULT_POLICY"] = "everybody",
            ["MESH_PROXY_POLICY_CLUSTER_NETWORKS"] = "10.0.0.0/8,nonsense",
            ["MESH_PROXY_INBOUND_PORTS_DISABLE_PROTOCOL_DETECTION"] = "25,70000",
            ["MESH_PROXY_DETECT_TIMEOUT"] = "10",
            ["MESH_PROXY_SHUTDOWN_GRACE_PERIOD"] = "100d",
            ["MESH_PROXY_INBOUND_SERVICES"] = "127.0.0.1:9443",
            ["MESH_PROXY_IDENTITY_SPIFFE_ID"] = "spiffe://example.org",
            ["MESH_PROXY_IDENTITY_SVC_ADDR"] = "mesh-identity",
            ["MESH_PROXY_LOG_LEVEL"] = "loud",
            ["MESH_PROXY_OUTBOUND_SERVICES"] = "127.0.0.1:8001=web:80",
            ["MESH_PROXY_INBOUND_MAX_CONNECTIONS"] = "-1",
            ["MESH_PROXY_TRACE_PROBABILITY"] = "1.5",
            ["MESH_PROXY_TRACE_COLLECTOR_ADDR"] = "collector",
            ["MESH_PROXY_TRACE_COLLECTOR_NAME"] = "collector",
        };
        Assert.False(ProxyEnvironment.TryRead(environment, out var settings, out var faults, out _));
        Assert.Null(settings);
        var keys = faults.Select(f => f.Key).ToHashSet();
        foreach (var key in environment.Keys.Where(k => k != "MESH_PROXY_OUTBOUND_SERVICES")) Assert.Contains(key, keys);
        foreach (var missing in (string[])["IDENTITY_TOKEN_FILE", "IDENTITY_TRUST_ANCHORS_FILE", "DESTINATION_SVC_ADDR"]) Assert.Contains("MESH_PROXY_" + missing, keys);
        Assert.All(faults, f => Assert.EndsWith(".", f.ToString(), StringComparison.Ordinal));
    }

    [Fact]
    public void Linkerds_local_name_is_an_identity_and_a_server_name()
    {
        var environment = Minimal;
        environment.Remove("MESH_PROXY_IDENTITY_SPIFFE_ID");
        environment["MESH_PROXY_IDENTITY_LOCAL_NAME"] = "my.web.demo.serviceaccount.identity.linkerd.cluster.local";
        var settings = Read(environment);
        Assert.Equal("spiffe://cluster.local/ns/demo/sa/my.web", settings.Identity.Id.ToString());
        Assert.Equal("my.web.demo.serviceaccount.identity.linkerd.cluster.local", settings.Identity.ServerName);

        environment["MESH_PROXY_IDENTITY_SPIFFE_ID"] = "spiffe://cluster.local/ns/demo/sa/other";
        Assert.False(ProxyEnvironment.TryRead(environment, out _, out var faults, out _));
        Assert.Equal("MESH_PROXY_IDENTITY_LOCAL_NAME", Assert.Single(faults).Key);
    }

    [Fact]
    public void An_identity_without_dns_form_needs_a_server_name()
    {
        var environment = new Dictionary<string, string>(Minimal) { ["MESH_PROXY_IDENTITY_SPIFFE_ID"] = "spiffe://example.org/vm/7" };
        Assert.False(ProxyEnvironment.TryRead(environment, out _, out var faults, out _));
        Assert.Equal("MESH_PROXY_IDENTITY_SERVER_NAME", Assert.Single(faults).Key);
        environment["MESH_PROXY_IDENTITY_SERVER_NAME"] = "vm-7.example.org";
        Assert.Equal("vm-7.example.org", Read(environment).Identity.ServerName);
    }

    [Fact]
    public void Two_listeners_on_one_address_are_a_fault()
    {
        var environment = new Dictionary<string, string>(Minimal) { ["MESH_PROXY_ADMIN_LISTEN_ADDR"] = "127.0.0.1:4140" };
        Assert.False(ProxyEnvironment.TryRead(environment, out _, out var faults, out _));
        Assert.Equal("MESH_PROXY_ADMIN_LISTEN_ADDR", Assert.Single(faults).Key);
    }

    [Fact]
    public void Misspelt_keys_are_named()
    {
        var environment = new Dictionary<string, string>(Minimal) { ["MESH_PROXY_LOGLEVEL"] = "debug", ["PATH"] = "/bin" };
        Assert.True(ProxyEnvironment.TryRead(environment, out _, out _, out var unknown));
        Assert.Equal(["MESH_PROXY_LOGLEVEL"], unknown);
    }

    [Fact]
    public void Variables_that_kubernetes_injects_for_a_service_are_not_called_misspelt()
    {
        var environment = new Dictionary<string, string>(Minimal)
        {
            ["MESH_PROXY_SERVICE_HOST"] = "10.0.0.1",
            ["MESH_PROXY_SERVICE_PORT_GRPC"] = "8080",
            ["MESH_PROXY_PORT"] = "tcp://10.0.0.1:80",
            ["MESH_PROXY_PORT_80_TCP"] = "tcp://10.0.0.1:80",
        };
        Assert.True(ProxyEnvironment.TryRead(environment, out _, out _, out var unknown));
        Assert.Empty(unknown);
    }

    [Theory]
    [InlineData("web.demo.serviceaccount.identity.mesh.example.org", "spiffe://example.org/ns/demo/sa/web")]
    [InlineData("a.b.demo.serviceaccount.identity.linkerd.cluster.local", "spiffe://cluster.local/ns/demo/sa/a.b")]
    [InlineData("spiffe://example.org/x/y", "spiffe://example.org/x/y")]
    [InlineData("spiffe://example.org", null)]
    [InlineData("demo.serviceaccount.identity.mesh.example.org", null)]
    [InlineData("web.demo.serviceaccount.identity.mesh", null)]
    [InlineData("web.demo.serviceaccount.identity.mesh.", null)]
    [InlineData("web.demo.svc.cluster.local", null)]
    [InlineData("a.b.serviceaccount.identity.c.serviceaccount.identity.m.d", null)]
    [InlineData("", null)]
    [InlineData(null, null)]
    public void Identity_names_are_read_in_both_forms(string? text, string? id)
    {
        Assert.Equal(id is not null, IdentityName.TryParse(text, out var parsed));
        Assert.Equal(id, parsed?.ToString());
    }

    private static ProxySettings Read(Dictionary<string, string> environment)
    {
        Assert.True(ProxyEnvironment.TryRead(environment, out var settings, out var faults, out _), string.Join("\n", faults));
        return settings;
    }
}
