using Mesh.Proxy.Balance;
using Mesh.Proxy.Exchanges;
using Mesh.Proxy.Http;
using Mesh.Proxy.Http.Streams;
using Mesh.Proxy.Http.Translation;
using Mesh.Proxy.Upstreams;

namespace Mesh.Proxy.Outbound;

/// <summary>Decides about the requests of one client of ours: which endpoint of its destination takes each, and in which version it travels.</summary>
/// <param name="http">What all share.</param>
/// <param name="connection">The client's, by its number.</param>
/// <param name="destination">Where the client's requests go.</param>
internal sealed class OutboundRequests(OutboundHttp http, long connection, HttpDestination destination) : IRequestHandler, IExchangeRoutes
{
    void IRequestHandler.Accept(HttpStream stream) => http.Exchanges.Begin(stream, this);

    void IExchangeRoutes.OnRequest(Exchange exchange, HeaderBlock fields, in MessageHead head)
    {
        var attempts = http.Rent();
        exchange.Route = attempts;
        if (destination.Pick(attempts) is var picked and not PickResult.Picked)
        {
            http.Account.Began(exchange, connection, head.Version, fields);
            exchange.Refuse(picked == PickResult.AllUnavailable ? Refusal.AllFailing : Refusal.NoEndpoint);
            return;
        }

        var endpoint = attempts.Endpoint!;
        endpoint.Requests.Requested();
        // What proxies say to each other is not for clients to say.
        fields.Remove(FieldName.L5dClientId);
        fields.Remove(FieldName.L5dOrigProto);
        fields.Remove(FieldName.L5dDstOverride);
        if (endpoint.AuthorityOverride is { } authority) fields.Set(FieldName.Authority, authority);
        http.Account.Began(exchange, connection, head.Version, fields);
        var upstream = endpoint.For(head);
        if (upstream is Http2Upstream && head.Version != HttpVersion.Http2) OrigProto.Write(fields, head);
        exchange.Forward(upstream, fields, head);
    }

    Upstream? IExchangeRoutes.Another(Exchange exchange)
    {
        var attempts = (OutboundAttempts)exchange.Route!;
        if (destination.Pick(attempts) != PickResult.Picked) return null;
        var head = exchange.RequestHead;
        var upstream = attempts.Endpoint!.For(head);
        if (head.Version != HttpVersion.Http2)
        {
            if (upstream is Http2Upstream) OrigProto.Write(exchange.Request, head);
            else exchange.Request.Remove(FieldName.L5dOrigProto);
        }

        return upstream;
    }

    void IExchangeRoutes.OnResponse(Exchange exchange, HeaderBlock fields, ref MessageHead head)
    {
        fields.Remove(FieldName.L5dOrigProto);
        // An endpoint that fails quickly is not a fast one.
        if (head is { IsInterim: false, Status: < 500 }) ((OutboundAttempts)exchange.Route!).Answered(http.Now);
    }

    void IExchangeRoutes.OnAttemptEnd(Exchange exchange, AttemptOutcome outcome) => ((OutboundAttempts)exchange.Route!).End(http.Now, outcome);

    void IExchangeRoutes.OnEnd(Exchange exchange)
    {
        var attempts = (OutboundAttempts)exchange.Route!;
        http.Account.Ended(exchange, attempts.Endpoint?.Requests, attempts.Endpoint?.Peer, attempts.Endpoint?.Name);
        http.Return(attempts);
    }
}
