using System.Net;
using System.Net.Sockets;
using Mesh.Proxy.Native;
using Mesh.Spiffe;
using TcpListener = Mesh.Proxy.Native.TcpListener;

namespace Mesh.Proxy.Tests.Native;

/// <summary>What the process has open is counted, so these run alone.</summary>
[CollectionDefinition(nameof(Alone), DisableParallelization = true)]
public sealed class Alone;

[Collection(nameof(Alone))]
public sealed class HygieneTests
{
    private readonly record struct Counts(int Descriptors, int Tls, int Contexts, int Buffers)
    {
        public static Counts Now => new(NativeCounts.OpenDescriptors, NativeCounts.TlsConnectionsAlive, NativeCounts.TlsContextsAlive, NativeCounts.BuffersRented);
    }

    [Fact]
    public async Task Ten_thousand_connections_of_every_fate_leave_nothing_behind()
    {
        Counts before = Counts.Now;
        int filesBefore;
        using (var loop = new LoopThread(options: new EventLoopOptions { HandshakeStepsPerTurn = 1000 }))
        {
            using var parties = new TlsParties();
            using var strangers = new TlsParties();
            using var nobody = new TlsParties(clientShowsCertificate: false);
            filesBefore = Directory.GetFiles("/proc/self/fd").Length;
            await loop.On(async () =>
            {
                for (int i = 0; i < 8000; i++)
                {
                    (TcpTransport client, TcpTransport server) = await TcpTests.PairAsync(loop.Loop);
                    if (i % 3 == 0) client.Abort();
                    else if (i % 3 == 1) Assert.Equal(1, client.Write(new byte[1]).Bytes);
                    server.Dispose();
                    client.Dispose();
                }
            });
            await loop.On(async () =>
            {
                for (int i = 0; i < 250; i++)
                {
                    (TlsTransport client, TlsTransport server) = await parties.ConnectAsync(loop.Loop);
                    Task<CopyOutcome> copy = Copier.CopyAsync(client, server, LoopThread.Limit).AsTask();
                    if (i % 2 == 0) client.Dispose();
                    else server.Abort();
                    await copy;
                    client.Dispose();
                    server.Dispose();
                }
            });
            await loop.On(async () =>
            {
                for (int i = 0; i < 250; i++)
                {
                    (TlsHandshakeResult client, TlsHandshakeResult server) = await parties.HandshakeAsync(loop.Loop, serverVerifies: strangers.Verify);
                    client.Transport!.Dispose();
                    Assert.Equal(TlsHandshakeFailure.CertificateRejected, server.Failure);
                    (client, server) = await parties.HandshakeAsync(loop.Loop, clientVerifies: strangers.Verify);
                    Assert.Equal(TlsHandshakeFailure.CertificateRejected, client.Failure);
                    Assert.Equal(TlsHandshakeFailure.RejectedByPeer, server.Failure);
                    (client, server) = await nobody.HandshakeAsync(loop.Loop, clientVerifies: nobody.Verify);
                    client.Transport!.Dispose();
                    Assert.Equal(TlsHandshakeFailure.NoCertificate, server.Failure);
                }
            });
            await loop.On(async () =>
            {
                byte[] hello = await ClientHelloAsync(loop.Loop, parties);
                for (int i = 0; i < 1000; i++)
                {
                    (TcpTransport client, TcpTransport server) = await TcpTests.PairAsync(loop.Loop);
                    client.Write(hello.AsSpan(0, i % hello.Length + 1));
                    if (i % 2 == 0) client.Dispose();
                    else client.Abort();
                    TlsHandshakeResult result = await TlsTransport.AcceptAsync(server, parties.Server, parties.Verify, LoopThread.Limit);
                    Assert.Equal(TlsHandshakeFailure.PeerClosed, result.Failure);
                }
            });
            Assert.Equal(0, await loop.On(() => loop.Loop.SocketCount));
            // The runner may open or close a file of its own meanwhile; a leak of ours would be hundreds.
            Assert.InRange(Directory.GetFiles("/proc/self/fd").Length, 0, filesBefore + 50);
        }

        Assert.Equal(before, Counts.Now);
    }

    private static async ValueTask<byte[]> ClientHelloAsync(EventLoop loop, TlsParties parties)
    {
        (TcpTransport client, TcpTransport server) = await TcpTests.PairAsync(loop);
        using (server)
        {
            Task<TlsHandshakeResult> connect = TlsTransport.ConnectAsync(client, parties.Client, "x", parties.Verify, LoopThread.Limit, CancellationToken.None).AsTask();
            byte[] buffer = new byte[4096];
            await server.ReadableAsync();
            int length = server.Read(buffer).Bytes;
            server.Abort();
            Assert.Equal(TlsHandshakeFailure.PeerClosed, (await connect).Failure);
            return buffer[..length];
        }
    }

    [Fact]
    public async Task A_listener_out_of_descriptors_says_so_waits_and_goes_on()
    {
        var troubles = new List<int>();
        var told = new TaskCompletionSource();
        using var loop = new LoopThread(options: new EventLoopOptions
        {
            AcceptTrouble = errno =>
            {
                troubles.Add(errno);
                told.TrySetResult();
            },
        });
        TcpListener listener = await loop.ListenAsync();
        using var client = new Socket(AddressFamily.InterNetwork, SocketType.Stream, ProtocolType.Tcp);
        using (var limit = new DescriptorLimit())
        {
            client.Connect(listener.Local);
            Task<(IoStatus Status, TcpTransport? Transport)> accept = loop.On(listener.AcceptAsync);
            await told.Task.WaitAsync(LoopThread.Limit);
            Assert.False(accept.IsCompleted);
            limit.Dispose();
            (IoStatus status, TcpTransport? transport) = await accept;
            Assert.Equal(IoStatus.Ok, status);
            await loop.On(() => { transport!.Dispose(); listener.Dispose(); return 0; });
        }

        Assert.Equal(Libc.EMFILE, troubles[0]);
    }

    /// <summary>Lowers the limit of open files to what is open now.</summary>
    private sealed unsafe class DescriptorLimit : IDisposable
    {
        private readonly ulong _soft, _hard;
        private bool _restored;

        public DescriptorLimit()
        {
            ulong* limit = stackalloc ulong[2];
            Assert.Equal(0, getrlimit(7, limit));
            (_soft, _hard) = (limit[0], limit[1]);
            // A descriptor is always the lowest free number: a limit at that number allows none.
            limit[0] = (ulong)Enumerable.Range(0, int.MaxValue).First(fd => !Path.Exists($"/proc/self/fd/{fd}"));
            Assert.Equal(0, setrlimit(7, limit));
        }

        public void Dispose()
        {
            if (_restored) return;
            _restored = true;
            ulong* limit = stackalloc ulong[2] { _soft, _hard };
            _ = setrlimit(7, limit);
        }

        [System.Runtime.InteropServices.DllImport("libc")]
        private static extern int getrlimit(int resource, ulong* limit);

        [System.Runtime.InteropServices.DllImport("libc")]
        private static extern int setrlimit(int resource, ulong* limit);
    }
}
