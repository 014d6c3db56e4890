using System.Buffers.Binary;
using System.Net.Security;
using System.Net.Sockets;
using System.Text;
using Mesh.Spiffe;

namespace Mesh.Identity.Tests.Hosting;

/// <summary>What one peer may take of the gRPC port, asked with bytes of our own.</summary>
public sealed class BoundTests
{
    private const int StreamsPerConnection = 256;

    [Fact]
    public async Task One_source_has_so_many_connections_and_gets_its_place_back_when_one_closes()
    {
        await using var identity = await RunningIdentity.StartAsync(settings: s => s["MESH_IDENTITY_MAX_CONNECTIONS_PER_SOURCE"] = "2");
        var first = await TlsAsync(identity);
        await using var second = await TlsAsync(identity);
        await Assert.ThrowsAnyAsync<IOException>(() => TlsAsync(identity));
        Assert.Equal(1, await identity.MetricAsync("mesh_identity_connections_refused_total"));
        await first.DisposeAsync();
        await Eventually.True(
            () =>
            {
                try
                {
                    TlsAsync(identity).GetAwaiter().GetResult().Dispose();
                    return true;
                }
                catch (IOException)
                {
                    return false;
                }
            },
            "a place");
    }

    [Fact]
    public async Task A_connection_carries_256_calls_and_the_next_is_refused_alone()
    {
        await using var identity = await RunningIdentity.StartAsync();
        await using var tls = await TlsAsync(identity);
        await tls.WriteAsync(Preface);
        // Calls whose message never comes.
        for (var i = 0; i <= StreamsPerConnection; i++) await tls.WriteAsync(Frame(type: 1, flags: 4, stream: 2 * i + 1, Headers("/io.linkerd.proxy.identity.Identity/Certify")));
        var advertised = 0;
        while (true)
        {
            var (type, stream, payload) = await ReadFrameAsync(tls);
            for (var i = 0; type == 4 && i + 6 <= payload.Length; i += 6)
                if (BinaryPrimitives.ReadUInt16BigEndian(payload.AsSpan(i)) == 3) advertised = BinaryPrimitives.ReadInt32BigEndian(payload.AsSpan(i + 2));
            Assert.NotEqual(7, type);
            if (type != 3) continue;
            Assert.Equal(2 * StreamsPerConnection + 1, stream);
            Assert.Equal(7, BinaryPrimitives.ReadInt32BigEndian(payload));
            break;
        }

        Assert.Equal(StreamsPerConnection, advertised);
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public async Task A_connection_that_does_nothing_is_closed(bool speaks)
    {
        await using var identity = await RunningIdentity.StartAsync(settings: s => s["MESH_IDENTITY_IDLE_TIMEOUT"] = "1s");
        await using var tls = await TlsAsync(identity);
        if (speaks) await tls.WriteAsync(Preface);
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        var rest = new byte[4096];
        try
        {
            while (await tls.ReadAsync(rest, patience.Token) > 0) { }
        }
        catch (IOException)
        {
            // Reset instead of closed.
        }

        Assert.False(patience.IsCancellationRequested);
    }

    // The client's connection preface and an empty SETTINGS frame (RFC 9113 section 3.4).
    private static byte[] Preface => [.. "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"u8, 0, 0, 0, 4, 0, 0, 0, 0, 0];

    private static async Task<SslStream> TlsAsync(RunningIdentity identity)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        try
        {
            await socket.ConnectAsync(identity.Server.Address);
        }
        catch (SocketException reset)
        {
            // Refused before the call that connects has returned.
            socket.Dispose();
            throw new IOException(reset.Message, reset);
        }

        var tls = new SslStream(new NetworkStream(socket, ownsSocket: true));
        try
        {
            await tls.AuthenticateAsClientAsync(SvidTls.Client(() => null, identity.Root.Bundles, RunningIdentity.IdOf("mesh", "mesh-identity"), "identity", identity.Time));
            return tls;
        }
        catch
        {
            await tls.DisposeAsync();
            throw;
        }
    }

    private static byte[] Frame(byte type, byte flags, int stream, byte[] payload)
    {
        var frame = new byte[9 + payload.Length];
        frame[1] = (byte)(payload.Length >> 8);
        frame[2] = (byte)payload.Length;
        frame[3] = type;
        frame[4] = flags;
        BinaryPrimitives.WriteInt32BigEndian(frame.AsSpan(5), stream);
        payload.CopyTo(frame, 9);
        return frame;
    }

    // HPACK (RFC 7541): POST and https from the static table, path and content type as literals without indexing.
    private static byte[] Headers(string path) => [0x83, 0x87, 0x04, .. Text(path), 0x01, .. Text("identity"), 0x0f, 0x10, .. Text("application/grpc")];

    private static byte[] Text(string text) => [(byte)text.Length, .. Encoding.ASCII.GetBytes(text)];

    private static async Task<(int Type, int Stream, byte[] Payload)> ReadFrameAsync(Stream stream)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(60));
        var head = new byte[9];
        await stream.ReadExactlyAsync(head, patience.Token);
        var payload = new byte[(head[0] << 16) | (head[1] << 8) | head[2]];
        await stream.ReadExactlyAsync(payload, patience.Token);
        return (head[3], BinaryPrimitives.ReadInt32BigEndian(head.AsSpan(5)), payload);
    }
}
