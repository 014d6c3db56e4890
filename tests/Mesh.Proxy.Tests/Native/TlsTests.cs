using System.Net;
using System.Net.Security;
using System.Net.Sockets;
using System.Security.Authentication;
using System.Security.Cryptography;
using Mesh.Proxy.Native;
using Mesh.Spiffe;

namespace Mesh.Proxy.Tests.Native;

public sealed class TlsTests
{
    [Fact]
    public async Task Both_sides_learn_who_the_other_is_and_what_was_agreed()
    {
        using var loop = new LoopThread();
        using var parties = new TlsParties(serverAlpn: ["b", "a"], clientAlpn: ["a", "b"]);
        await loop.On(async () =>
        {
            (TlsHandshakeResult client, TlsHandshakeResult server) = await parties.HandshakeAsync(loop.Loop, "web.shop.serviceaccount.identity.mesh.example.org");
            using (client.Transport)
            using (server.Transport)
            {
                Assert.Equal(TlsParties.ServerId, client.Verdict!.Id!.ToString());
                Assert.Equal(TlsParties.ClientId, server.Verdict!.Id!.ToString());
                Assert.Equal("web.shop.serviceaccount.identity.mesh.example.org", server.Sni);
                Assert.Null(client.Sni);
                Assert.Equal("b", server.Alpn);
                Assert.Equal("b", client.Alpn);
                Assert.Equal("TLS_AES_128_GCM_SHA256", client.Cipher);
                Assert.Equal(client.Cipher, server.Cipher);
                Assert.Contains(client.Group, new List<string> { "x25519", "X25519", "X25519MLKEM768" });
                Assert.Equal(client.Group, server.Group);
            }
        });
    }

    [Theory]
    [InlineData(1)]
    [InlineData(200)]
    [InlineData(16_384)]
    [InlineData(16_385)]
    [InlineData(65_536)]
    [InlineData(1_000_003)]
    public async Task Carries_any_amount_both_ways(int size)
    {
        using var loop = new LoopThread();
        using var parties = new TlsParties();
        byte[] data = RandomNumberGenerator.GetBytes(size);
        await loop.On(async () =>
        {
            (TlsTransport client, TlsTransport server) = await parties.ConnectAsync(loop.Loop);
            using (client)
            using (server)
            {
                foreach ((TlsTransport from, TlsTransport to) in new[] { (client, server), (server, client) })
                {
                    ValueTask<IoStatus> sent = from.WriteAllAsync(data);
                    Assert.Equal(data, await TcpTests.ReadExactlyAsync(to, size));
                    Assert.Equal(IoStatus.Ok, await sent);
                    Assert.Equal(size, from.BytesOut);
                    Assert.Equal(size, to.BytesIn);
                }
            }
        });
    }

    [Fact]
    public async Task Data_that_arrive_with_the_last_flight_of_the_handshake_are_readable_at_once()
    {
        using var loop = new LoopThread();
        using var parties = new TlsParties();
        await loop.On(async () =>
        {
            (TcpTransport tcpClient, TcpTransport tcpServer) = await TcpTests.PairAsync(loop.Loop);
            Task<TlsHandshakeResult> accept = TlsTransport.AcceptAsync(tcpServer, parties.Server, parties.Verify, LoopThread.Limit).AsTask();
            TlsHandshakeResult connected = await TlsTransport.ConnectAsync(tcpClient, parties.Client, "x", parties.Verify, LoopThread.Limit, CancellationToken.None);
            using TlsTransport client = connected.Transport!;
            // No turn of the loop between the two: one read takes the Finished and the data.
            Assert.False(accept.IsCompleted);
            Assert.Equal(5, client.Write("early"u8).Bytes);
            using TlsTransport server = (await accept).Transport!;
            Assert.Equal("early"u8.ToArray(), await TcpTests.ReadExactlyAsync(server, 5));
        });
    }

    [Fact]
    public async Task Each_direction_ends_by_itself_with_close_notify()
    {
        using var loop = new LoopThread();
        using var parties = new TlsParties();
        await loop.On(async () =>
        {
            (TlsTransport client, TlsTransport server) = await parties.ConnectAsync(loop.Loop);
            using (client)
            using (server)
            {
                Assert.Equal(IoStatus.Ok, await client.WriteAllAsync("question"u8.ToArray()));
                Assert.Equal(IoStatus.Ok, await client.ShutdownWriteAsync());
                (byte[] bytes, IoStatus end) = await TcpTests.ReadToEndAsync(server);
                Assert.Equal("question"u8.ToArray(), bytes);
                Assert.Equal(IoStatus.End, end);
                byte[] answer = RandomNumberGenerator.GetBytes(300_000);
                Task<(byte[] Bytes, IoStatus End)> reading = TcpTests.ReadToEndAsync(client).AsTask();
                Assert.Equal(IoStatus.Ok, await server.WriteAllAsync(answer));
                Assert.Equal(IoStatus.Ok, await server.ShutdownWriteAsync());
                (bytes, end) = await reading;
                Assert.Equal(answer, bytes);
                Assert.Equal(IoStatus.End, end);
            }
        });
    }

    [Fact]
    public async Task A_connection_closed_without_close_notify_reads_as_truncated_not_as_ended()
    {
        using var loop = new LoopThread();
        using var parties = new TlsParties();
        await loop.On(async () =>
        {
            (TlsTransport client, TlsTransport server) = await parties.ConnectAsync(loop.Loop);
            using (server)
            {
                await client.WriteAllAsync("part"u8.ToArray());
                client.Dispose();
                (byte[] bytes, IoStatus end) = await TcpTests.ReadToEndAsync(server);
                Assert.Equal("part"u8.ToArray(), bytes);
                Assert.Equal(IoStatus.Truncated, end);
            }
        });
    }

    [Fact]
    public async Task A_reset_reads_as_a_reset()
    {
        using var loop = new LoopThread();
        using var parties = new TlsParties();
        await loop.On(async () =>
        {
            (TlsTransport client, TlsTransport server) = await parties.ConnectAsync(loop.Loop);
            using (server)
            {
                client.Abort();
                Assert.Equal(IoStatus.Reset, (await TcpTests.ReadToEndAsync(server)).End);
            }
        });
    }

    [Fact]
    public async Task A_client_without_a_certificate_is_refused_where_one_is_required()
    {
        using var loop = new LoopThread();
        using var parties = new TlsParties(clientShowsCertificate: false);
        await loop.On(async () =>
        {
            (TlsHandshakeResult client, TlsHandshakeResult server) = await parties.HandshakeAsync(loop.Loop);
            Assert.Equal(TlsHandshakeFailure.NoCertificate, server.Failure);
            Assert.Null(server.Transport);
            using TlsTransport transport = client.Transport!;
            Assert.Equal(IoStatus.TlsAlert, (await TcpTests.ReadToEndAsync(transport)).End);
            Assert.Equal((byte)116, transport.PeerAlert);
        });
    }

    [Fact]
    public async Task A_client_without_a_certificate_is_taken_where_one_is_optional()
    {
        using var loop = new LoopThread();
        using var parties = new TlsParties(clientShowsCertificate: false, demand: ClientCertificates.Optional);
        await loop.On(async () =>
        {
            (TlsHandshakeResult client, TlsHandshakeResult server) = await parties.HandshakeAsync(loop.Loop);
            using (client.Transport)
            using (server.Transport)
            {
                Assert.Equal(TlsHandshakeFailure.None, server.Failure);
                Assert.Null(server.Verdict);
            }
        });
    }

    [Fact]
    public async Task A_client_certificate_is_not_asked_for_where_none_is_wanted()
    {
        using var loop = new LoopThread();
        using var parties = new TlsParties(demand: ClientCertificates.NotAsked);
        await loop.On(async () =>
        {
            (TlsHandshakeResult client, TlsHandshakeResult server) = await parties.HandshakeAsync(loop.Loop);
            using (client.Transport)
            using (server.Transport)
            {
                Assert.Equal(TlsHandshakeFailure.None, server.Failure);
                Assert.Null(server.Verdict);
            }
        });
    }

    [Fact]
    public async Task An_expired_client_certificate_is_refused_with_the_alert_that_says_so()
    {
        using var loop = new LoopThread();
        using var parties = new TlsParties(client: o => o with { NotBefore = DateTimeOffset.UtcNow.AddHours(-2), NotAfter = DateTimeOffset.UtcNow.AddMinutes(-1) });
        await loop.On(async () =>
        {
            (TlsHandshakeResult client, TlsHandshakeResult server) = await parties.HandshakeAsync(loop.Loop);
            Assert.Equal(TlsHandshakeFailure.CertificateRejected, server.Failure);
            Assert.Equal(SvidFault.Expired, server.Verdict!.Fault);
            using TlsTransport transport = client.Transport!;
            Assert.Equal(IoStatus.TlsAlert, (await TcpTests.ReadToEndAsync(transport)).End);
            Assert.Equal((byte)45, transport.PeerAlert);
        });
    }

    [Fact]
    public async Task A_server_of_another_authority_is_refused_and_learns_it_as_unknown_ca()
    {
        using var loop = new LoopThread();
        using var parties = new TlsParties();
        using var others = new TlsParties();
        await loop.On(async () =>
        {
            (TlsHandshakeResult client, TlsHandshakeResult server) = await parties.HandshakeAsync(loop.Loop, clientVerifies: others.Verify);
            Assert.Equal(TlsHandshakeFailure.CertificateRejected, client.Failure);
            Assert.Equal(SvidFault.UntrustedChain, client.Verdict!.Fault);
            Assert.Equal(TlsHandshakeFailure.RejectedByPeer, server.Failure);
            Assert.Equal((byte)48, server.PeerAlert);
        });
    }

    [Fact]
    public async Task A_verifier_that_throws_refuses_the_peer_and_the_exception_reaches_the_caller()
    {
        using var loop = new LoopThread();
        using var parties = new TlsParties();
        await loop.On(async () =>
        {
            (TcpTransport client, TcpTransport server) = await TcpTests.PairAsync(loop.Loop);
            Task<TlsHandshakeResult> accept = TlsTransport.AcceptAsync(server, parties.Server, parties.Verify, LoopThread.Limit).AsTask();
            await Assert.ThrowsAsync<InvalidTimeZoneException>(() =>
                TlsTransport.ConnectAsync(client, parties.Client, "x", _ => throw new InvalidTimeZoneException(), LoopThread.Limit, CancellationToken.None).AsTask());
            Assert.Equal(TlsHandshakeFailure.RejectedByPeer, (await accept).Failure);
        });
    }

    [Fact]
    public async Task Nothing_in_common_in_ALPN_ends_the_handshake()
    {
        using var loop = new LoopThread();
        using var parties = new TlsParties(serverAlpn: ["h2"], clientAlpn: ["spdy/1"]);
        await loop.On(async () =>
        {
            (TlsHandshakeResult client, TlsHandshakeResult server) = await parties.HandshakeAsync(loop.Loop);
            Assert.Equal(TlsHandshakeFailure.NoApplicationProtocol, server.Failure);
            Assert.Equal(TlsHandshakeFailure.RejectedByPeer, client.Failure);
            Assert.Equal((byte)120, client.PeerAlert);
        });
    }

    [Theory]
    [InlineData("GET / HTTP/1.1\r\nHost: x\r\n\r\n", 3)]
    [InlineData("\x16\x03\x01\xff\xff", 3)]
    [InlineData("SSH-2.0-OpenSSH_9.2\r\n", 3)]
    public async Task Bytes_that_are_not_TLS_are_told_as_such(string text, int failure)
    {
        using var loop = new LoopThread();
        using var parties = new TlsParties();
        await loop.On(async () =>
        {
            (TcpTransport client, TcpTransport server) = await TcpTests.PairAsync(loop.Loop);
            using (client)
            {
                await client.WriteAllAsync(System.Text.Encoding.Latin1.GetBytes(text));
                TlsHandshakeResult result = await TlsTransport.AcceptAsync(server, parties.Server, parties.Verify, LoopThread.Limit);
                Assert.Equal((TlsHandshakeFailure)failure, result.Failure);
            }
        });
    }

    [Fact]
    public async Task A_peer_that_says_nothing_or_stops_in_the_middle_times_out()
    {
        using var loop = new LoopThread();
        using var parties = new TlsParties();
        await loop.On(async () =>
        {
            foreach (int bytes in new[] { 0, 1, 100 })
            {
                (TcpTransport client, TcpTransport server) = await TcpTests.PairAsync(loop.Loop);
                using (client)
                {
                    byte[] hello = new byte[600];
                    "\x16\x03\x01\x02\x00\x01"u8.CopyTo(hello);
                    await client.WriteAllAsync(hello.AsMemory(0, bytes));
                    TlsHandshakeResult result = await TlsTransport.AcceptAsync(server, parties.Server, parties.Verify, TimeSpan.FromMilliseconds(50));
                    Assert.Equal(TlsHandshakeFailure.Timeout, result.Failure);
                }
            }
        });
    }

    [Fact]
    public async Task A_peer_that_goes_away_in_the_middle_is_told_as_such()
    {
        using var loop = new LoopThread();
        using var parties = new TlsParties();
        await loop.On(async () =>
        {
            foreach (bool reset in new[] { false, true })
            {
                (TcpTransport client, TcpTransport server) = await TcpTests.PairAsync(loop.Loop);
                await client.WriteAllAsync(new byte[] { 0x16, 0x03, 0x01, 0x02, 0x00, 0x01, 0x00 });
                if (reset) client.Abort();
                else client.Dispose();
                TlsHandshakeResult result = await TlsTransport.AcceptAsync(server, parties.Server, parties.Verify, LoopThread.Limit);
                Assert.Equal(TlsHandshakeFailure.PeerClosed, result.Failure);
            }
        });
    }

    [Fact]
    public async Task A_TLS_1_2_client_is_refused_and_told_which_version_is_wanted()
    {
        using var loop = new LoopThread();
        using var parties = new TlsParties(demand: ClientCertificates.NotAsked);
        using var socket = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        Mesh.Proxy.Native.TcpListener listener = await loop.ListenAsync();
        Task<TlsHandshakeResult> accept = loop.On(async () =>
        {
            (_, TcpTransport? tcp) = await listener.AcceptAsync();
            return await TlsTransport.AcceptAsync(tcp!, parties.Server, parties.Verify, LoopThread.Limit);
        });
        await socket.ConnectAsync(listener.Local);
        await using var stream = new SslStream(new NetworkStream(socket));
        await Assert.ThrowsAnyAsync<AuthenticationException>(() => stream.AuthenticateAsClientAsync(new SslClientAuthenticationOptions
        {
            EnabledSslProtocols = SslProtocols.Tls12,
            TargetHost = "x",
        }));
        Assert.Equal(TlsHandshakeFailure.ProtocolVersion, (await accept).Failure);
        await loop.On(() => { listener.Dispose(); return 0; });
    }

    [Fact]
    public async Task A_disposed_context_serves_the_connections_it_has()
    {
        using var loop = new LoopThread();
        int before = NativeCounts.TlsContextsAlive;
        var parties = new TlsParties(serverAlpn: ["x"], clientAlpn: ["x"]);
        await loop.On(async () =>
        {
            (TlsTransport client, TlsTransport server) = await parties.ConnectAsync(loop.Loop);
            parties.Dispose();
            Assert.Equal(IoStatus.Ok, await client.WriteAllAsync("still"u8.ToArray()));
            Assert.Equal("still"u8.ToArray(), await TcpTests.ReadExactlyAsync(server, 5));
            client.Dispose();
            server.Dispose();
        });
        Assert.Throws<ObjectDisposedException>(() => parties.Server.CreateConnection());
    }

    [Fact]
    public async Task Failing_handshakes_beside_it_do_not_disturb_a_warm_connection()
    {
        using var loop = new LoopThread();
        using var parties = new TlsParties();
        using var strangers = new TlsParties();
        await loop.On(async () =>
        {
            (TlsTransport client, TlsTransport server) = await parties.ConnectAsync(loop.Loop);
            using (client)
            using (server)
            {
                Task failing = FailAsync();
                byte[] data = new byte[100];
                while (!failing.IsCompleted)
                {
                    // An error left in the thread's queue by anybody: a read that finds nothing must not take it for its own.
                    LeaveErrorBehind();
                    Assert.Equal(IoStatus.WouldBlock, server.Read(data).Status);
                    Assert.Equal(IoStatus.Ok, await client.WriteAllAsync(data));
                    Assert.Equal(data, await TcpTests.ReadExactlyAsync(server, data.Length));
                    await loop.Loop.YieldAsync();
                }

                await failing;
                LeaveErrorBehind();
                Assert.Equal(IoStatus.Ok, await client.ShutdownWriteAsync());
                Assert.Equal(IoStatus.End, (await TcpTests.ReadToEndAsync(server)).End);
            }
        });

        async Task FailAsync()
        {
            for (int i = 0; i < 30; i++)
            {
                (TlsHandshakeResult a, TlsHandshakeResult b) = await parties.HandshakeAsync(loop.Loop, serverVerifies: strangers.Verify);
                a.Transport?.Dispose();
                Assert.Equal(TlsHandshakeFailure.CertificateRejected, b.Failure);
                (TcpTransport tcp, TcpTransport server) = await TcpTests.PairAsync(loop.Loop);
                await tcp.WriteAllAsync("no TLS at all, but long enough"u8.ToArray());
                Assert.Equal(TlsHandshakeFailure.NotTls, (await TlsTransport.AcceptAsync(server, parties.Server, parties.Verify, LoopThread.Limit)).Failure);
                tcp.Dispose();
            }
        }

        static unsafe void LeaveErrorBehind()
        {
            byte junk = 0x30;
            byte* position = &junk;
            Assert.Equal(0, OpenSsl.d2i_X509(null, &position, 1));
            Assert.NotEqual(0UL, OpenSsl.ERR_peek_last_error());
        }
    }

    [Fact]
    public async Task A_record_that_was_altered_on_the_way_ends_the_connection_and_no_byte_of_it_is_delivered()
    {
        using var loop = new LoopThread();
        using var parties = new TlsParties();
        await loop.On(async () =>
        {
            // client == relay == server, where the relay flips one bit of what follows the handshake.
            (TcpTransport clientTcp, TcpTransport relayIn) = await TcpTests.PairAsync(loop.Loop);
            (TcpTransport relayOut, TcpTransport serverTcp) = await TcpTests.PairAsync(loop.Loop);
            bool tamper = false;
            Task there = RelayAsync(relayIn, relayOut, () => tamper), back = RelayAsync(relayOut, relayIn, () => false);
            ValueTask<TlsHandshakeResult> accept = TlsTransport.AcceptAsync(serverTcp, parties.Server, parties.Verify, LoopThread.Limit);
            using TlsTransport client = (await TlsTransport.ConnectAsync(clientTcp, parties.Client, "x", parties.Verify, LoopThread.Limit, CancellationToken.None)).Transport!;
            using TlsTransport server = (await accept).Transport!;
            await client.WriteAllAsync("whole"u8.ToArray());
            Assert.Equal("whole"u8.ToArray(), await TcpTests.ReadExactlyAsync(server, 5));
            tamper = true;
            await client.WriteAllAsync("altered"u8.ToArray());
            (byte[] bytes, IoStatus end) = await TcpTests.ReadToEndAsync(server);
            Assert.Empty(bytes);
            Assert.Equal(IoStatus.TlsViolation, end);
            Assert.Equal(IoStatus.TlsViolation, server.Write("more"u8).Status);
            Assert.Equal(IoStatus.TlsAlert, (await TcpTests.ReadToEndAsync(client)).End);
            Assert.Equal((byte)20, client.PeerAlert);
            relayIn.Dispose();
            relayOut.Dispose();
            await there;
            await back;
        });

        static async Task RelayAsync(TcpTransport from, TcpTransport to, Func<bool> tamper)
        {
            byte[] buffer = new byte[20_000];
            while (await from.ReadableAsync() == IoStatus.Ok)
            {
                IoResult read = from.Read(buffer);
                if (read.Status == IoStatus.WouldBlock) continue;
                if (read.Status != IoStatus.Ok) return;
                if (tamper()) buffer[read.Bytes / 2] ^= 1;
                await to.WriteAllAsync(buffer.AsMemory(0, read.Bytes));
            }
        }
    }

    [Fact]
    public async Task Random_bytes_instead_of_a_hello_end_in_a_failure_of_their_own_connection()
    {
        using var loop = new LoopThread();
        using var parties = new TlsParties();
        await loop.On(async () =>
        {
            var random = new Random(7);
            for (int i = 0; i < 300; i++)
            {
                byte[] junk = new byte[random.Next(1, 2000)];
                random.NextBytes(junk);
                // Half of them look like the start of a handshake record.
                if (i % 2 == 0 && junk.Length > 10) new byte[] { 0x16, 3, 1, 0, (byte)Math.Min(255, junk.Length - 5), 1, 0, 0 }.CopyTo(junk, 0);
                (TcpTransport client, TcpTransport server) = await TcpTests.PairAsync(loop.Loop);
                await client.WriteAllAsync(junk);
                await client.ShutdownWriteAsync();
                TlsHandshakeResult result = await TlsTransport.AcceptAsync(server, parties.Server, parties.Verify, LoopThread.Limit);
                Assert.NotEqual(TlsHandshakeFailure.None, result.Failure);
                Assert.NotEqual(TlsHandshakeFailure.Timeout, result.Failure);
                client.Dispose();
            }

            (TlsTransport a, TlsTransport b) = await parties.ConnectAsync(loop.Loop);
            a.Dispose();
            b.Dispose();
        });
    }
}
