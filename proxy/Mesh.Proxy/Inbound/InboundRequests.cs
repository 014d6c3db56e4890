using System.Net;
using System.Text;
using Mesh.Proxy.Balance;
using Mesh.Proxy.Connections;
using Mesh.Proxy.Exchanges;
using Mesh.Proxy.Http;
using Mesh.Proxy.Http.Streams;
using Mesh.Proxy.Http.Translation;
using Mesh.Proxy.Metrics;
using Mesh.Proxy.Policy;
using Mesh.Proxy.Settings;
using Mesh.Proxy.Upstreams;

namespace Mesh.Proxy.Inbound;

/// <summary>What the HTTP side of all inbound connections shares.</summary>
internal sealed record InboundHttp(ExchangePool Exchanges, ApplicationUpstreams Applications, UpstreamSet Upstreams, ExchangeAccount Account);

/// <summary>
/// Decides about the requests of one inbound connection: each is judged by policy, told who its client is, and given to the application in the
/// version the client's proxy took it in.
/// </summary>
internal sealed class InboundRequests(InboundContext context, InboundHttp http, Connection connection, PeerIdentity peer, IPEndPoint application) : IRequestHandler, IExchangeRoutes
{
    private readonly byte[]? _clientId = peer is PeerIdentity.Verified { Id: var id } ? Encoding.ASCII.GetBytes(id.ToString()) : null;
    private readonly string _target = application.ToString();
    private HttpCounters? _counters;
    private Counter? _decisions;
    private Permit? _permit;
    private InboundRules? _judgedBy;

    void IRequestHandler.Accept(HttpStream stream) => http.Exchanges.Begin(stream, this);

    void IExchangeRoutes.OnRequest(Exchange exchange, HeaderBlock fields, in MessageHead head)
    {
        var permit = Authorise();
        _decisions!.Value++;
        var forward = head;
        if (OrigProto.TryTake(fields, ref forward)) exchange.Route = Upgraded;
        NameClient(fields);
        http.Account.Began(exchange, connection.Id, forward.Version, fields);
        if (permit is null)
        {
            exchange.Refuse(Refusal.Denied);
            return;
        }

        connection.Audited |= permit.Audited;
        (_counters ??= context.Metrics.Http(new HttpLabels(Direction.Inbound, _target, peer, EndpointLabels.None))).Requested();
        // In a tunnel nobody takes out what a client says of itself, and an application that has answered 200 to anything reads on as HTTP.
        if (head.Method == RequestMethod.Connect)
        {
            exchange.Refuse(Refusal.NotForMe);
            return;
        }

        exchange.Forward(http.Applications.For(application, forward.Version), fields, forward);
    }

    // One application, one place: who could not be reached a moment ago is tried once more by whoever asks again.
    Upstream? IExchangeRoutes.Another(Exchange exchange) =>
        exchange.Attempts < 2 ? http.Applications.For(application, exchange.RequestHead.Version) : null;

    long? IExchangeRoutes.RetryAfter(Exchange exchange, HeaderBlock? fields, in MessageHead head) => null;

    void IExchangeRoutes.OnResponse(Exchange exchange, HeaderBlock fields, ref MessageHead head)
    {
        fields.Remove(FieldName.L5dOrigProto);
        // The other proxy restores the version, and wants to know which one the application had.
        if (ReferenceEquals(exchange.Route, Upgraded)) OrigProto.Write(fields, head);
    }

    // There is one application, and nothing to choose.
    void IExchangeRoutes.OnAttemptEnd(Exchange exchange, AttemptOutcome outcome)
    {
    }

    // A request that was denied is none of the application's: it is counted with the decisions.
    void IExchangeRoutes.OnEnd(Exchange exchange) =>
        http.Account.Ended(exchange, ReferenceEquals(exchange.Refusal, Refusal.Denied) ? null : _counters, peer, _target);

    private static object Upgraded { get; } = new();

    /// <summary>The decision stands as long as the rules it was made by.</summary>
    private Permit? Authorise()
    {
        if (!ReferenceEquals(_judgedBy, context.Rules))
        {
            var granted = Permit.TryGrant(context.Rules, peer, connection.Client.Address, application.Port, out _permit, out var denial);
            _decisions = granted ? context.Metrics.Requests.Allowed(_permit!, _target) : context.Metrics.Requests.Denied(peer, _target, denial);
            _judgedBy = context.Rules;
        }

        return _permit;
    }

    /// <summary>The client is who the handshake says, whatever the request says.</summary>
    private void NameClient(HeaderBlock fields)
    {
        fields.Remove(FieldName.L5dRequireId);
        fields.Remove(FieldName.L5dDstOverride);
        if (_clientId is { } name) fields.Set(FieldName.L5dClientId, name);
        else fields.Remove(FieldName.L5dClientId);
        if (context.Settings.ForwardedClientCertificate == ForwardedClientCertificate.None) return;
        fields.Remove(FieldName.XForwardedClientCert);
        if (_clientId is { } uri) fields.Add(FieldName.XForwardedClientCert, [.. "URI="u8, .. uri]);
    }
}
