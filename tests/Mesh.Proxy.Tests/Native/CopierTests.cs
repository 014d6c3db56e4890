using System.Buffers.Binary;
using System.Net;
using System.Security.Cryptography;
using Mesh.Proxy.Native;
using Mesh.Testing;

namespace Mesh.Proxy.Tests.Native;

/// <summary>client == downstream [copier] upstream == server, plain or with TLS on the upstream side.</summary>
public sealed class CopierTests
{
    private sealed class Relay(Transport client, Transport server, Transport downstream, Transport upstream, TimeSpan idle) : IDisposable
    {
        public Transport Client => client;

        public Transport Server => server;

        public Task<CopyOutcome> Outcome { get; } = Copier.CopyAsync(downstream, upstream, idle).AsTask();

        public static async ValueTask<Relay> StartAsync(EventLoop loop, TlsParties? tls, TimeSpan? idle = null)
        {
            (TcpTransport client, TcpTransport downstream) = await TcpTests.PairAsync(loop);
            if (tls is not null)
            {
                (TlsTransport upstream, TlsTransport server) = await tls.ConnectAsync(loop);
                return new Relay(client, server, downstream, upstream, idle ?? Timeout.InfiniteTimeSpan);
            }

            (TcpTransport plainUpstream, TcpTransport plainServer) = await TcpTests.PairAsync(loop);
            return new Relay(client, plainServer, downstream, plainUpstream, idle ?? Timeout.InfiniteTimeSpan);
        }

        public void Dispose()
        {
            client.Dispose();
            server.Dispose();
            downstream.Dispose();
            upstream.Dispose();
        }
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task Passes_on_the_end_of_one_direction_while_the_other_goes_on(bool tls)
    {
        using var loop = new LoopThread();
        using var parties = new TlsParties();
        await loop.On(async () =>
        {
            using Relay relay = await Relay.StartAsync(loop.Loop, tls ? parties : null);
            await relay.Client.WriteAllAsync("request"u8.ToArray());
            await relay.Client.ShutdownWriteAsync();
            (byte[] bytes, IoStatus end) = await TcpTests.ReadToEndAsync(relay.Server);
            Assert.Equal("request"u8.ToArray(), bytes);
            Assert.Equal(IoStatus.End, end);
            await relay.Server.WriteAllAsync("a late answer"u8.ToArray());
            Assert.Equal("a late answer"u8.ToArray(), await TcpTests.ReadExactlyAsync(relay.Client, 13));
            Assert.False(relay.Outcome.IsCompleted);
            await relay.Server.ShutdownWriteAsync();
            Assert.Equal(IoStatus.End, (await TcpTests.ReadToEndAsync(relay.Client)).End);
            Assert.Equal(new CopyOutcome(CopyResult.Completed, 7, 13), await relay.Outcome);
        });
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task The_server_may_end_first(bool tls)
    {
        using var loop = new LoopThread();
        using var parties = new TlsParties();
        await loop.On(async () =>
        {
            using Relay relay = await Relay.StartAsync(loop.Loop, tls ? parties : null);
            await relay.Server.WriteAllAsync("banner"u8.ToArray());
            await relay.Server.ShutdownWriteAsync();
            (byte[] bytes, IoStatus end) = await TcpTests.ReadToEndAsync(relay.Client);
            Assert.Equal("banner"u8.ToArray(), bytes);
            Assert.Equal(IoStatus.End, end);
            await relay.Client.WriteAllAsync("still talking"u8.ToArray());
            Assert.Equal("still talking"u8.ToArray(), await TcpTests.ReadExactlyAsync(relay.Server, 13));
            await relay.Client.ShutdownWriteAsync();
            Assert.Equal(new CopyOutcome(CopyResult.Completed, 13, 6), await relay.Outcome);
        });
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_reset_in_the_middle_resets_the_other_side_and_names_the_culprit(bool tls)
    {
        using var loop = new LoopThread();
        using var parties = new TlsParties();
        await loop.On(async () =>
        {
            using (Relay relay = await Relay.StartAsync(loop.Loop, tls ? parties : null))
            {
                await relay.Client.WriteAllAsync(new byte[100]);
                await TcpTests.ReadExactlyAsync(relay.Server, 100);
                relay.Client.Abort();
                Assert.Equal(CopyResult.DownstreamReset, (await relay.Outcome).Result);
                Assert.Equal(IoStatus.Reset, (await TcpTests.ReadToEndAsync(relay.Server)).End);
            }

            using (Relay relay = await Relay.StartAsync(loop.Loop, tls ? parties : null))
            {
                await relay.Client.WriteAllAsync(new byte[100]);
                await TcpTests.ReadExactlyAsync(relay.Server, 100);
                relay.Server.Abort();
                Assert.Equal(CopyResult.UpstreamReset, (await relay.Outcome).Result);
                Assert.Equal(IoStatus.Reset, (await TcpTests.ReadToEndAsync(relay.Client)).End);
            }
        });
    }

    [Fact]
    public async Task TLS_that_ends_without_close_notify_does_not_look_like_a_complete_answer()
    {
        using var loop = new LoopThread();
        using var parties = new TlsParties();
        await loop.On(async () =>
        {
            using Relay relay = await Relay.StartAsync(loop.Loop, parties);
            await relay.Server.WriteAllAsync("half an ans"u8.ToArray());
            await TcpTests.ReadExactlyAsync(relay.Client, 11);
            relay.Server.Dispose();
            Assert.Equal(new CopyOutcome(CopyResult.UpstreamTruncated, 0, 11), await relay.Outcome);
            Assert.Equal(IoStatus.Reset, (await TcpTests.ReadToEndAsync(relay.Client)).End);
        });
    }

    [Theory]
    [InlineData(false)]
    [InlineData(true)]
    public async Task A_reader_that_stands_still_stops_the_sender_and_costs_one_buffer(bool tls)
    {
        using var loop = new LoopThread();
        using var parties = new TlsParties();
        await loop.On(async () =>
        {
            using Relay relay = await Relay.StartAsync(loop.Loop, tls ? parties : null);
            byte[] chunk = new byte[64 * 1024];
            int idleTurns = 0;
            long sent = 0;
            while (idleTurns < 100)
            {
                IoResult result = relay.Client.Write(chunk);
                if (result.Status == IoStatus.Ok)
                {
                    sent += result.Bytes;
                    idleTurns = 0;
                    continue;
                }

                Assert.Equal(IoStatus.WouldBlock, result.Status);
                idleTurns++;
                await loop.Loop.YieldAsync();
            }

            // One buffer of the copier's, and with TLS one of sealed bytes that the socket did not take.
            Assert.InRange(loop.Loop.Buffers.Rented, 1, tls ? 2 : 1);
            // What the kernel holds on both connections; 64 MB would mean that somebody reads without end.
            Assert.InRange(sent, 1, 64 * 1024 * 1024);
            await relay.Client.ShutdownWriteAsync();
            (byte[] received, IoStatus end) = await TcpTests.ReadToEndAsync(relay.Server);
            Assert.Equal(sent, received.Length);
            Assert.Equal(IoStatus.End, end);
            Assert.Equal(0, loop.Loop.Buffers.Rented);
        });
    }

    [Fact]
    public async Task Ends_when_nothing_moves_for_the_idle_time_and_not_while_something_does()
    {
        var time = new ManualTime();
        using var loop = new LoopThread(time);
        Relay relay = await loop.On(() => Relay.StartAsync(loop.Loop, null, TimeSpan.FromSeconds(60)));
        for (int i = 0; i < 3; i++)
        {
            time.Advance(TimeSpan.FromSeconds(50));
            await loop.On(async () =>
            {
                await relay.Client.WriteAllAsync(new byte[1]);
                await TcpTests.ReadExactlyAsync(relay.Server, 1);
            });
        }

        Assert.False(relay.Outcome.IsCompleted);
        time.Advance(TimeSpan.FromSeconds(61));
        Assert.Equal(CopyResult.IdleTimeout, (await relay.Outcome.WaitAsync(LoopThread.Limit)).Result);
        await loop.On(() => { relay.Dispose(); return 0; });
    }

    [Fact]
    public async Task Ends_as_stopped_when_its_own_side_closes()
    {
        using var loop = new LoopThread();
        await loop.On(async () =>
        {
            Relay relay = await Relay.StartAsync(loop.Loop, null);
            relay.Dispose();
            Assert.Equal(CopyResult.Stopped, (await relay.Outcome).Result);
        });
    }

    [Fact]
    public async Task A_gigabyte_arrives_unchanged_through_two_relays_with_TLS_between_them()
    {
        const long Size = 1L << 30;
        using var loop = new LoopThread();
        using var parties = new TlsParties();
        await loop.On(async () =>
        {
            (TcpTransport client, TcpTransport accepted) = await TcpTests.PairAsync(loop.Loop);
            (TlsTransport outbound, TlsTransport inbound) = await parties.ConnectAsync(loop.Loop);
            (TcpTransport dialled, TcpTransport server) = await TcpTests.PairAsync(loop.Loop);
            Task<CopyOutcome> first = Copier.CopyAsync(accepted, outbound, LoopThread.Limit).AsTask();
            Task<CopyOutcome> second = Copier.CopyAsync(inbound, dialled, LoopThread.Limit).AsTask();
            Task<byte[]> sending = SendAsync(client, Size);
            byte[] received = await ReceiveAsync(server);
            Assert.Equal(await sending, received);
            await server.ShutdownWriteAsync();
            Assert.Equal(new CopyOutcome(CopyResult.Completed, Size, 0), await first);
            Assert.Equal(new CopyOutcome(CopyResult.Completed, Size, 0), await second);
            foreach (Transport transport in new Transport[] { client, accepted, outbound, inbound, dialled, server }) transport.Dispose();
        });

        static async Task<byte[]> SendAsync(Transport to, long size)
        {
            using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            byte[] block = RandomNumberGenerator.GetBytes(200_000);
            for (long sent = 0; sent < size;)
            {
                // Every block differs, so that a lost or doubled one shows.
                BinaryPrimitives.WriteInt64LittleEndian(block, sent);
                int length = (int)Math.Min(block.Length, size - sent);
                hash.AppendData(block, 0, length);
                Assert.Equal(IoStatus.Ok, await to.WriteAllAsync(block.AsMemory(0, length)));
                sent += length;
            }

            await to.ShutdownWriteAsync();
            return hash.GetHashAndReset();
        }

        static async Task<byte[]> ReceiveAsync(Transport from)
        {
            using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            byte[] buffer = new byte[100_000];
            while (true)
            {
                Assert.Equal(IoStatus.Ok, await from.ReadableAsync());
                IoResult result = from.Read(buffer);
                if (result.Status == IoStatus.Ok) hash.AppendData(buffer, 0, result.Bytes);
                else if (result.Status == IoStatus.End) return hash.GetHashAndReset();
                else Assert.Equal(IoStatus.WouldBlock, result.Status);
            }
        }
    }
}
