using System.Net.Sockets;
using Mesh.Destination.Hosting;
using Mesh.Destination.Settings;
using Mesh.Testing;
using Microsoft.Extensions.Logging.Abstractions;

namespace Mesh.Destination.Tests.Hosting;

/// <summary>What one source address may take of the discovery port.</summary>
public sealed class SourceBoundTests
{
    [Fact]
    public async Task One_source_has_so_many_connections_and_one_more_is_closed_and_counted()
    {
        using var directory = new TemporaryDirectory();
        var environment = new Dictionary<string, string>
        {
            ["MESH_DESTINATION_TRUST_DOMAIN"] = "example.org",
            ["MESH_DESTINATION_LISTEN_ADDR"] = "127.0.0.1:0",
            ["MESH_DESTINATION_ADMIN_LISTEN_ADDR"] = "127.0.0.1:0",
            ["MESH_DESTINATION_SERVICES_FILE"] = directory.File("services.json"),
            ["MESH_DESTINATION_IDENTITY_SVC_ADDR"] = "127.0.0.1:1",
            ["MESH_DESTINATION_TOKEN_FILE"] = directory.File("token"),
            ["MESH_DESTINATION_TRUST_ANCHORS_FILE"] = directory.File("anchors.pem"),
            ["MESH_DESTINATION_MAX_CONNECTIONS_PER_SOURCE"] = "1",
        };
        Assert.True(DestinationSettings.TryRead(environment, out var settings, out var faults), string.Join("; ", faults));
        await using var server = await DestinationServer.StartAsync(settings, TimeProvider.System, NullLoggerFactory.Instance, CancellationToken.None);
        using var first = new TcpClient();
        using var second = new TcpClient();
        await first.ConnectAsync(server.Address, TestContext.Current.CancellationToken);
        await second.ConnectAsync(server.Address, TestContext.Current.CancellationToken);
        // Neither says anything; whichever came to its place second is closed.
        await await Task.WhenAny(EndAsync(first), EndAsync(second));
        using var http = new HttpClient();
        var page = await http.GetStringAsync(new Uri($"http://{server.AdminAddress}/metrics"), TestContext.Current.CancellationToken);
        Assert.Contains("mesh_destination_connections_refused_total 1\n", page, StringComparison.Ordinal);
    }

    private static async Task EndAsync(TcpClient client)
    {
        try
        {
            Assert.Equal(0, await client.GetStream().ReadAsync(new byte[1]));
        }
        catch (IOException)
        {
            // Reset instead of closed, or ours to close at the end of the test.
        }
    }
}
