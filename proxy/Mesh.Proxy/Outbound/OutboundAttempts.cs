using Mesh.Proxy.Balance;
using Mesh.Proxy.Exchanges;
using Mesh.Proxy.Routing;

namespace Mesh.Proxy.Outbound;

/// <summary>The route of one request, and the endpoints that it was sent to, the last of them with its attempt still open. Used again for another request. Lives on the loop.</summary>
internal sealed class OutboundAttempts
{
    private readonly BalancedEndpoint<HttpEndpoint>[] _tried = new BalancedEndpoint<HttpEndpoint>[Exchange.MaxAttempts];
    private int _count;
    private Attempt<HttpEndpoint> _attempt;

    public ReadOnlySpan<BalancedEndpoint<HttpEndpoint>> Tried => _tried.AsSpan(0, _count);

    /// <summary>The one tried last; null when there was none.</summary>
    public HttpEndpoint? Endpoint => _attempt.Endpoint?.Value;

    /// <summary>What becomes of the request; null when no route takes it.</summary>
    public RouteRule? Rule { get; set; }

    /// <summary>Where the rule sends it; null when nowhere.</summary>
    public RouteBackend? Backend { get; set; }

    public HttpDestination? Destination { get; set; }

    public void Begin(in Attempt<HttpEndpoint> attempt)
    {
        _attempt = attempt;
        if (_count < _tried.Length) _tried[_count++] = attempt.Endpoint;
    }

    public void Answered(long now) => _attempt.Answered(now);

    public void End(long now, AttemptOutcome outcome) => _attempt.End(now, outcome);

    public void Clear()
    {
        Array.Clear(_tried, 0, _count);
        _count = 0;
        _attempt = default;
        (Rule, Backend, Destination) = (null, null, null);
    }
}
