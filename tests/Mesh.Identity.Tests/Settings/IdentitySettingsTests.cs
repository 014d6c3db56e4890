using System.Net;
using Mesh.Identity.Settings;
using Mesh.Testing;
using Microsoft.Extensions.Logging;

namespace Mesh.Identity.Tests.Settings;

public sealed class IdentitySettingsTests
{
    private static Dictionary<string, string> Minimal() => new()
    {
        ["MESH_IDENTITY_TRUST_DOMAIN"] = "cluster.local",
        ["MESH_IDENTITY_ISSUER_DIR"] = "/issuer",
        ["MESH_IDENTITY_TRUST_ANCHORS_FILE"] = "/anchors/ca-bundle.crt",
        ["MESH_IDENTITY_TOKEN_VALIDATION"] = "oidc",
        ["MESH_IDENTITY_TOKEN_ISSUER"] = "https://issuer.example",
    };

    private static Dictionary<string, string> With(string key, string value) => new(Minimal()) { [key] = value };

    [Fact]
    public void Defaults_are_linkerds_numbers()
    {
        Assert.True(IdentitySettings.TryRead(Minimal(), out var settings, out var faults));
        Assert.Empty(faults);
        Assert.Equal("cluster.local", settings.TrustDomain.Name);
        Assert.Equal("spiffe://cluster.local/ns/mesh/sa/mesh-identity", settings.OwnId.ToString());
        Assert.Equal(new IPEndPoint(IPAddress.Any, 8080), settings.Listen);
        Assert.Equal(new IPEndPoint(IPAddress.Any, 9990), settings.Admin);
        Assert.Equal(TimeSpan.FromHours(24), settings.Lifetime);
        Assert.Equal(TimeSpan.FromSeconds(20), settings.ClockSkew);
        Assert.Equal("identity.l5d.io", settings.TokenAudience);
        Assert.Equal("https://issuer.example", Assert.IsType<TokenSource.OidcDiscovery>(settings.Tokens).Issuer);
        Assert.Equal(LogLevel.Information, settings.LogLevel);
        Assert.Equal(LogFormat.Json, settings.LogFormat);
    }

    [Fact]
    public void Every_fault_is_listed_with_its_key()
    {
        var environment = new Dictionary<string, string>
        {
            ["MESH_IDENTITY_TRUST_DOMAIN"] = "Not A Domain",
            ["MESH_IDENTITY_LISTEN_ADDR"] = "localhost",
            ["MESH_IDENTITY_LIFETIME"] = "59s",
            ["MESH_IDENTITY_LOG_FORMAT"] = "yaml",
            ["MESH_IDENTITY_LIFETIMES"] = "60s",
        };
        Assert.False(IdentitySettings.TryRead(environment, out var settings, out var faults));
        Assert.Null(settings);
        Assert.Equal(
            [
                "MESH_IDENTITY_ISSUER_DIR", "MESH_IDENTITY_LIFETIME", "MESH_IDENTITY_LIFETIMES", "MESH_IDENTITY_LISTEN_ADDR",
                "MESH_IDENTITY_LOG_FORMAT", "MESH_IDENTITY_TOKEN_VALIDATION", "MESH_IDENTITY_TRUST_ANCHORS_FILE", "MESH_IDENTITY_TRUST_DOMAIN",
            ],
            faults.Select(f => f.Key).Order(StringComparer.Ordinal));
        Assert.All(faults, fault => Assert.False(string.IsNullOrWhiteSpace(fault.Sentence)));
    }

    [Theory]
    [InlineData("MESH_IDENTITY_TRUST_DOMAIN", "spiffe://")]
    [InlineData("MESH_IDENTITY_SPIFFE_ID", "spiffe://other.example/ns/mesh/sa/mesh-identity")]
    [InlineData("MESH_IDENTITY_SPIFFE_ID", "spiffe://cluster.local")]
    [InlineData("MESH_IDENTITY_CONTROL_PLANE_NAMESPACE", "Mesh.System")]
    [InlineData("MESH_IDENTITY_LISTEN_ADDR", "127.0.0.1")]
    [InlineData("MESH_IDENTITY_LISTEN_ADDR", "::1")]
    [InlineData("MESH_IDENTITY_LISTEN_ADDR", "127.0.0.1:70000")]
    [InlineData("MESH_IDENTITY_ADMIN_LISTEN_ADDR", "admin:9990")]
    [InlineData("MESH_IDENTITY_LIFETIME", "169h")]
    [InlineData("MESH_IDENTITY_LIFETIME", "1 day")]
    [InlineData("MESH_IDENTITY_CLOCK_SKEW", "6m")]
    [InlineData("MESH_IDENTITY_TOKEN_VALIDATION", "none")]
    [InlineData("MESH_IDENTITY_MAX_CONNECTIONS", "0")]
    [InlineData("MESH_IDENTITY_MAX_CONNECTIONS", "-1")]
    [InlineData("MESH_IDENTITY_LOG_LEVEL", "loud")]
    [InlineData("MESH_IDENTITY_LOG_LEVEL", "information")]
    [InlineData("MESH_IDENTITY_TOKEN_AUDIENC", "x")]
    public void A_wrong_value_is_one_fault_under_its_key(string key, string value)
    {
        Assert.False(IdentitySettings.TryRead(With(key, value), out _, out var faults));
        var fault = Assert.Single(faults);
        Assert.Equal(key, fault.Key);
    }

    [Theory]
    [InlineData("jwks-file", "TOKEN_JWKS_FILE TOKEN_ISSUER")]
    [InlineData("jwks-url", "TOKEN_JWKS_URL TOKEN_ISSUER")]
    [InlineData("oidc", "TOKEN_ISSUER")]
    [InlineData("token-review", "KUBECONFIG")]
    public void Each_way_of_token_validation_names_what_it_needs(string mode, string keys)
    {
        var environment = With("MESH_IDENTITY_TOKEN_VALIDATION", mode);
        environment.Remove("MESH_IDENTITY_TOKEN_ISSUER");
        Assert.False(IdentitySettings.TryRead(environment, out _, out var faults));
        Assert.Equal(keys.Split(' ').Select(k => "MESH_IDENTITY_" + k), faults.Select(f => f.Key));
    }

    [Fact]
    public void Token_review_takes_a_kubeconfig_and_says_what_is_wrong_with_it()
    {
        using var directory = new TemporaryDirectory();
        var environment = With("MESH_IDENTITY_TOKEN_VALIDATION", "token-review");
        environment["MESH_IDENTITY_KUBECONFIG"] = directory.Write("config", "current-context: main\ncontexts: [{name: main, context: {cluster: c} }]\nclusters: [{name: c, cluster: {server: 'https://api.example'} }]");
        Assert.True(IdentitySettings.TryRead(environment, out var settings, out _));
        Assert.Equal("https://api.example/", Assert.IsType<TokenSource.TokenReview>(settings.Tokens).ApiServer.Server.ToString());

        directory.Write("config", "current-context: other");
        Assert.False(IdentitySettings.TryRead(environment, out _, out var faults));
        Assert.Contains("context \"other\" does not exist", Assert.Single(faults).Sentence, StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("https://keys.example/jwks.json", true)]
    [InlineData("http://127.0.0.1:8000/jwks.json", true)]
    [InlineData("http://localhost:8000/jwks.json", true)]
    [InlineData("http://keys.example/jwks.json", false)]
    [InlineData("https://user:secret@keys.example/jwks.json", false)]
    [InlineData("file:///etc/keys", false)]
    public void Keys_are_fetched_over_tls_or_from_this_machine(string url, bool accepted)
    {
        var environment = With("MESH_IDENTITY_TOKEN_VALIDATION", "jwks-url");
        environment["MESH_IDENTITY_TOKEN_JWKS_URL"] = url;
        environment["MESH_IDENTITY_TOKEN_ISSUER"] = "https://issuer.example";
        Assert.Equal(accepted, IdentitySettings.TryRead(environment, out _, out _));
    }

    [Fact]
    public void Variables_that_kubernetes_injects_for_a_service_are_no_faults()
    {
        var environment = Minimal();
        environment["MESH_IDENTITY_SERVICE_HOST"] = "10.0.0.1";
        environment["MESH_IDENTITY_SERVICE_PORT_GRPC"] = "8080";
        environment["MESH_IDENTITY_PORT"] = "tcp://10.0.0.1:8080";
        environment["MESH_IDENTITY_PORT_8080_TCP_ADDR"] = "10.0.0.1";
        Assert.True(IdentitySettings.TryRead(environment, out _, out _));
    }

    [Theory]
    [InlineData("0s", 0)]
    [InlineData("500ms", 500)]
    [InlineData("60s", 60_000)]
    [InlineData("1h30m", 5_400_000)]
    [InlineData("24h0m0s", 86_400_000)]
    [InlineData("1d", 86_400_000)]
    public void Durations_read_as_go_writes_them(string text, long milliseconds)
    {
        Assert.True(DurationText.TryParse(text, out var duration));
        Assert.Equal(milliseconds, (long)duration.TotalMilliseconds);
        Assert.True(DurationText.TryParse(DurationText.Format(duration), out var again));
        Assert.Equal(duration, again);
    }

    [Theory]
    [InlineData("")]
    [InlineData("60")]
    [InlineData("s")]
    [InlineData("-5s")]
    [InlineData("5 s")]
    [InlineData("5w")]
    [InlineData("99999999999999999999s")]
    [InlineData("9999999999999999h")]
    public void What_is_no_duration_is_refused(string text) => Assert.False(DurationText.TryParse(text, out _));
}
