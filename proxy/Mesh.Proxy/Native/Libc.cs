using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

// Every native call of the proxy takes and returns plain integers and pointers, so that its stub is compiled ahead of time.
[assembly: DisableRuntimeMarshalling]

namespace Mesh.Proxy.Native;

/// <summary>The system calls the proxy makes itself, and what it asks of malloc. Sections 2 and 3 of the manual describe them; errors come through <see cref="LastError"/>, read straight after the call.</summary>
internal static unsafe partial class Libc
{
    private const string Library = "libc";

    public const int EPERM = 1, EINTR = 4, EBADF = 9, EAGAIN = 11, ENOMEM = 12, ENFILE = 23, EMFILE = 24, EPIPE = 32, EPROTO = 71;
    public const int EADDRINUSE = 98, ENETDOWN = 100, ENETUNREACH = 101, ECONNABORTED = 103, ECONNRESET = 104, ENOBUFS = 105, ETIMEDOUT = 110, ECONNREFUSED = 111;
    public const int EHOSTDOWN = 112, EHOSTUNREACH = 113, EINPROGRESS = 115;

    public const int AF_INET = 2, AF_INET6 = 10;
    public const int SOCK_STREAM = 1, SOCK_NONBLOCK = 0x800, SOCK_CLOEXEC = 0x80000;
    public const int MSG_PEEK = 2, MSG_NOSIGNAL = 0x4000;
    public const int SHUT_WR = 1;

    public const int SOL_SOCKET = 1, SO_REUSEADDR = 2, SO_ERROR = 4, SO_KEEPALIVE = 9, SO_LINGER = 13;
    public const int IPPROTO_IP = 0, IPPROTO_TCP = 6, IPPROTO_IPV6 = 41;
    public const int TCP_NODELAY = 1, TCP_KEEPIDLE = 4, TCP_KEEPINTVL = 5, TCP_KEEPCNT = 6;
    public const int IPV6_V6ONLY = 26;

    // linux/netfilter_ipv4.h and linux/netfilter_ipv6/ip6_tables.h: the address a redirected connection was meant for.
    public const int SO_ORIGINAL_DST = 80, IP6T_SO_ORIGINAL_DST = 80;

    public const int EPOLL_CLOEXEC = 0x80000, EPOLL_CTL_ADD = 1;
    public const uint EPOLLIN = 1, EPOLLOUT = 4, EPOLLERR = 8, EPOLLHUP = 0x10, EPOLLRDHUP = 0x2000, EPOLLET = 1u << 31;
    public const int EFD_CLOEXEC = 0x80000, EFD_NONBLOCK = 0x800;

    private const int SIGPIPE = 13;
    private const nint SigIgnore = 1;

    /// <summary>errno of the call just made on this thread. The runtime preserves it across its own work between the call and this read.</summary>
    public static int LastError => Marshal.GetLastSystemError();

    [DllImport(Library)] public static extern int socket(int domain, int type, int protocol);
    [DllImport(Library)] public static extern int bind(int fd, byte* address, uint length);
    [DllImport(Library)] public static extern int listen(int fd, int backlog);
    [DllImport(Library)] public static extern int accept4(int fd, byte* address, uint* length, int flags);
    [DllImport(Library)] public static extern int connect(int fd, byte* address, uint length);
    [DllImport(Library)] public static extern int getsockname(int fd, byte* address, uint* length);
    [DllImport(Library)] public static extern int getpeername(int fd, byte* address, uint* length);
    [DllImport(Library)] public static extern int getsockopt(int fd, int level, int name, void* value, uint* length);
    [DllImport(Library)] public static extern int setsockopt(int fd, int level, int name, void* value, uint length);
    [DllImport(Library)] public static extern int shutdown(int fd, int how);
    [DllImport(Library)] private static extern int close(int fd);
    [DllImport(Library)] public static extern nint recv(int fd, void* buffer, nuint length, int flags);
    [DllImport(Library)] public static extern nint send(int fd, void* buffer, nuint length, int flags);
    [DllImport(Library)] public static extern nint read(int fd, void* buffer, nuint length);
    [DllImport(Library)] public static extern nint write(int fd, void* buffer, nuint length);
    [DllImport(Library)] public static extern int epoll_create1(int flags);
    [DllImport(Library)] public static extern int epoll_ctl(int epoll, int operation, int fd, byte* ev);
    [DllImport(Library)] public static extern int epoll_wait(int epoll, byte* events, int max, int timeoutMilliseconds);
    [DllImport(Library)] public static extern int eventfd(uint initial, int flags);
    [DllImport(Library)] public static extern int malloc_trim(nuint pad);
    [DllImport(Library)] private static extern nint signal(int number, nint handler);

    /// <summary>Writing to a socket whose peer is gone must be an error value, not the end of the process. The runtime ignores SIGPIPE too; this does not depend on it.</summary>
    public static void IgnoreBrokenPipes() => signal(SIGPIPE, SigIgnore);

    /// <summary>close(2). Its error says only that earlier writes failed, and the descriptor is gone either way: nothing to act on.</summary>
    public static void Close(int fd) => _ = close(fd);

    public static int SetOption(int fd, int level, int name, int value) => setsockopt(fd, level, name, &value, sizeof(int));

    /// <summary>The pending error of a socket (socket(7), SO_ERROR); reading clears it.</summary>
    public static int TakeSocketError(int fd)
    {
        int error;
        uint length = sizeof(int);
        return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &length) == 0 ? error : LastError;
    }
}
