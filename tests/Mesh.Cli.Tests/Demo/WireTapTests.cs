using System.Net;
using System.Net.Sockets;
using System.Text;
using Mesh.Cli.Demo;
using Mesh.Cli.Stat;

namespace Mesh.Cli.Tests.Demo;

public sealed class WireTapTests
{
    [Fact]
    public void A_needle_is_found_wherever_a_read_cuts_it()
    {
        var text = Encoding.ASCII.GetBytes("xxxxsecretxxxxsecretsecretx");
        for (var cut = 0; cut <= text.Length; cut++)
        {
            var search = new ByteSearch(["secret"u8.ToArray()]);
            Assert.Equal(3, search.Feed(text.AsSpan(0, cut)) + search.Feed(text.AsSpan(cut)));
        }

        var bytewise = new ByteSearch(["secret"u8.ToArray()]);
        Assert.Equal(3, text.Sum(b => bytewise.Feed([b])));
    }

    [Fact]
    public void Needles_of_different_length_are_each_counted_once()
    {
        var search = new ByteSearch(["abc"u8.ToArray(), "c"u8.ToArray()]);
        Assert.Equal(1, search.Feed("c"u8));
        Assert.Equal(0, search.Feed("ab"u8));
        Assert.Equal(2, search.Feed("c"u8));
    }

    [Fact]
    public async Task The_tap_passes_every_byte_and_finds_plaintext_in_both_directions()
    {
        using var server = new TcpListener(IPAddress.Loopback, 0);
        server.Start();
        await using var tap = new WireTap((IPEndPoint)server.LocalEndpoint, "ping"u8.ToArray(), "pong"u8.ToArray());
        tap.Start();
        using var client = new TcpClient();
        await client.ConnectAsync(tap.Address);
        using var accepted = await server.AcceptTcpClientAsync();
        await client.GetStream().WriteAsync("a ping"u8.ToArray());
        var buffer = new byte[16];
        await accepted.GetStream().ReadExactlyAsync(buffer.AsMemory(0, 6));
        await accepted.GetStream().WriteAsync("a pong"u8.ToArray());
        await client.GetStream().ReadExactlyAsync(buffer.AsMemory(0, 6));
        Assert.Equal(2, tap.Findings);
        Assert.Equal(12, tap.Bytes);
        Assert.Equal(1, tap.Connections);
        Assert.Null(tap.TlsVersion);
        client.Client.Shutdown(SocketShutdown.Send);
        Assert.Equal(0, await accepted.GetStream().ReadAsync(buffer));
    }

    [Fact]
    public void The_selected_version_is_read_from_a_server_hello()
    {
        // legacy_version 1.2, empty session id, TLS_AES_128_GCM_SHA256, supported_versions 1.3.
        byte[] hello = [22, 3, 3, 0, 0, 2, 0, 0, 0, 3, 3, .. new byte[32], 0, 0x13, 0x01, 0, 0, 6, 0, 43, 0, 2, 3, 4];
        Assert.Equal("TLSv1.3", ServerHello.SelectedVersion(hello));
        Assert.Equal("TLSv1.2", ServerHello.SelectedVersion(hello.AsSpan(0, hello.Length - 8)));
        for (var length = 0; length < 44; length++) Assert.Null(ServerHello.SelectedVersion(hello.AsSpan(0, length)));
        Assert.Null(ServerHello.SelectedVersion("HTTP/1.1 200 OK and so on, long enough to hold a hello"u8));
    }

    [Fact]
    public void A_random_record_never_throws()
    {
        var random = new Random(5);
        for (var i = 0; i < 20_000; i++)
        {
            var record = new byte[random.Next(0, 120)];
            random.NextBytes(record);
            if (record.Length > 5) (record[0], record[5]) = (22, 2);
            ServerHello.SelectedVersion(record);
        }
    }

    [Fact]
    public void Prometheus_lines_are_read_with_their_labels()
    {
        var samples = PrometheusText.Parse("# HELP x y\nplain 5\nwith{a=\"b\",c=\"d\\\"e\"} 1.5e3\nbroken{a=\n{} 5\nno_value\n");
        Assert.Equal(2, samples.Count);
        Assert.Equal(5, samples[0].Value);
        Assert.Equal("d\"e", samples[1].Label("c"));
        Assert.Equal(1500, samples[1].Value);
    }
}
