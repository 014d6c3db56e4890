using System.Net.Security;
using System.Security.Authentication;
using Mesh.Identity.Issuance;
using Mesh.Identity.Metrics;
using Mesh.Spiffe;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.Logging;

namespace Mesh.Identity.Hosting;

/// <summary>
/// TLS of the gRPC port, made anew for every connection from the certificate and bundle of that moment. A client certificate is
/// optional, because a workload that asks for its first one has none; one that is offered must be good.
/// </summary>
internal sealed partial class ServerTls(OwnSvid own, ITrustBundleSource bundles, IdentityMetrics metrics, TimeProvider time, ILogger<ServerTls> log)
{
    private static readonly List<SslApplicationProtocol> Protocols = [SslApplicationProtocol.Http2];

    public TlsHandshakeCallbackOptions Options() => new()
    {
        HandshakeTimeout = TimeSpan.FromSeconds(10),
        OnConnection = context => ValueTask.FromResult(ForConnection(context.Connection)),
    };

    private SslServerAuthenticationOptions ForConnection(ConnectionContext connection)
    {
        var svid = own.Current ?? throw new AuthenticationException("The service has no certificate of its own yet.");
        var options = SvidTls.Server(svid, bundles, ClientCertificates.Optional, time, verdict => Judged(connection, verdict));
        options.ApplicationProtocols = Protocols;
        return options;
    }

    private void Judged(ConnectionContext connection, SvidVerdict verdict)
    {
        if (verdict.Fault == SvidFault.NoCertificate) return;
        metrics.ClientJudged(verdict.IsValid);
        if (verdict.IsValid) connection.Features.Set(new Peer(verdict.Id!, verdict.ValidUntil));
        else Log.ClientRefused(log, connection.RemoteEndPoint?.ToString() ?? "unknown", verdict.Sentence);
    }
}
