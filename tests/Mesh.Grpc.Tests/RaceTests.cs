using Grpc.Core;
using Mesh.Grpc.Tests.Server;
using Mesh.Testing.Protocol;
using Microsoft.AspNetCore.Hosting;

namespace Mesh.Grpc.Tests;

/// <summary>Ends of a call that come at the same moment.</summary>
public sealed class RaceTests
{
    [Fact]
    public async Task Deadlines_and_cancellations_that_meet_harm_nobody()
    {
        // Kestrel refuses streams, and then the connection, while more ended calls than twice this wait to be cleaned up: rightly, but not what is asked here.
        await using var server = await ProbeServer.StartAsync(build: builder => builder.WebHost.ConfigureKestrel(kestrel => kestrel.Limits.Http2.MaxStreamsPerConnection = 1000));
        var client = server.Client();
        await Task.WhenAll(Enumerable.Range(0, 8).Select(async worker =>
        {
            for (var i = 0; i < 100; i++)
            {
                // The server's timer, the client's timer and the client's token, all within the same milliseconds.
                using var cancel = new CancellationTokenSource(TimeSpan.FromMilliseconds(1 + (worker + i) % 4));
                var deadline = TimeProvider.System.GetUtcNow().UtcDateTime.AddMilliseconds(1 + i % 4);
                using var call = client.Duplex(deadline: deadline, cancellationToken: cancel.Token);
                var e = await Assert.ThrowsAsync<RpcException>(async () =>
                {
                    await call.RequestStream.WriteAsync(new ProbeRequest { Hang = i % 2 == 0 });
                    while (await call.ResponseStream.MoveNext()) { }
                });
                Assert.True(e.StatusCode is StatusCode.Cancelled or StatusCode.DeadlineExceeded, e.ToString() + e.Status.DebugException);
            }
        }));
        Assert.Equal("still here", (await client.UnaryAsync(new ProbeRequest { Text = "still here" })).Text);
        Assert.True(!server.Errors.Any(), string.Join(Environment.NewLine, server.Errors));
    }
}
