using System.Net;
using System.Net.Sockets;
using Mesh.Proxy.Http.Http2;
using Mesh.Proxy.Policy;
using Mesh.Proxy.Tests.Connections;
using Mesh.Testing;

namespace Mesh.Proxy.Tests.Inbound;

/// <summary>What a client's requests can do to an application, and to other clients.</summary>
public sealed class InboundRequestsTests
{
    private readonly TestAuthority _authority = TestAuthority.CreateRoot(change: o => o with { NotBefore = DateTimeOffset.UtcNow.AddDays(-1) });

    [Fact]
    public async Task No_client_gets_a_tunnel_to_the_application()
    {
        await using var application = new EchoApplication();
        await using var proxy = await RunningProxy.ReceivingAsync(application.Address, _authority, InboundPolicy.AllUnauthenticated);
        var answer = await TestClient.TryAsync(proxy.Inbound, "CONNECT a:80 HTTP/1.1\r\nHost: a:80\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\nl5d-client-id: forged\r\n\r\n");
        Assert.StartsWith("HTTP/1.1 421 ", answer, StringComparison.Ordinal);
        Assert.Equal(1, answer.Split("HTTP/1.1 ").Length - 1);
        await proxy.Log.NextAsync("method=CONNECT", "status=421", "reason=misdirected");
    }

    [Fact]
    public async Task A_head_too_large_for_the_application_costs_other_clients_nothing()
    {
        using var listener = new TcpListener(IPAddress.Loopback, 0);
        listener.Start();
        var resets = new List<int>();
        var connections = 0;
        var serving = ServeAsync();
        await using (var proxy = await RunningProxy.ReceivingAsync((IPEndPoint)listener.LocalEndpoint, _authority, InboundPolicy.AllUnauthenticated))
        {
            using var client = new HttpClient();
            Assert.Equal(HttpStatusCode.OK, await GetAsync(client, proxy.Inbound, 10));
            Assert.Equal(HttpStatusCode.BadGateway, await GetAsync(client, proxy.Inbound, 2_000));
            Assert.Equal(HttpStatusCode.OK, await GetAsync(client, proxy.Inbound, 10));
        }

        await serving.WaitAsync(TestClient.Limit);
        Assert.Equal(1, connections);
        Assert.Empty(resets);

        // An application that takes 1,000 bytes of fields and answers every request at once.
        async Task ServeAsync()
        {
            using var socket = await listener.AcceptTcpClientAsync();
            connections++;
            var stream = socket.GetStream();
            var buffer = new byte[FrameHeader.Size + 64 * 1024];
            await stream.ReadExactlyAsync(buffer.AsMemory(0, FrameHeader.Preface.Length));
            await stream.WriteAsync(buffer.AsMemory(0, FrameWriter.WriteSettings(buffer, [(SettingId.MaxHeaderListSize, 1_000)])));
            while (await stream.ReadAtLeastAsync(buffer.AsMemory(0, FrameHeader.Size), FrameHeader.Size, throwOnEndOfStream: false) == FrameHeader.Size)
            {
                Assert.True(FrameHeader.TryRead(buffer, out var frame));
                await stream.ReadExactlyAsync(buffer.AsMemory(FrameHeader.Size, frame.Length));
                if (frame.Type == FrameType.RstStream) resets.Add(frame.StreamId);
                if (frame.Type != FrameType.Headers) continue;
                new FrameHeader(1, FrameType.Headers, FrameFlags.EndHeaders | FrameFlags.EndStream, frame.StreamId).Write(buffer);
                // ":status: 200" of the static table (RFC 7541 appendix A).
                buffer[FrameHeader.Size] = 0x88;
                await stream.WriteAsync(buffer.AsMemory(0, FrameHeader.Size + 1));
            }
        }
    }

    private static async Task<HttpStatusCode> GetAsync(HttpClient client, IPEndPoint proxy, int size)
    {
        using var request = new HttpRequestMessage(HttpMethod.Get, $"http://{proxy}/") { Version = HttpVersion.Version20, VersionPolicy = HttpVersionPolicy.RequestVersionExact };
        request.Headers.Add("x-size", new string('x', size));
        using var response = await client.SendAsync(request).WaitAsync(TestClient.Limit);
        return response.StatusCode;
    }
}
