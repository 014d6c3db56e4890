using Mesh.Proxy.Balance;
using Mesh.Proxy.Exchanges;
using Mesh.Proxy.Http;
using Mesh.Proxy.Http.Streams;
using Mesh.Proxy.Http.Translation;
using Mesh.Proxy.Routing;
using Mesh.Proxy.Upstreams;

namespace Mesh.Proxy.Outbound;

/// <summary>Decides about the requests of one client of ours: which route each takes, which endpoint of its backend, and in which version it travels.</summary>
/// <param name="http">What all share.</param>
/// <param name="connection">The client's, by its number.</param>
/// <param name="service">Whom the client calls.</param>
internal sealed class OutboundRequests(OutboundHttp http, long connection, ServiceRoutes service) : IRequestHandler, IExchangeRoutes
{
    void IRequestHandler.Accept(HttpStream stream) => http.Exchanges.Begin(stream, this);

    void IExchangeRoutes.OnRequest(Exchange exchange, HeaderBlock fields, in MessageHead head)
    {
        var attempts = http.Rent();
        exchange.Route = attempts;
        // What proxies say to each other is not for clients to say.
        fields.Remove(FieldName.L5dClientId);
        fields.Remove(FieldName.L5dOrigProto);
        fields.Remove(FieldName.L5dDstOverride);
        service.Touch();
        var answer = http.Exchanges.Scratch;
        var refusal = Direct(attempts, fields, head, answer, out var answered);
        http.Account.Began(exchange, connection, head.Version, fields);
        if (exchange.Record is { } record && !service.Policy.IsDefault) record.Route = attempts.Rule?.Route.ToString();
        if (refusal is not null)
        {
            exchange.Refuse(refusal);
        }
        else if (answered)
        {
            exchange.Answer(answer);
        }
        else
        {
            var upstream = attempts.Endpoint!.For(head);
            if (upstream is Http2Upstream && head.Version != HttpVersion.Http2) OrigProto.Write(fields, head);
            var (times, retry) = (attempts.Rule!.Timeouts, attempts.Rule.Retry);
            exchange.Limits = new ExchangeLimits(times.Request, times.Response, times.Idle, retry?.Timeout ?? 0, retry?.MaxRequestBytes ?? 0);
            attempts.Destination!.Retries.Request(http.Now);
            exchange.Forward(upstream, fields, head);
        }
    }

    Upstream? IExchangeRoutes.Another(Exchange exchange)
    {
        var attempts = (OutboundAttempts)exchange.Route!;
        if (attempts.Destination!.Pick(attempts) != PickResult.Picked) return null;
        var head = exchange.RequestHead;
        var upstream = attempts.Endpoint!.For(head);
        if (head.Version != HttpVersion.Http2)
        {
            if (upstream is Http2Upstream) OrigProto.Write(exchange.Request, head);
            else exchange.Request.Remove(FieldName.L5dOrigProto);
        }

        return upstream;
    }

    long? IExchangeRoutes.RetryAfter(Exchange exchange, HeaderBlock? fields, in MessageHead head)
    {
        var attempts = (OutboundAttempts)exchange.Route!;
        if (attempts.Rule!.Retry is not { } retry || exchange.Retries >= retry.MaxRetries || !exchange.CanSendAgain) return null;
        if (fields is not null && !retry.IsRetryable(head.Status) && !retry.IsRetryableGrpc(Exchange.GrpcStatusOf(fields))) return null;
        if (!attempts.Destination!.Retries.TryRetry(http.Now)) return null;
        return retry.Backoff?.After(exchange.Retries + 1, http.Random) ?? 0;
    }

    void IExchangeRoutes.OnResponse(Exchange exchange, HeaderBlock fields, ref MessageHead head)
    {
        fields.Remove(FieldName.L5dOrigProto);
        if (head.IsInterim) return;
        var attempts = (OutboundAttempts)exchange.Route!;
        // An endpoint that fails quickly is not a fast one.
        if (head.Status < 500) attempts.Answered(http.Now);
        attempts.Rule!.Filters.ApplyToResponse(fields);
        attempts.Backend!.Filters.ApplyToResponse(fields);
    }

    void IExchangeRoutes.OnAttemptEnd(Exchange exchange, AttemptOutcome outcome) => ((OutboundAttempts)exchange.Route!).End(http.Now, outcome);

    void IExchangeRoutes.OnEnd(Exchange exchange)
    {
        var attempts = (OutboundAttempts)exchange.Route!;
        http.Account.Ended(exchange, attempts.Endpoint?.Requests, attempts.Endpoint?.Peer, attempts.Endpoint?.Name);
        http.Return(attempts);
    }

    /// <summary>Finds the route and the endpoint of a request; gives why there is none. A filter may write an answer in their place.</summary>
    private Refusal? Direct(OutboundAttempts attempts, HeaderBlock fields, in MessageHead head, HeaderBlock answer, out bool answered)
    {
        answered = false;
        var match = (head.Version == HttpVersion.Http2 ? service.Policy.Http2 : service.Policy.Http1).Match(fields);
        if (match.Rule is not { } rule) return Refusal.NoRoute;
        attempts.Rule = rule;
        if (rule.Fault is not null) return Refusal.RouteFault;
        answer.Clear();
        answered = !rule.Filters.Pass(fields, match, http.Random, answer);
        if (answered) return null;
        if (Choose(attempts, rule) is { } refusal) return refusal;
        // Choosing may have ended connections, and answered the requests that waited for them.
        answer.Clear();
        answered = !attempts.Backend!.Filters.Pass(fields, match, http.Random, answer);
        if (answered)
        {
            attempts.End(http.Now, AttemptOutcome.Unknown);
            return null;
        }

        var endpoint = attempts.Endpoint!;
        endpoint.Requests.Requested();
        if (endpoint.AuthorityOverride is { } authority) fields.Set(FieldName.Authority, authority);
        return null;
    }

    /// <summary>A backend that has an endpoint to offer.</summary>
    private Refusal? Choose(OutboundAttempts attempts, RouteRule rule)
    {
        var why = Refusal.NoBackend;
        var unavailable = 0ul;
        while (rule.Backends.Choose(http.Random, unavailable, out var index) is { } backend)
        {
            attempts.Backend = backend;
            attempts.Destination = service.To(backend.Backend);
            var picked = attempts.Destination.Pick(attempts);
            if (picked == PickResult.Picked) return null;
            why = picked == PickResult.AllUnavailable ? Refusal.AllFailing : Refusal.NoEndpoint;
            unavailable |= 1ul << index;
        }

        return why;
    }
}
