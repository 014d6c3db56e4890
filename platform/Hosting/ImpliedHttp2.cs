using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Core.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Mesh.Hosting;

/// <summary>
/// Lets a TLS client that offers no ALPN speak HTTP/2. linkerd2-proxy's control client offers none (it knows that the server
/// speaks gRPC), and Kestrel turns such a connection away although HTTP/2 is all that this port serves. A client that offers
/// ALPN without h2 never gets here: its handshake fails.
/// </summary>
internal static class ImpliedHttp2
{
    /// <summary>Goes after TLS in the connection's middleware.</summary>
    public static void UseImpliedHttp2(this ListenOptions listen) =>
        listen.Use(next => connection =>
        {
            var negotiated = connection.Features.Get<ITlsApplicationProtocolFeature>();
            if (negotiated is null || negotiated.ApplicationProtocol.IsEmpty)
                connection.Features.Set<ITlsApplicationProtocolFeature>(Http2Implied.Instance);
            return next(connection);
        });

    private sealed class Http2Implied : ITlsApplicationProtocolFeature
    {
        public static readonly Http2Implied Instance = new();

        public ReadOnlyMemory<byte> ApplicationProtocol { get; } = "h2"u8.ToArray();
    }
}
