using System.Net;
using System.Runtime.CompilerServices;

namespace Mesh.Proxy.Native;

/// <summary>A TCP connection: recv(2) and send(2) on a non-blocking socket.</summary>
internal sealed class TcpTransport : Transport
{
    private readonly LoopSocket _socket;
    private IPEndPoint? _local;
    private bool _shutdownSent;

    internal TcpTransport(LoopSocket socket, IPEndPoint remote)
    {
        _socket = socket;
        Remote = remote;
    }

    public override EventLoop Loop => _socket.Loop;

    public override IPEndPoint Local => _local ??= SocketAddress.Local(_socket.Fd);

    public override IPEndPoint Remote { get; }

    public override bool IsOpen => _socket.IsOpen;

    /// <summary>Where the client meant to go before netfilter redirected the connection here; null when nothing did.</summary>
    public IPEndPoint? OriginalDestination => IsOpen ? SocketAddress.OriginalDestination(_socket.Fd) : null;

    internal override LoopSocket Socket => _socket;

    /// <summary>
    /// Connects within <paramref name="timeout"/>. The transport is there exactly when the status is Ok. <see cref="IoStatus.Closed"/> when
    /// <paramref name="abandoned"/> fires, which must be on the loop's thread.
    /// </summary>
    public static async ValueTask<(IoStatus Status, TcpTransport? Transport)> ConnectAsync(
        EventLoop loop, IPEndPoint remote, TimeSpan timeout, CancellationToken abandoned)
    {
        if (abandoned.IsCancellationRequested) return (IoStatus.Closed, null);
        LoopSocket? socket = StartConnect(loop, remote, out int errno);
        if (socket is null) return (IoResult.Classify(errno), null);
        if (errno == Libc.EINPROGRESS)
        {
            LoopTimer timer = loop.Timer(static s => ((LoopSocket)s!).Interrupt(IoStatus.TimedOut), socket);
            timer.Arm((long)timeout.TotalMilliseconds);
            IoStatus status;
            using (abandoned.UnsafeRegister(static s => ((LoopSocket)s!).Interrupt(IoStatus.Closed), socket)) status = await socket.WritableAsync();
            timer.Stop();
            if (status == IoStatus.Ok) status = IoResult.Classify(Libc.TakeSocketError(socket.Fd));
            if (status != IoStatus.Ok)
            {
                socket.Close(status);
                return (status, null);
            }
        }

        // Dialling a port of the range that local ends are chosen from may, when nobody listens there, meet itself.
        IPEndPoint local = SocketAddress.Local(socket.Fd);
        if (local.Equals(remote))
        {
            socket.Close(IoStatus.SelfConnected);
            return (IoStatus.SelfConnected, null);
        }

        Tune(socket.Fd);
        return (IoStatus.Ok, new TcpTransport(socket, remote) { _local = local });
    }

    public override ValueTask<IoStatus> ReadableAsync() => _socket.ReadableAsync();

    /// <summary>
    /// Completes when input beyond what <see cref="Peek"/> has shown may have come: for a peer that sends its first bytes piecemeal.
    /// </summary>
    public async ValueTask<IoStatus> MoreInputAsync()
    {
        if (_socket.HungUp) return await _socket.ReadableNow();
        IoStatus status = await _socket.WaitForInput();
        // What was peeked at is still there, whatever ended the wait.
        _socket.Readable = true;
        return status;
    }

    public override IoResult Read(Span<byte> buffer) => Receive(buffer, 0);

    /// <summary>Reads without taking: the same bytes can be read again.</summary>
    public IoResult Peek(Span<byte> buffer) => Receive(buffer, Libc.MSG_PEEK);

    private unsafe IoResult Receive(Span<byte> buffer, int flags)
    {
        if (!_socket.IsOpen) return IoResult.Of(IoStatus.Closed);
        fixed (byte* pointer = buffer)
        {
            nint count;
            int errno = 0;
            do count = Libc.recv(_socket.Fd, pointer, (nuint)buffer.Length, flags);
            while (count < 0 && (errno = Libc.LastError) == Libc.EINTR);
            if (count > 0)
            {
                if (flags == Libc.MSG_PEEK) return IoResult.Transferred((int)count);
                // A short read has emptied the socket: the next bytes come with an edge of their own.
                if (count < buffer.Length && !_socket.HungUp) _socket.Readable = false;
                _socket.Charge((int)count);
                BytesIn += count;
                return IoResult.Transferred((int)count);
            }

            if (count == 0) return IoResult.Of(IoStatus.End);
            if (errno == Libc.EAGAIN) _socket.Readable = false;
            return IoResult.Failed(errno);
        }
    }

    public override unsafe IoResult Write(ReadOnlySpan<byte> data)
    {
        if (!_socket.IsOpen) return IoResult.Of(IoStatus.Closed);
        if (!_socket.Writable || data.IsEmpty) return IoResult.Of(IoStatus.WouldBlock);
        fixed (byte* pointer = data)
        {
            nint count;
            int errno = 0;
            do count = Libc.send(_socket.Fd, pointer, (nuint)data.Length, Libc.MSG_NOSIGNAL);
            while (count < 0 && (errno = Libc.LastError) == Libc.EINTR);
            if (count >= 0)
            {
                if (count < data.Length) _socket.Writable = false;
                BytesOut += count;
                return IoResult.Transferred((int)count);
            }

            if (errno == Libc.EAGAIN) _socket.Writable = false;
            return IoResult.Failed(errno);
        }
    }

    public override ValueTask<IoStatus> WritableAsync() => _socket.WritableAsync();

    public override ValueTask<IoStatus> ShutdownWriteAsync() => new(ShutdownWrite());

    internal IoStatus ShutdownWrite()
    {
        if (!_socket.IsOpen) return IoStatus.Closed;
        if (_shutdownSent) return IoStatus.Ok;
        _shutdownSent = true;
        return Libc.shutdown(_socket.Fd, Libc.SHUT_WR) == 0 ? IoStatus.Ok : IoStatus.Reset;
    }

    public override unsafe void Abort()
    {
        if (!_socket.IsOpen) return;
        // struct linger { on, 0 seconds }: close(2) sends RST and forgets what is unsent (socket(7)).
        int* linger = stackalloc int[2] { 1, 0 };
        _ = Libc.setsockopt(_socket.Fd, Libc.SOL_SOCKET, Libc.SO_LINGER, linger, 2 * sizeof(int));
        _socket.Close(IoStatus.Closed);
    }

    public override void Interrupt(IoStatus status) => _socket.Interrupt(status);

    public override void Dispose() => _socket.Close(IoStatus.Closed);

    /// <summary>
    /// Closes after a refusal has been written: sends FIN and takes what the peer has sent so far, since closing with unread input sends a reset
    /// that may overtake the refusal.
    /// </summary>
    internal unsafe void CloseAfterRefusal()
    {
        const int Enough = 64 * 1024;
        if (!_socket.IsOpen) return;
        ShutdownWrite();
        byte* waste = stackalloc byte[4096];
        for (int taken = 0; taken < Enough;)
        {
            nint count = Libc.recv(_socket.Fd, waste, 4096, 0);
            if (count <= 0) break;
            taken += (int)count;
        }

        Dispose();
    }

    /// <summary>
    /// No waiting for full segments, since a proxy passes on what it gets; a dead peer is noticed after about a minute of silence. Set on a
    /// listener, accepted sockets inherit it (tcp(7)).
    /// </summary>
    internal static void Tune(int fd)
    {
        _ = Libc.SetOption(fd, Libc.IPPROTO_TCP, Libc.TCP_NODELAY, 1);
        _ = Libc.SetOption(fd, Libc.SOL_SOCKET, Libc.SO_KEEPALIVE, 1);
        _ = Libc.SetOption(fd, Libc.IPPROTO_TCP, Libc.TCP_KEEPIDLE, 10);
        _ = Libc.SetOption(fd, Libc.IPPROTO_TCP, Libc.TCP_KEEPINTVL, 10);
        _ = Libc.SetOption(fd, Libc.IPPROTO_TCP, Libc.TCP_KEEPCNT, 5);
    }

    // connect(2) on a non-blocking socket; the socket is put on the loop after it, since an unconnected one reports a hang-up.
    private static unsafe LoopSocket? StartConnect(EventLoop loop, IPEndPoint remote, out int errno)
    {
        int fd = Libc.socket(SocketAddress.Family(remote), Libc.SOCK_STREAM | Libc.SOCK_NONBLOCK | Libc.SOCK_CLOEXEC, 0);
        if (fd < 0)
        {
            errno = Libc.LastError;
            return null;
        }

        byte* address = stackalloc byte[SocketAddress.MaxLength];
        uint length = SocketAddress.Write(remote, new Span<byte>(address, SocketAddress.MaxLength));
        errno = Libc.connect(fd, address, length) == 0 ? 0 : Libc.LastError;
        if (errno is not (0 or Libc.EINPROGRESS))
        {
            Libc.Close(fd);
            return null;
        }

        LoopSocket? socket = LoopSocket.Open(loop, fd, writable: errno == 0, out int refused);
        if (socket is null) errno = refused;
        return socket;
    }
}
