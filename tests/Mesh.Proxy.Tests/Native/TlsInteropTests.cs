using System.Globalization;
using System.Net;
using System.Net.Sockets;
using Mesh.Proxy.Native;
using Mesh.Spiffe;
using Mesh.Testing;
using TcpListener = Mesh.Proxy.Native.TcpListener;

namespace Mesh.Proxy.Tests.Native;

/// <summary>Our side of TLS against OpenSSL's and GnuTLS's command line programs.</summary>
public sealed class TlsInteropTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();
    private readonly LoopThread _loop = new();
    private readonly TlsParties _parties = new(demand: ClientCertificates.Required);
    private readonly TcpListener _listener;
    private readonly string[] _client;

    public TlsInteropTests()
    {
        _listener = _loop.On(() => TcpListener.Listen(_loop.Loop, new IPEndPoint(IPAddress.Loopback, 0))).GetAwaiter().GetResult();
        string chain = _directory.Write("client.crt", _parties.ClientSvid.ChainToPem());
        string key = _directory.Write("client.key", _parties.ClientSvid.KeyToPem());
        string root = _directory.Write("root.crt", _parties.Authority.CertificatePem);
        _client = ["-cert", chain, "-cert_chain", chain, "-key", key, "-CAfile", root];
    }

    public void Dispose()
    {
        _loop.Dispose();
        _parties.Dispose();
        _directory.Dispose();
    }

    private string Address => string.Create(CultureInfo.InvariantCulture, $"127.0.0.1:{_listener.Local.Port}");

    private Task<TlsHandshakeResult> AcceptAsync(TlsContext? context = null) => _loop.On(async () =>
    {
        (_, TcpTransport? tcp) = await _listener.AcceptAsync();
        return await TlsTransport.AcceptAsync(tcp!, context ?? _parties.Server, _parties.Verify, LoopThread.Limit);
    });

    private async Task EchoLineAsync(TlsTransport transport, Tool tool, string line)
    {
        await tool.Input.WriteAsync(line + "\n");
        await tool.Input.FlushAsync();
        byte[] expected = System.Text.Encoding.ASCII.GetBytes(line + "\n");
        await _loop.On(async () =>
        {
            Assert.Equal(expected, await TcpTests.ReadExactlyAsync(transport, expected.Length));
            Assert.Equal(IoStatus.Ok, await transport.WriteAllAsync(System.Text.Encoding.ASCII.GetBytes("echo " + line + "\n")));
        });
        await tool.OutputContaining("echo " + line);
    }

    [Fact]
    public async Task Openssl_s_client_connects_with_its_SVID_and_talks()
    {
        Task<TlsHandshakeResult> accept = AcceptAsync();
        await using Tool tool = Tool.Start("openssl", ["s_client", "-connect", Address, "-servername", "web.mesh", "-verify_return_error", "-no_ign_eof", .. _client]);
        TlsHandshakeResult result = await accept;
        Assert.Equal(TlsHandshakeFailure.None, result.Failure);
        Assert.Equal(TlsParties.ClientId, result.Verdict!.Id!.ToString());
        Assert.Equal("web.mesh", result.Sni);
        await EchoLineAsync(result.Transport!, tool, "hello");
        Assert.Contains("TLSv1.3", tool.Output, StringComparison.Ordinal);
        Assert.Contains("Verify return code: 0 (ok)", tool.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("TLS session ticket:", tool.Output, StringComparison.Ordinal);
        // Q ends the connection in an orderly way.
        await tool.Input.WriteAsync("Q\n");
        await tool.Input.FlushAsync();
        await _loop.On(async () => Assert.Equal(IoStatus.End, (await TcpTests.ReadToEndAsync(result.Transport!)).End));
    }

    [Fact]
    public async Task Key_updates_asked_for_by_the_peer_are_answered_and_data_go_on()
    {
        Task<TlsHandshakeResult> accept = AcceptAsync();
        await using Tool tool = Tool.Start("openssl", ["s_client", "-connect", Address, .. _client]);
        TlsTransport transport = (await accept).Transport!;
        await EchoLineAsync(transport, tool, "before");
        // K: update our keys and ask the peer for the same. It takes the rest of what it has read for part of the command, so wait until it says so.
        await tool.Input.WriteAsync("K\n");
        await tool.Input.FlushAsync();
        await tool.OutputContaining("KEYUPDATE");
        await EchoLineAsync(transport, tool, "between");
        await tool.Input.WriteAsync("k\n");
        await tool.Input.FlushAsync();
        await tool.OutputContaining("KEYUPDATE", times: 2);
        await EchoLineAsync(transport, tool, "after");
    }

    [Fact]
    public async Task A_flood_of_key_updates_ends_the_connection()
    {
        Task<TlsHandshakeResult> accept = AcceptAsync();
        await using Tool tool = Tool.Start("openssl", ["s_client", "-connect", Address, .. _client]);
        TlsTransport transport = (await accept).Transport!;
        await EchoLineAsync(transport, tool, "before");
        Task<IoStatus> end = _loop.On(async () => (await TcpTests.ReadToEndAsync(transport)).End);
        // s_client takes one command per read of its input.
        for (int i = 0; i < 200 && !end.IsCompleted; i++)
        {
            await tool.Input.WriteAsync("k\n");
            await tool.Input.FlushAsync();
            await Task.WhenAny(end, Task.Delay(20));
        }

        Assert.Equal(IoStatus.TlsViolation, await end);
        await _loop.On(() => { transport.Dispose(); return 0; });
    }

    [Fact]
    public async Task Openssl_s_client_of_TLS_1_2_is_refused()
    {
        Task<TlsHandshakeResult> accept = AcceptAsync();
        await using Tool tool = Tool.Start("openssl", ["s_client", "-connect", Address, "-tls1_2", .. _client]);
        Assert.Equal(TlsHandshakeFailure.ProtocolVersion, (await accept).Failure);
        await tool.OutputContaining("protocol version");
    }

    [Fact]
    public async Task Openssl_s_client_without_a_certificate_is_told_that_one_is_required()
    {
        Task<TlsHandshakeResult> accept = AcceptAsync();
        await using Tool tool = Tool.Start("openssl", ["s_client", "-connect", Address, "-ign_eof"]);
        Assert.Equal(TlsHandshakeFailure.NoCertificate, (await accept).Failure);
        await tool.OutputContaining("certificate required");
    }

    [Fact]
    public async Task No_session_is_given_to_be_resumed()
    {
        string session = _directory.File("session.pem");
        Task<TlsHandshakeResult> accept = AcceptAsync();
        await using Tool tool = Tool.Start("openssl", ["s_client", "-connect", Address, "-sess_out", session, "-state", .. _client]);
        TlsHandshakeResult result = await accept;
        await EchoLineAsync(result.Transport!, tool, "hello");
        await _loop.On(() => result.Transport!.ShutdownWriteAsync());
        Assert.Equal(0, await tool.ExitAsync());
        Assert.DoesNotContain("ession ticket", tool.Output.ToLowerInvariant(), StringComparison.Ordinal);
        Assert.False(File.Exists(session));
    }

    [Fact]
    public async Task A_session_of_another_server_under_our_own_certificate_is_not_resumed()
    {
        // The same key and certificate in a server that gives tickets, which are offered to ours then.
        int port = FreePort();
        string session = _directory.File("session.pem");
        string chain = _directory.Write("server.crt", _parties.ServerSvid.ChainToPem());
        string key = _directory.Write("server.key", _parties.ServerSvid.KeyToPem());
        await using (Tool giver = Tool.Start("openssl", "s_server", "-accept", string.Create(CultureInfo.InvariantCulture, $"127.0.0.1:{port}"), "-cert", chain, "-cert_chain", chain, "-key", key, "-rev"))
        {
            await giver.OutputContaining("ACCEPT");
            await using Tool taker = Tool.Start("openssl", ["s_client", "-connect", string.Create(CultureInfo.InvariantCulture, $"127.0.0.1:{port}"), "-sess_out", session, .. _client]);
            await taker.Input.WriteAsync("abc\n");
            await taker.Input.FlushAsync();
            await taker.OutputContaining("cba");
        }

        Assert.True(File.Exists(session), "openssl's own server gave no ticket");
        Task<TlsHandshakeResult> accept = AcceptAsync();
        await using Tool tool = Tool.Start("openssl", ["s_client", "-connect", Address, "-sess_in", session, .. _client]);
        TlsHandshakeResult result = await accept;
        // A resumed handshake shows no certificate; this one was judged anew.
        Assert.Equal(TlsParties.ClientId, result.Verdict!.Id!.ToString());
        await EchoLineAsync(result.Transport!, tool, "hello");
        Assert.Contains("New, TLSv1.3", tool.Output, StringComparison.Ordinal);
        Assert.DoesNotContain("Reused, TLSv1.3", tool.Output, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Gnutls_cli_connects_with_its_SVID_and_talks()
    {
        Task<TlsHandshakeResult> accept = AcceptAsync();
        await using Tool tool = Tool.Start("gnutls-cli", "--port", _listener.Local.Port.ToString(CultureInfo.InvariantCulture), "--x509certfile", _directory.File("client.crt"),
            "--x509keyfile", _directory.File("client.key"), "--no-ca-verification", "--priority", "NORMAL:-VERS-ALL:+VERS-TLS1.3", "127.0.0.1");
        TlsHandshakeResult result = await accept;
        Assert.Equal(TlsHandshakeFailure.None, result.Failure);
        Assert.Equal(TlsParties.ClientId, result.Verdict!.Id!.ToString());
        await EchoLineAsync(result.Transport!, tool, "hello");
        tool.Input.Close();
        await _loop.On(async () => Assert.Equal(IoStatus.End, (await TcpTests.ReadToEndAsync(result.Transport!)).End));
    }

    [Fact]
    public async Task We_connect_to_openssl_s_server_and_it_sees_our_SVID()
    {
        int port = FreePort();
        string chain = _directory.Write("server.crt", _parties.ServerSvid.ChainToPem());
        string key = _directory.Write("server.key", _parties.ServerSvid.KeyToPem());
        await using Tool tool = Tool.Start("openssl", "s_server", "-accept", string.Create(CultureInfo.InvariantCulture, $"127.0.0.1:{port}"), "-cert", chain, "-cert_chain", chain, "-key", key,
            "-CAfile", _directory.File("root.crt"), "-Verify", "3", "-verify_return_error", "-rev");
        await tool.OutputContaining("ACCEPT");
        await _loop.On(async () =>
        {
            (_, TcpTransport? tcp) = await TcpTransport.ConnectAsync(_loop.Loop, new IPEndPoint(IPAddress.Loopback, port), LoopThread.Limit, CancellationToken.None);
            TlsHandshakeResult result = await TlsTransport.ConnectAsync(tcp!, _parties.Client, "web.mesh", _parties.Verify, LoopThread.Limit, CancellationToken.None);
            using TlsTransport transport = result.Transport!;
            Assert.Equal(TlsParties.ServerId, result.Verdict!.Id!.ToString());
            // The server sends two session tickets first, which are nothing to us; then the line in reverse.
            await transport.WriteAllAsync("abc\n"u8.ToArray());
            Assert.Equal("cba\n"u8.ToArray(), await TcpTests.ReadExactlyAsync(transport, 4));
        });
    }

    private static int FreePort()
    {
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        socket.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        return ((IPEndPoint)socket.LocalEndPoint!).Port;
    }
}
