using System.Net;
using System.Text.Json;
using Grpc.Health.V1;

namespace Mesh.Identity.Tests.Health;

public sealed class AdminPagesTests
{
    [Fact]
    public async Task Live_and_ready_and_metrics_answer()
    {
        await using var identity = await RunningIdentity.StartAsync();
        Assert.Equal(HttpStatusCode.OK, (await identity.AdminAsync("/live")).Status);
        var (status, body) = await identity.AdminAsync("/ready");
        Assert.Equal(HttpStatusCode.OK, status);
        Assert.Equal("""{"ready":true,"reasons":[]}""", body);
        Assert.Equal(1, await identity.MetricAsync("mesh_identity_ready"));
        Assert.InRange((await identity.MetricAsync("mesh_identity_issuer_ttl_seconds"))!.Value, 86_400, 400.0 * 86_400 * 10);
        Assert.Equal(identity.Root.Certificate.NotAfter.ToUnixTimeSeconds(), await identity.MetricAsync("mesh_identity_anchor_expiry_timestamp_seconds"));
        Assert.Equal(1, await identity.MetricAsync("mesh_identity_issuer_reloads_total{result=\"accepted\"}"));
        Assert.True(await identity.MetricAsync("process_resident_memory_bytes") > 0);
    }

    [Fact]
    public async Task The_pages_are_read_only_and_there_are_no_others()
    {
        await using var identity = await RunningIdentity.StartAsync();
        Assert.Equal(HttpStatusCode.MethodNotAllowed, (await identity.AdminAsync("/ready", HttpMethod.Post)).Status);
        Assert.Equal(HttpStatusCode.NotFound, (await identity.AdminAsync("/")).Status);
        Assert.Equal(HttpStatusCode.NotFound, (await identity.AdminAsync("/io.linkerd.proxy.identity.Identity/Certify")).Status);
    }

    [Theory]
    [InlineData("issuer")]
    [InlineData("anchors")]
    [InlineData("tokens")]
    public async Task Readiness_names_what_is_missing_and_comes_by_itself(string what)
    {
        await using var identity = await RunningIdentity.StartAsync();
        var jwks = File.ReadAllBytes(identity.JwksFile);
        await identity.Server.DisposeAsync();
        if (what == "issuer") Directory.Delete(identity.IssuerDirectory, recursive: true);
        if (what == "anchors") File.Delete(identity.AnchorsFile);
        if (what == "tokens") File.Delete(identity.JwksFile);

        await identity.RestartAsync();
        var (status, body) = await identity.AdminAsync("/ready");
        Assert.Equal(HttpStatusCode.ServiceUnavailable, status);
        using var page = JsonDocument.Parse(body);
        Assert.Contains(what, page.RootElement.GetProperty("reasons").EnumerateArray().Select(r => r.GetProperty("reason").GetString()));
        Assert.Equal(0, await identity.MetricAsync("mesh_identity_ready"));

        if (what == "issuer") identity.WriteIssuer(identity.Issuer);
        if (what == "anchors") identity.WriteAnchors(identity.Root);
        if (what == "tokens") File.WriteAllBytes(identity.JwksFile, jwks);
        await identity.UntilReadyAsync();
    }

    [Fact]
    public async Task Grpc_health_follows_readiness()
    {
        await using var identity = await RunningIdentity.StartAsync();
        var client = new global::Grpc.Health.V1.Health.HealthClient(identity.Channel());
        var asked = new HealthCheckRequest { Service = "io.linkerd.proxy.identity.Identity" };
        await Eventually.True(() => client.CheckAsync(asked).ResponseAsync.Result.Status == HealthCheckResponse.Types.ServingStatus.Serving, "serving");
        identity.Time.Shift = TimeSpan.FromDays(400 * 11);
        await Eventually.True(() => client.CheckAsync(asked).ResponseAsync.Result.Status == HealthCheckResponse.Types.ServingStatus.NotServing, "not serving");
    }
}
