using System.Net;

namespace Mesh.Proxy.Native;

/// <summary>A listening TCP socket: accept4(2). Running out of descriptors makes it pause, not end.</summary>
internal sealed class TcpListener : IDisposable
{
    // The kernel caps it at net.core.somaxconn.
    private const int Backlog = 4096;

    /// <summary>Pause after a failed accept for want of descriptors or memory; connections wait in the backlog meanwhile.</summary>
    public static readonly TimeSpan ResourceBackOff = TimeSpan.FromMilliseconds(50);

    private readonly LoopSocket _socket;
    private long _turn;
    private int _accepted;

    private TcpListener(LoopSocket socket, IPEndPoint local)
    {
        _socket = socket;
        Local = local;
    }

    /// <summary>The address it listens on, with the port the kernel chose where 0 was asked for.</summary>
    public IPEndPoint Local { get; }

    public bool IsOpen => _socket.IsOpen;

    /// <summary>Binds and listens. On the loop's thread, or before the loop runs.</summary>
    /// <exception cref="IOException">The address is taken, not local, or not allowed; the message names it.</exception>
    public static TcpListener Listen(EventLoop loop, IPEndPoint address)
    {
        int fd = Libc.socket(SocketAddress.Family(address), Libc.SOCK_STREAM | Libc.SOCK_NONBLOCK | Libc.SOCK_CLOEXEC, 0);
        if (fd < 0) throw new IOException($"cannot listen on {address}: no socket, errno {Libc.LastError}.");
        _ = Libc.SetOption(fd, Libc.SOL_SOCKET, Libc.SO_REUSEADDR, 1);
        TcpTransport.Tune(fd);
        if (Bind(fd, address) is var errno and not 0)
        {
            Libc.Close(fd);
            throw new IOException($"cannot listen on {address}: {(errno == Libc.EADDRINUSE ? "the address is in use" : $"errno {errno}")}.");
        }

        LoopSocket socket = LoopSocket.Open(loop, fd, writable: true, out errno) ?? throw new IOException($"cannot listen on {address}: errno {errno}.");
        return new TcpListener(socket, SocketAddress.Local(fd));
    }

    private static unsafe int Bind(int fd, IPEndPoint address)
    {
        byte* native = stackalloc byte[SocketAddress.MaxLength];
        uint length = SocketAddress.Write(address, new Span<byte>(native, SocketAddress.MaxLength));
        return Libc.bind(fd, native, length) != 0 || Libc.listen(fd, Backlog) != 0 ? Libc.LastError : 0;
    }

    /// <summary>The next connection; <see cref="IoStatus.Closed"/> and null when the listener was disposed or the loop stops, and nothing else.</summary>
    public async ValueTask<(IoStatus Status, TcpTransport? Transport)> AcceptAsync()
    {
        EventLoop loop = _socket.Loop;
        while (true)
        {
            if (!_socket.Readable || BudgetSpent())
            {
                IoStatus status = _socket.Readable ? await loop.YieldAsync() : await _socket.WaitForInput();
                if (status != IoStatus.Ok) return (IoStatus.Closed, null);
            }

            if (!_socket.IsOpen || loop.IsStopping) return (IoStatus.Closed, null);
            int fd = Accept(out IPEndPoint? remote, out int errno);
            if (fd >= 0)
            {
                if (LoopSocket.Open(loop, fd, writable: true, out errno) is { } socket) return (IoStatus.Ok, new TcpTransport(socket, remote!));
            }

            switch (errno)
            {
                case Libc.EAGAIN:
                    _socket.Readable = false;
                    break;
                case Libc.ECONNABORTED or Libc.EPROTO or Libc.EPERM or Libc.ENETDOWN or Libc.ENETUNREACH or Libc.EHOSTDOWN or Libc.EHOSTUNREACH:
                    // accept(2): errors of the one connection that was to be accepted. The next may be fine.
                    break;
                default:
                    // EMFILE, ENFILE, ENOBUFS, ENOMEM, or something unheard of that must not become a busy loop.
                    loop.Options.AcceptTrouble?.Invoke(errno);
                    if (!await PauseAsync(loop)) return (IoStatus.Closed, null);
                    break;
            }
        }
    }

    private async ValueTask<bool> PauseAsync(EventLoop loop)
    {
        try
        {
            await loop.DelayAsync(ResourceBackOff, CancellationToken.None);
            return _socket.IsOpen;
        }
        catch (OperationCanceledException)
        {
            return false;
        }
    }

    private bool BudgetSpent()
    {
        if (_turn != _socket.Loop.Turn)
        {
            _turn = _socket.Loop.Turn;
            _accepted = 0;
        }

        return ++_accepted > _socket.Loop.Options.AcceptsPerTurn;
    }

    private unsafe int Accept(out IPEndPoint? remote, out int errno)
    {
        byte* address = stackalloc byte[SocketAddress.MaxLength];
        uint length = SocketAddress.MaxLength;
        int fd;
        errno = 0;
        do fd = Libc.accept4(_socket.Fd, address, &length, Libc.SOCK_NONBLOCK | Libc.SOCK_CLOEXEC);
        while (fd < 0 && (errno = Libc.LastError) == Libc.EINTR);
        remote = fd >= 0 ? SocketAddress.Read(new ReadOnlySpan<byte>(address, SocketAddress.MaxLength)) : null;
        return fd;
    }

    /// <summary>Stops listening; connections that wait in the backlog are reset by the kernel.</summary>
    public void Dispose() => _socket.Close(IoStatus.Closed);
}
