using System.Net;
using System.Net.Sockets;
using System.Security.Cryptography;
using Mesh.Proxy.Native;
using TcpListener = Mesh.Proxy.Native.TcpListener;

namespace Mesh.Proxy.Tests.Native;

public sealed class TcpTests
{
    internal static async ValueTask<(TcpTransport Client, TcpTransport Server)> PairAsync(EventLoop loop, IPAddress? address = null)
    {
        using TcpListener listener = TcpListener.Listen(loop, new IPEndPoint(address ?? IPAddress.Loopback, 0));
        ValueTask<(IoStatus, TcpTransport?)> accept = listener.AcceptAsync();
        (IoStatus status, TcpTransport? client) = await TcpTransport.ConnectAsync(loop, listener.Local, LoopThread.Limit, CancellationToken.None);
        Assert.Equal(IoStatus.Ok, status);
        (status, TcpTransport? server) = await accept;
        Assert.Equal(IoStatus.Ok, status);
        return (client!, server!);
    }

    /// <summary>Reads until something other than bytes comes, and says what.</summary>
    internal static async ValueTask<(byte[] Bytes, IoStatus End)> ReadToEndAsync(Transport transport)
    {
        var all = new MemoryStream();
        byte[] buffer = new byte[20_000];
        while (true)
        {
            IoStatus ready = await transport.ReadableAsync();
            if (ready != IoStatus.Ok) return (all.ToArray(), ready);
            IoResult result = transport.Read(buffer);
            if (result.Status == IoStatus.Ok) all.Write(buffer, 0, result.Bytes);
            else if (result.Status != IoStatus.WouldBlock) return (all.ToArray(), result.Status);
        }
    }

    internal static async ValueTask<byte[]> ReadExactlyAsync(Transport transport, int count)
    {
        byte[] buffer = new byte[count];
        int have = 0;
        while (have < count)
        {
            Assert.Equal(IoStatus.Ok, await transport.ReadableAsync());
            IoResult result = transport.Read(buffer.AsSpan(have));
            if (result.Status == IoStatus.WouldBlock) continue;
            Assert.Equal(IoStatus.Ok, result.Status);
            have += result.Bytes;
        }

        return buffer;
    }

    [Theory]
    [InlineData("127.0.0.1")]
    [InlineData("::1")]
    public async Task Carries_bytes_both_ways_and_ends_each_direction_by_itself(string address)
    {
        Assert.SkipUnless(address != "::1" || Socket.OSSupportsIPv6, "no IPv6 here");
        using var loop = new LoopThread();
        await loop.On(async () =>
        {
            (TcpTransport client, TcpTransport server) = await PairAsync(loop.Loop, IPAddress.Parse(address));
            using (client)
            using (server)
            {
                Assert.Equal(client.Local, server.Remote);
                Assert.Equal(client.Remote, server.Local);
                Assert.Equal(IoStatus.Ok, await client.WriteAllAsync("ping"u8.ToArray()));
                Assert.Equal(IoStatus.Ok, await client.ShutdownWriteAsync());
                (byte[] bytes, IoStatus end) = await ReadToEndAsync(server);
                Assert.Equal("ping"u8.ToArray(), bytes);
                Assert.Equal(IoStatus.End, end);
                Assert.Equal(IoStatus.Ok, await server.WriteAllAsync("pong"u8.ToArray()));
                Assert.Equal("pong"u8.ToArray(), await ReadExactlyAsync(client, 4));
                server.Dispose();
                Assert.Equal(IoStatus.End, (await ReadToEndAsync(client)).End);
            }
        });
    }

    [Fact]
    public async Task A_listener_on_any_IPv6_address_takes_IPv4_and_shows_it_as_such()
    {
        Assert.SkipUnless(Socket.OSSupportsIPv6, "no IPv6 here");
        using var loop = new LoopThread();
        await loop.On(async () =>
        {
            using TcpListener listener = TcpListener.Listen(loop.Loop, new IPEndPoint(IPAddress.IPv6Any, 0));
            ValueTask<(IoStatus, TcpTransport?)> accept = listener.AcceptAsync();
            (_, TcpTransport? client) = await TcpTransport.ConnectAsync(loop.Loop, new IPEndPoint(IPAddress.Loopback, listener.Local.Port), LoopThread.Limit, CancellationToken.None);
            (_, TcpTransport? server) = await accept;
            using (client)
            using (server)
            {
                Assert.Equal(client!.Local, server!.Remote);
                Assert.Null(server.OriginalDestination);
            }
        });
    }

    [Fact]
    public async Task A_reset_by_the_peer_is_told_from_an_end()
    {
        using var loop = new LoopThread();
        await loop.On(async () =>
        {
            (TcpTransport client, TcpTransport server) = await PairAsync(loop.Loop);
            using (server)
            {
                client.Abort();
                (byte[] bytes, IoStatus end) = await ReadToEndAsync(server);
                Assert.Empty(bytes);
                Assert.Equal(IoStatus.Reset, end);
            }
        });
    }

    [Fact]
    public async Task A_reader_is_told_when_its_own_side_closes()
    {
        using var loop = new LoopThread();
        await loop.On(async () =>
        {
            (TcpTransport client, TcpTransport server) = await PairAsync(loop.Loop);
            using (client)
            {
                ValueTask<IoStatus> waiting = server.ReadableAsync();
                server.Dispose();
                Assert.Equal(IoStatus.Closed, await waiting);
                Assert.Equal(IoStatus.Closed, server.Read(new byte[1]).Status);
                Assert.Equal(IoStatus.Closed, server.Write(new byte[1]).Status);
                Assert.Equal(IoStatus.Closed, await server.ReadableAsync());
            }
        });
    }

    [Fact]
    public async Task Connecting_to_a_port_nobody_listens_on_is_refused()
    {
        using var loop = new LoopThread();
        (IoStatus status, TcpTransport? transport) = await loop.On(async () =>
        {
            TcpListener listener = TcpListener.Listen(loop.Loop, new IPEndPoint(IPAddress.Loopback, 0));
            IPEndPoint free = listener.Local;
            listener.Dispose();
            return await TcpTransport.ConnectAsync(loop.Loop, free, LoopThread.Limit, CancellationToken.None);
        });
        Assert.Equal(IoStatus.Refused, status);
        Assert.Null(transport);
        Assert.Equal(0, await loop.On(() => loop.Loop.SocketCount));
    }

    [Fact]
    public async Task A_connection_that_met_itself_is_no_connection()
    {
        if (await NetworkNamespace.MissingAsync() is { } missing) Assert.Skip(missing);
        await using NetworkNamespace network = await NetworkNamespace.CreateAsync();
        // The kernel chooses the local end from a range of two; dialling one of them meets itself every other time.
        await network.ExecAsync("sysctl", "-q", "-w", "net.ipv4.ip_local_port_range=40000 40001");
        using var loop = new LoopThread();
        List<IoStatus> seen = await loop.On(async () =>
        {
            network.Enter();
            var statuses = new List<IoStatus>();
            for (int i = 0; i < 40; i++)
            {
                (IoStatus status, TcpTransport? transport) = await TcpTransport.ConnectAsync(loop.Loop, new IPEndPoint(IPAddress.Loopback, 40000), LoopThread.Limit, CancellationToken.None);
                statuses.Add(status);
                transport?.Dispose();
            }

            return statuses;
        });
        Assert.Contains(IoStatus.SelfConnected, seen);
        Assert.DoesNotContain(IoStatus.Ok, seen);
    }

    [Fact]
    public async Task Connecting_to_a_host_that_does_not_answer_times_out()
    {
        using var loop = new LoopThread();
        // A full backlog drops SYNs: the one address on loopback that does not answer.
        using var full = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        full.Bind(new IPEndPoint(IPAddress.Loopback, 0));
        full.Listen(0);
        var fillers = new List<Socket>();
        try
        {
            for (int i = 0; i < 4; i++)
            {
                var filler = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp) { Blocking = false };
                fillers.Add(filler);
                try
                {
                    filler.Connect(full.LocalEndPoint!);
                }
                catch (SocketException inProgress) when (inProgress.SocketErrorCode == SocketError.WouldBlock)
                {
                }
            }

            (IoStatus status, _) = await loop.On(() => TcpTransport.ConnectAsync(loop.Loop, (IPEndPoint)full.LocalEndPoint!, TimeSpan.FromMilliseconds(100), CancellationToken.None));
            Assert.Equal(IoStatus.TimedOut, status);
        }
        finally
        {
            foreach (Socket filler in fillers) filler.Dispose();
        }
    }

    [Fact]
    public async Task Peeked_bytes_stay_and_more_can_be_waited_for()
    {
        using var loop = new LoopThread();
        await loop.On(async () =>
        {
            (TcpTransport client, TcpTransport server) = await PairAsync(loop.Loop);
            using (client)
            using (server)
            {
                byte[] seen = new byte[100];
                await client.WriteAllAsync("first"u8.ToArray());
                Assert.Equal(IoStatus.Ok, await server.ReadableAsync());
                Assert.Equal(5, server.Peek(seen).Bytes);
                ValueTask<IoStatus> more = server.MoreInputAsync();
                await client.WriteAllAsync("second"u8.ToArray());
                Assert.Equal(IoStatus.Ok, await more);
                Assert.Equal(11, server.Peek(seen).Bytes);
                // A wait that a timer ends must not hide what is already there.
                ValueTask<IoStatus> never = server.MoreInputAsync();
                server.Interrupt(IoStatus.TimedOut);
                Assert.Equal(IoStatus.TimedOut, await never);
                Assert.Equal("firstsecond"u8.ToArray(), await ReadExactlyAsync(server, 11));
            }
        });
    }

    [Fact]
    public async Task A_writer_waits_for_a_slow_reader_and_every_byte_arrives_in_order()
    {
        using var loop = new LoopThread();
        byte[] data = RandomNumberGenerator.GetBytes(8 * 1024 * 1024);
        await loop.On(async () =>
        {
            (TcpTransport client, TcpTransport server) = await PairAsync(loop.Loop);
            using (client)
            using (server)
            {
                int atOnce = 0;
                IoResult first;
                while ((first = client.Write(data.AsSpan(atOnce))).Status == IoStatus.Ok) atOnce += first.Bytes;
                Assert.Equal(IoStatus.WouldBlock, first.Status);
                Assert.InRange(atOnce, 1, data.Length - 1);
                ValueTask<IoStatus> rest = client.WriteAllAsync(data.AsMemory(atOnce));
                Assert.False(rest.IsCompleted);
                Assert.Equal(data, await ReadExactlyAsync(server, data.Length));
                Assert.Equal(IoStatus.Ok, await rest);
            }
        });
    }

    [Fact]
    public async Task One_byte_at_a_time_arrives_complete()
    {
        using var loop = new LoopThread();
        await loop.On(async () =>
        {
            (TcpTransport client, TcpTransport server) = await PairAsync(loop.Loop);
            using (client)
            using (server)
            {
                byte[] data = RandomNumberGenerator.GetBytes(3000);
                Task<byte[]> received = ReadExactlyAsync(server, data.Length).AsTask();
                for (int i = 0; i < data.Length; i++) Assert.Equal(IoStatus.Ok, await client.WriteAllAsync(data.AsMemory(i, 1)));
                Assert.Equal(data, await received);
            }
        });
    }

    [Fact]
    public async Task An_event_of_a_closed_socket_does_not_reach_the_one_that_reuses_its_number()
    {
        using var loop = new LoopThread();
        // Other threads open files as well and may take the number first; then the case has not arisen.
        for (int attempt = 0; attempt < 100; attempt++)
        {
            if (await loop.On(() => ReuseWithinABatchAsync(loop.Loop)) is not { } reached) continue;
            Assert.False(reached);
            return;
        }

        Assert.Fail("the number was never free");
    }

    // Whether the new holder of the number got the old one's event; null when the number was taken.
    private static async ValueTask<bool?> ReuseWithinABatchAsync(EventLoop loop)
    {
        (TcpTransport client, TcpTransport server) = await PairAsync(loop);
        (TcpTransport otherClient, TcpTransport otherServer) = await PairAsync(loop);
        using (client)
        using (server)
        using (otherClient)
        {
            // Never readable by itself.
            int counter = Libc.eventfd(0, Libc.EFD_NONBLOCK);
            // The first event of a new socket, that it is writable, goes by before.
            await loop.YieldAsync();
            await loop.YieldAsync();
            ValueTask<IoStatus> ready = server.ReadableAsync();
            await client.WriteAllAsync(new byte[1]);
            await otherClient.WriteAllAsync(new byte[1]);
            Assert.Equal(IoStatus.Ok, await ready);
            // Here the events of both are in one batch, and the second has not been looked at.
            int number = otherServer.Socket.Fd;
            otherServer.Dispose();
            int duplicate = fcntl(counter, 0, number);
            Libc.Close(counter);
            LoopSocket reused = LoopSocket.Open(loop, duplicate, writable: true, out _)!;
            await loop.YieldAsync();
            bool reached = reused.Readable;
            reused.Close(IoStatus.Closed);
            return duplicate == number ? reached : null;
        }
    }

    // F_DUPFD, 0: the lowest free number from the one given.
    [System.Runtime.InteropServices.DllImport("libc")]
    private static extern int fcntl(int fd, int command, int argument);

    [Fact]
    public async Task A_busy_connection_leaves_turns_to_the_others()
    {
        using var loop = new LoopThread(options: new EventLoopOptions { ReadBudgetPerTurn = 64 * 1024 });
        await loop.On(async () =>
        {
            (TcpTransport client, TcpTransport server) = await PairAsync(loop.Loop);
            using (client)
            using (server)
            {
                byte[] chunk = new byte[32 * 1024];
                for (int i = 0; i < 4; i++) client.Write(chunk);
                Assert.Equal(IoStatus.Ok, await server.ReadableAsync());
                long turn = loop.Loop.Turn;
                Assert.Equal(chunk.Length, server.Read(chunk).Bytes);
                Assert.Equal(IoStatus.Ok, await server.ReadableAsync());
                Assert.Equal(turn, loop.Loop.Turn);
                Assert.Equal(chunk.Length, server.Read(chunk).Bytes);
                Assert.Equal(IoStatus.Ok, await server.ReadableAsync());
                Assert.True(loop.Loop.Turn > turn);
            }
        });
    }
}
