using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;

namespace Mesh.Hosting;

/// <summary>TLS of a gRPC port, with options made anew for each connection.</summary>
internal static class GrpcTls
{
    /// <summary>Takes the place of <c>UseHttps</c>, and lets clients without ALPN in (<see cref="ImpliedHttp2"/>).</summary>
    public static void UseGrpcTls(this ListenOptions listen, TlsHandshakeCallbackOptions tls)
    {
        // SslStream asks for our options when it has seen a ClientHello. When the first record is another, it goes on without any, misses the
        // certificate and throws NotSupportedException, which Kestrel logs as an error of ours: a line that anybody could write, at will.
        listen.Use(next => async connection =>
        {
            try
            {
                await next(connection);
            }
            catch (NotSupportedException) when (connection.Features.Get<Established>() is null)
            {
                // The peer speaks no TLS: its connection ends, as with any other failed handshake.
            }
        });
        listen.UseHttps(tls);
        listen.Use(next => connection =>
        {
            connection.Features.Set(Established.Instance);
            return next(connection);
        });
        listen.UseImpliedHttp2();
    }

    private sealed class Established
    {
        public static readonly Established Instance = new();
    }
}
