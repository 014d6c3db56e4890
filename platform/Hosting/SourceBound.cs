using System.Net;
using System.Net.Sockets;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Mesh.Hosting;

/// <summary>
/// A bound on the connections of one source address, so that one machine cannot take all the room there is. An IPv6 source counts as its
/// /64, which is what one machine commonly has. It comes before TLS: one connection too many costs no handshake.
/// </summary>
/// <param name="most">Connections of one source at once.</param>
internal sealed class SourceBound(int most)
{
    /// <summary>Where nodes hide their pods' addresses, hundreds of proxies come from one; a single machine still cannot take all.</summary>
    public const int Usual = 2_000;

    private readonly Lock _lock = new();
    private readonly Dictionary<IPAddress, int> _open = [];
    private long _refused;

    /// <summary>Connections closed because their source had too many.</summary>
    public long Refused => Interlocked.Read(ref _refused);

    /// <summary>Sources that have a connection now.</summary>
    public int Sources
    {
        get { lock (_lock) return _open.Count; }
    }

    /// <summary>Goes before TLS in the connection's middleware.</summary>
    public void Guard(ListenOptions listen) => listen.Use(next => async connection =>
    {
        var source = SourceOf(connection);
        if (!TryEnter(source))
        {
            Interlocked.Increment(ref _refused);
            connection.Abort(new ConnectionAbortedException("The source address has too many connections."));
            return;
        }

        try
        {
            await next(connection);
        }
        finally
        {
            Leave(source);
        }
    });

    private static IPAddress SourceOf(ConnectionContext connection)
    {
        var address = (connection.RemoteEndPoint as IPEndPoint)?.Address ?? IPAddress.None;
        if (address.IsIPv4MappedToIPv6) return address.MapToIPv4();
        if (address.AddressFamily != AddressFamily.InterNetworkV6) return address;
        var bytes = address.GetAddressBytes();
        bytes.AsSpan(8).Clear();
        return new IPAddress(bytes);
    }

    private bool TryEnter(IPAddress source)
    {
        lock (_lock)
        {
            var open = _open.GetValueOrDefault(source);
            if (open >= most) return false;
            _open[source] = open + 1;
            return true;
        }
    }

    private void Leave(IPAddress source)
    {
        lock (_lock)
        {
            if (_open[source] == 1) _open.Remove(source);
            else _open[source]--;
        }
    }
}
