using System.Text;
using Mesh.Proxy.Discovery;
using Mesh.Proxy.Exchanges;
using Mesh.Proxy.Http;
using Mesh.Proxy.Http.Streams;
using Mesh.Proxy.Http.Translation;
using Mesh.Proxy.Settings;
using Mesh.Proxy.Upstreams;

namespace Mesh.Proxy.Outbound;

/// <summary>Decides about the requests of one client of ours: which endpoint of its destination takes each, and in which version it travels.</summary>
/// <param name="http">What all share.</param>
/// <param name="connection">The client's, by its number.</param>
/// <param name="destination">Where the client's requests go.</param>
/// <param name="refresh">The endpoints of the destination as they are known now; null when they do not change.</param>
internal sealed class OutboundRequests(OutboundHttp http, long connection, HttpDestination destination, Func<EndpointSet?>? refresh) : IRequestHandler, IExchangeRoutes
{
    private long _refreshed = -1;

    void IRequestHandler.Accept(HttpStream stream) => http.Exchanges.Begin(stream, this);

    void IExchangeRoutes.OnRequest(Exchange exchange, HeaderBlock fields, in MessageHead head)
    {
        Refresh();
        if (Choose(exchange) is not { } endpoint)
        {
            http.Account.Began(exchange, connection, head.Version, fields);
            exchange.Refuse(Refusal.NoEndpoint);
            return;
        }

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
        Refresh();
        if (Choose(exchange) is not { } endpoint) return null;
        var head = exchange.RequestHead;
        var upstream = endpoint.For(head);
        if (head.Version != HttpVersion.Http2)
        {
            if (upstream is Http2Upstream) OrigProto.Write(exchange.Request, head);
            else exchange.Request.Remove(FieldName.L5dOrigProto);
        }

        return upstream;
    }

    void IExchangeRoutes.OnResponse(Exchange exchange, HeaderBlock fields, ref MessageHead head) => fields.Remove(FieldName.L5dOrigProto);

    void IExchangeRoutes.OnEnd(Exchange exchange)
    {
        var endpoint = exchange.Route as HttpEndpoint;
        http.Account.Ended(exchange, endpoint?.Requests, endpoint?.Peer, endpoint?.Name);
    }

    private HttpEndpoint? Choose(Exchange exchange)
    {
        var chosen = destination.Pick(exchange.Route as HttpEndpoint);
        exchange.Route = chosen;
        return chosen;
    }

    private void Refresh()
    {
        if (refresh is null || _refreshed == http.Now) return;
        _refreshed = http.Now;
        if (refresh() is { } set) destination.Update(set);
    }
}
