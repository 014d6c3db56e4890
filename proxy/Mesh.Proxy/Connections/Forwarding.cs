using Mesh.Proxy.Native;

namespace Mesh.Proxy.Connections;

/// <summary>The last stage of both directions: copy until both sides are done, and say how it ended.</summary>
internal static class Forwarding
{
    public static async ValueTask CopyAsync(Connection connection, Transport client, Transport server)
    {
        // TCP has no idle limit here, as without a proxy: keep-alive probes find peers that are gone.
        var outcome = await Copier.CopyAsync(client, server, Timeout.InfiniteTimeSpan);
        connection.EndAs(End(outcome.Result), outcome.Result is CopyResult.Completed or CopyResult.Stopped ? null : outcome.Result.ToString());
    }

    private static ConnectionEnd End(CopyResult result) => result switch
    {
        CopyResult.Completed => ConnectionEnd.Completed,
        CopyResult.DownstreamReset or CopyResult.DownstreamTruncated or CopyResult.DownstreamTimedOut or CopyResult.DownstreamError
            or CopyResult.DownstreamTlsFailed => ConnectionEnd.ClientReset,
        // A server that refuses our certificate says so after the client's side of the handshake is over (RFC 8446 section 4.4.4).
        CopyResult.UpstreamTlsFailed => ConnectionEnd.TlsHandshakeFailed,
        CopyResult.IdleTimeout => ConnectionEnd.IdleTimeout,
        CopyResult.Stopped => ConnectionEnd.Drained,
        _ => ConnectionEnd.ServerReset,
    };
}
