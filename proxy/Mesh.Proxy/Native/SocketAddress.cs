using System.Buffers.Binary;
using System.Net;
using System.Runtime.InteropServices;

namespace Mesh.Proxy.Native;

/// <summary>Between <see cref="IPEndPoint"/> and struct sockaddr_in / sockaddr_in6 (ip(7), ipv6(7)).</summary>
internal static unsafe class SocketAddress
{
    /// <summary>Room for either family.</summary>
    public const int MaxLength = 28;

    private const int V4Length = 16;
    private const int V6Length = 28;

    public static int Family(IPEndPoint endPoint) =>
        endPoint.AddressFamily == System.Net.Sockets.AddressFamily.InterNetworkV6 ? Libc.AF_INET6 : Libc.AF_INET;

    /// <summary>Writes <paramref name="endPoint"/> and returns the length in bytes.</summary>
    public static uint Write(IPEndPoint endPoint, Span<byte> address)
    {
        address.Clear();
        int family = Family(endPoint);
        MemoryMarshal.Write(address, (ushort)family);
        BinaryPrimitives.WriteUInt16BigEndian(address[2..], (ushort)endPoint.Port);
        if (family == Libc.AF_INET)
        {
            endPoint.Address.TryWriteBytes(address[4..], out _);
            return V4Length;
        }

        endPoint.Address.TryWriteBytes(address[8..], out _);
        MemoryMarshal.Write(address[24..], (uint)endPoint.Address.ScopeId);
        return V6Length;
    }

    /// <summary>Reads what the kernel wrote; an IPv4 address that came through an IPv6 socket is given back as IPv4.</summary>
    public static IPEndPoint Read(ReadOnlySpan<byte> address)
    {
        int port = BinaryPrimitives.ReadUInt16BigEndian(address[2..]);
        if (MemoryMarshal.Read<ushort>(address) == Libc.AF_INET) return new IPEndPoint(new IPAddress(address.Slice(4, 4)), port);
        var ip = new IPAddress(address.Slice(8, 16), MemoryMarshal.Read<uint>(address[24..]));
        return new IPEndPoint(ip.IsIPv4MappedToIPv6 ? ip.MapToIPv4() : ip, port);
    }

    public static IPEndPoint Local(int fd)
    {
        byte* address = stackalloc byte[MaxLength];
        uint length = MaxLength;
        return Libc.getsockname(fd, address, &length) == 0 ? Read(new ReadOnlySpan<byte>(address, MaxLength)) : new IPEndPoint(IPAddress.None, 0);
    }

    /// <summary>Where a connection redirected by netfilter was going, or null when nothing redirected it.</summary>
    public static IPEndPoint? OriginalDestination(int fd)
    {
        byte* address = stackalloc byte[MaxLength];
        uint length = V4Length;
        if (Libc.getsockopt(fd, Libc.IPPROTO_IP, Libc.SO_ORIGINAL_DST, address, &length) == 0) return Read(new ReadOnlySpan<byte>(address, MaxLength));
        length = V6Length;
        if (Libc.getsockopt(fd, Libc.IPPROTO_IPV6, Libc.IP6T_SO_ORIGINAL_DST, address, &length) == 0) return Read(new ReadOnlySpan<byte>(address, MaxLength));
        return null;
    }
}
