using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Text.Json;
using Mesh.Destination.Hosting;
using Mesh.Destination.Settings;
using Mesh.Spiffe;
using Mesh.Spiffe.Renewal;
using Mesh.Testing;
using Microsoft.Extensions.Logging.Abstractions;

namespace Mesh.Destination.Tests.Hosting;

/// <summary>What an operator is told when the service has no certificate.</summary>
public sealed class OwnIdentityTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();
    private readonly ManualTime _time = new();
    private readonly TestAuthority _authority;
    private readonly TcpListener _identity = new(IPAddress.Loopback, 0);

    public OwnIdentityTests() => _authority = TestAuthority.CreateRoot(time: _time);

    public void Dispose()
    {
        _identity.Dispose();
        _directory.Dispose();
    }

    [Fact]
    public async Task An_identity_service_that_is_not_there_is_unavailable()
    {
        _identity.Start();
        var address = _identity.LocalEndpoint.ToString()!;
        _identity.Stop();
        var status = await FirstFailureAsync(Settings(address), () => Task.CompletedTask);
        Assert.Equal(RenewalFault.Unavailable, status.LastFault);
        Assert.Contains(address, OwnIdentity.Cause(status), StringComparison.Ordinal);
    }

    [Fact]
    public async Task One_that_takes_connections_and_says_nothing_has_timed_out()
    {
        _identity.Start();
        using var ended = new CancellationTokenSource();
        Socket? held = null;
        var status = await FirstFailureAsync(Settings(_identity.LocalEndpoint.ToString()!), async () =>
        {
            held = await _identity.AcceptSocketAsync(ended.Token);
            _time.Advance(TimeSpan.FromSeconds(30));
        });
        held?.Dispose();
        Assert.Equal(RenewalFault.TimedOut, status.LastFault);
    }

    [Fact]
    public async Task One_of_another_authority_is_not_trusted()
    {
        _identity.Start();
        using var stranger = TestAuthority.CreateRoot(time: _time).CreateSvid("spiffe://example.org/ns/mesh/sa/mesh-identity");
        var status = await FirstFailureAsync(Settings(_identity.LocalEndpoint.ToString()!), async () =>
        {
            await using var tls = new SslStream(new NetworkStream(await _identity.AcceptSocketAsync(CancellationToken.None), ownsSocket: true));
            var options = SvidTls.Server(stranger, _authority.Bundles, ClientCertificates.NotAsked, _time);
            options.ApplicationProtocols = [SslApplicationProtocol.Http2];
            try
            {
                await tls.AuthenticateAsServerAsync(options);
                await tls.ReadAtLeastAsync(new byte[1], 1, throwOnEndOfStream: false);
            }
            catch (Exception refused) when (refused is IOException or System.Security.Authentication.AuthenticationException)
            {
                // The client turned away.
            }
        });
        Assert.Equal(RenewalFault.AuthorityNotTrusted, status.LastFault);
    }

    [Fact]
    public void What_there_is_without_a_new_certificate_is_told_in_its_tense()
    {
        var now = _time.GetUtcNow();
        Assert.Equal("there is none yet, so no proxy can connect", OwnIdentity.Standing(new RenewalStatus(), now));
        Assert.Equal("the last one is good until 2026-01-01T00:00:01Z", OwnIdentity.Standing(new RenewalStatus { ExpiresAt = now.AddSeconds(1) }, now));
        Assert.Equal("the last one expired at 2026-01-01T00:00:00Z, so no proxy can connect", OwnIdentity.Standing(new RenewalStatus { ExpiresAt = now }, now));
    }

    [Fact]
    public async Task Ready_says_what_is_missing_and_what_to_mend()
    {
        var settings = Settings("127.0.0.1:1", anchors: _directory.File("none.pem"), services: _directory.Write("services.json", "{"));
        await using var server = await DestinationServer.StartAsync(settings, TimeProvider.System, NullLoggerFactory.Instance, CancellationToken.None);
        using var http = new HttpClient();
        var reasons = await ReasonsAsync(http, server);
        Assert.Equal(["anchors", "own_certificate", "services"], reasons.Keys.Order(StringComparer.Ordinal));
        Assert.Contains("MESH_DESTINATION_SERVICES_FILE", reasons["services"], StringComparison.Ordinal);
        Assert.Contains("services.json", reasons["services"], StringComparison.Ordinal);
        Assert.Contains("MESH_DESTINATION_TRUST_ANCHORS_FILE", reasons["anchors"], StringComparison.Ordinal);
        Assert.Contains("none.pem", reasons["anchors"], StringComparison.Ordinal);

        _directory.Write("services.json", "{\"services\":[]}");
        using var tick = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
        while ((await ReasonsAsync(http, server)).ContainsKey("services")) await tick.WaitForNextTickAsync(TestContext.Current.CancellationToken);
    }

    private static async Task<Dictionary<string, string>> ReasonsAsync(HttpClient http, DestinationServer server)
    {
        using var answer = await http.GetAsync(new Uri($"http://{server.AdminAddress}/ready"));
        Assert.Equal(HttpStatusCode.ServiceUnavailable, answer.StatusCode);
        using var json = JsonDocument.Parse(await answer.Content.ReadAsStringAsync());
        return json.RootElement.GetProperty("reasons").EnumerateArray().ToDictionary(r => r.GetProperty("reason").GetString()!, r => r.GetProperty("sentence").GetString()!);
    }

    [Fact]
    public async Task A_port_for_routes_is_listened_on_when_it_is_asked_for()
    {
        var settings = Settings("127.0.0.1:1", services: _directory.Write("services.json", "{ \"services\": [] }"));
        await using (var one = await DestinationServer.StartAsync(settings, TimeProvider.System, NullLoggerFactory.Instance, CancellationToken.None)) Assert.Null(one.PolicyAddress);
        settings = settings with { PolicyListen = new IPEndPoint(IPAddress.Loopback, 0) };
        await using var two = await DestinationServer.StartAsync(settings, TimeProvider.System, NullLoggerFactory.Instance, CancellationToken.None);
        foreach (var address in new[] { two.Address, two.PolicyAddress! })
        {
            using var client = new TcpClient();
            await client.ConnectAsync(address);
        }

        Assert.NotEqual(two.Address, two.PolicyAddress);
    }

    private DestinationSettings Settings(string identity, string? anchors = null, string? services = null)
    {
        var environment = new Dictionary<string, string>
        {
            ["MESH_DESTINATION_TRUST_DOMAIN"] = "example.org",
            ["MESH_DESTINATION_LISTEN_ADDR"] = "127.0.0.1:0",
            ["MESH_DESTINATION_ADMIN_LISTEN_ADDR"] = "127.0.0.1:0",
            ["MESH_DESTINATION_SERVICES_FILE"] = services ?? _directory.File("services.json"),
            ["MESH_DESTINATION_IDENTITY_SVC_ADDR"] = identity,
            ["MESH_DESTINATION_TOKEN_FILE"] = _directory.Write("token", "token"),
            ["MESH_DESTINATION_TRUST_ANCHORS_FILE"] = anchors ?? _directory.Write("anchors.pem", _authority.CertificatePem),
        };
        Assert.True(DestinationSettings.TryRead(environment, out var settings, out var faults), string.Join("; ", faults));
        return settings;
    }

    private async Task<RenewalStatus> FirstFailureAsync(DestinationSettings settings, Func<Task> answer)
    {
        using var own = new OwnIdentity(settings, _time, NullLogger<OwnIdentity>.Instance);
        var failed = new TaskCompletionSource<RenewalStatus>(TaskCreationOptions.RunContinuationsAsynchronously);
        own.Renewal.Happened += (_, status) => failed.TrySetResult(status);
        using var end = new CancellationTokenSource();
        var running = own.RunAsync(end.Token);
        var answering = answer();
        var first = await failed.Task.WaitAsync(TimeSpan.FromSeconds(60));
        await end.CancelAsync();
        await running;
        await answering;
        return first;
    }
}
