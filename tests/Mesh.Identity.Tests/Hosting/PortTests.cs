using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography;
using Mesh.Spiffe;

namespace Mesh.Identity.Tests.Hosting;

/// <summary>What the gRPC port lets in.</summary>
public sealed class PortTests
{
    // The client's connection preface and an empty SETTINGS frame (RFC 9113 section 3.4).
    private static readonly byte[] Preface = [.. "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"u8, 0, 0, 0, 4, 0, 0, 0, 0, 0];

    private static async Task<Stream> ConnectAsync(RunningIdentity identity)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp);
        await socket.ConnectAsync(identity.Server.Address);
        return new NetworkStream(socket, ownsSocket: true);
    }

    private static SslClientAuthenticationOptions Tls(RunningIdentity identity) =>
        SvidTls.Client(() => null, identity.Root.Bundles, RunningIdentity.IdOf("mesh", "mesh-identity"), "identity", identity.Time);

    private static async Task<int> ReadAsync(Stream stream, byte[] buffer)
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        try
        {
            return await stream.ReadAsync(buffer, deadline.Token);
        }
        catch (IOException)
        {
            return 0;
        }
    }

    [Fact]
    public async Task Plaintext_is_not_accepted()
    {
        await using var identity = await RunningIdentity.StartAsync();
        await using var stream = await ConnectAsync(identity);
        await stream.WriteAsync(Preface);
        var answer = new byte[64];
        var read = await ReadAsync(stream, answer);
        // Nothing, or a TLS alert; certainly no HTTP/2 SETTINGS frame.
        Assert.True(read == 0 || answer[0] == 21, Convert.ToHexString(answer.AsSpan(0, read)));
        Assert.Equal(0, await identity.MetricAsync("mesh_identity_certify_total{result=\"issued\",reason=\"none\"}"));
    }

    [Fact]
    public async Task A_client_without_alpn_speaks_http2_as_linkerds_proxy_does()
    {
        await using var identity = await RunningIdentity.StartAsync();
        await using var tls = new SslStream(await ConnectAsync(identity));
        await tls.AuthenticateAsClientAsync(Tls(identity));
        Assert.Equal(SslProtocols.Tls13, tls.SslProtocol);
        await tls.WriteAsync(Preface);
        var answer = new byte[64];
        Assert.True(await ReadAsync(tls, answer) >= 9);
        Assert.Equal(4, answer[3]);
    }

    [Fact]
    public async Task A_client_that_offers_only_http1_does_not_get_in()
    {
        await using var identity = await RunningIdentity.StartAsync();
        await using var tls = new SslStream(await ConnectAsync(identity));
        var options = Tls(identity);
        options.ApplicationProtocols = [SslApplicationProtocol.Http11];
        await Assert.ThrowsAnyAsync<Exception>(async () =>
        {
            await tls.AuthenticateAsClientAsync(options);
            await tls.WriteAsync("GET / HTTP/1.1\r\nHost: x\r\n\r\n"u8.ToArray());
            if (await ReadAsync(tls, new byte[64]) == 0) throw new IOException("closed");
        });
    }

    [Fact]
    public async Task Tls_1_2_is_not_spoken()
    {
        await using var identity = await RunningIdentity.StartAsync();
        await using var tls = new SslStream(await ConnectAsync(identity));
        var options = Tls(identity);
        options.EnabledSslProtocols = SslProtocols.Tls12;
        await Assert.ThrowsAnyAsync<Exception>(() => tls.AuthenticateAsClientAsync(options));
    }

    [Fact]
    public async Task The_service_shows_its_own_identity_in_both_forms()
    {
        await using var identity = await RunningIdentity.StartAsync();
        var leaf = identity.Server.Own.Current!.Leaf;
        Assert.Equal(["spiffe://cluster.local/ns/mesh/sa/mesh-identity"], leaf.UriNames);
        Assert.Equal(["mesh-identity.mesh.serviceaccount.identity.mesh.cluster.local"], leaf.DnsNames);
    }

    [Fact]
    public async Task Random_bytes_close_the_connection_and_nothing_else()
    {
        await using var identity = await RunningIdentity.StartAsync();
        var random = new Random(7);
        for (var i = 0; i < 50; i++)
        {
            var junk = new byte[random.Next(1, 4096)];
            random.NextBytes(junk);
            if (i % 2 == 0) junk[0] = 22;
            await using var stream = await ConnectAsync(identity);
            try
            {
                await stream.WriteAsync(junk);
            }
            catch (IOException)
            {
                // Closed before we were done.
            }
        }

        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        await identity.Client().CertifyAsync(identity.Request(key));
    }
}
