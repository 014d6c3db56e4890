using System.Net;
using System.Text.Json;
using Grpc.Core;
using Grpc.Net.Client;
using Mesh.Cli.Demo;
using Mesh.Protocol.Destination;
using Mesh.Spiffe;
using Mesh.Testing;

namespace Mesh.IntegrationTests;

/// <summary>The destination service as a process: what callers and the log are told when it ends.</summary>
public sealed class DestinationProcessTests
{
    private const string Web = "web.test.svc.cluster.local:80";
    private static readonly TrustDomain Domain = TrustDomain.Parse("drain.mesh");

    [Fact]
    public async Task Asked_to_stop_it_sends_streams_elsewhere_cuts_what_is_not_read_and_says_how_many()
    {
        using var directory = new TemporaryDirectory();
        using var patience = new CancellationTokenSource(TimeSpan.FromMinutes(2));
        await using var mesh = await EmbeddedMesh.StartAsync(directory.File("mesh"), Domain, TimeSpan.FromMinutes(10), TimeProvider.System, patience.Token);
        // More than the window of a stream holds.
        mesh.Publish([new DiscoveryEntry(Web, [.. Enumerable.Range(1, 2000).Select(port => new DiscoveryAddress(new IPEndPoint(IPAddress.Loopback, port), 4143, mesh.IdOf("test", "web"), mesh.ServerName("test", "web")))])]);
        var authority = TestAuthority.Load(Domain, mesh.Layout.Trust);
        using var svid = authority.CreateSvid(mesh.IdOf("test", "client"));
        using var reader = Channel(mesh, authority, svid);
        using var read = await FollowAsync(new Protocol.Destination.Destination.DestinationClient(reader), patience.Token);
        using var sleeper = Channel(mesh, authority, svid);
        using var unread = new Protocol.Destination.Destination.DestinationClient(sleeper).Get(new GetDestination { Path = Web }, cancellationToken: patience.Token);
        await unread.ResponseHeadersAsync;

        var destination = mesh.Members.Single(m => m.Name == "destination").Process!;
        var stopping = destination.StopAsync(TimeSpan.FromSeconds(60), TimeProvider.System);
        var told = await Assert.ThrowsAsync<RpcException>(() => read.ResponseStream.MoveNext(patience.Token));
        Assert.Equal(StatusCode.Unavailable, told.StatusCode);
        await stopping;
        Assert.Equal("ended with exit code 0", destination.Ending);
        var lines = (await File.ReadAllLinesAsync(Path.Combine(mesh.Layout.Logs, "destination.log"), patience.Token)).Where(l => l.Contains("\"Stop", StringComparison.Ordinal)).Select(l => JsonDocument.Parse(l).RootElement).ToArray();
        Assert.Equal(["Stopping", "Stopped"], lines.Select(l => l.GetProperty("event").GetString()));
        Assert.Equal(1, lines[1].GetProperty("Cut").GetInt32());
    }

    private static GrpcChannel Channel(EmbeddedMesh mesh, TestAuthority authority, X509Svid svid)
    {
        var handler = new SocketsHttpHandler { SslOptions = SvidTls.Client(() => svid, authority.Bundles, mesh.IdOf("mesh", "mesh-destination"), "destination", TimeProvider.System), UseProxy = false };
        return GrpcChannel.ForAddress($"https://{mesh.DestinationAddress}", new GrpcChannelOptions { HttpHandler = handler, DisposeHttpClient = true });
    }

    // The file was written a moment ago: until it is read, there is no such service.
    private static async Task<AsyncServerStreamingCall<Update>> FollowAsync(Protocol.Destination.Destination.DestinationClient client, CancellationToken ct)
    {
        using var tick = new PeriodicTimer(TimeSpan.FromMilliseconds(50));
        while (true)
        {
            var call = client.Get(new GetDestination { Path = Web }, cancellationToken: ct);
            try
            {
                Assert.True(await call.ResponseStream.MoveNext(ct));
                return call;
            }
            catch (RpcException refused) when (refused.StatusCode == StatusCode.NotFound)
            {
                call.Dispose();
                await tick.WaitForNextTickAsync(ct);
            }
        }
    }
}
