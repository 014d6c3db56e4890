using System.Collections.Immutable;
using Mesh.Protocol.Outbound;
using Mesh.Proxy.Balance;
using Mesh.Proxy.Discovery;
using Mesh.Proxy.Settings;

namespace Mesh.Proxy.Routing;

/// <summary>Reads where the requests of a rule go.</summary>
internal sealed class BackendReader(string controlPlaneNamespace, FailureAccrualParameters? accrual, bool isGrpc)
{
    /// <param name="distribution">Those of gRPC and of bytes in the form of HTTP's, which is the same on the wire.</param>
    /// <param name="byPrefix">Whether every match of the rule is by a prefix.</param>
    /// <param name="rule">Learns what cannot be understood.</param>
    public RouteBackends Read(HttpRoute.Types.Distribution? distribution, bool byPrefix, RuleReader rule)
    {
        var byWeight = distribution?.KindCase == HttpRoute.Types.Distribution.KindOneofCase.RandomAvailable;
        IReadOnlyCollection<(HttpRoute.Types.RouteBackend? Backend, uint Weight)> all = distribution?.KindCase switch
        {
            HttpRoute.Types.Distribution.KindOneofCase.Empty => [],
            HttpRoute.Types.Distribution.KindOneofCase.FirstAvailable => [.. distribution.FirstAvailable.Backends.Select(b => (b, 1u))],
            HttpRoute.Types.Distribution.KindOneofCase.RandomAvailable => [.. distribution.RandomAvailable.Backends.Select(b => (b.Backend, b.Weight))],
            _ => [(null, 0)],
        };
        if (all.Count > RouteBackends.Max) rule.Refuse("too many backends");
        var backends = ImmutableArray.CreateBuilder<RouteBackend>();
        foreach (var (one, weight) in all.Take(RouteBackends.Max))
        {
            if (one?.Backend is { } message && Read(message, rule) is { } backend) backends.Add(new RouteBackend(backend, weight, FilterReader.Read(one.Filters, isGrpc, byPrefix, rule)));
            else rule.Refuse("a backend that is not understood");
        }

        return new RouteBackends(byWeight, backends.ToImmutable());
    }

    private Backend? Read(Protocol.Outbound.Backend message, RuleReader rule)
    {
        var name = RuleReader.Name(message.Metadata);
        switch (message.KindCase)
        {
            case Protocol.Outbound.Backend.KindOneofCase.Forward:
                return DiscoveryMessages.TryParse(message.Forward, controlPlaneNamespace, out var endpoint) ? new Backend(name, null, endpoint, LoadParameters.Default, accrual) : null;
            case Protocol.Outbound.Backend.KindOneofCase.Balancer:
                return HostPort.TryParse(message.Balancer.Discovery?.Dst?.Path, out var authority) ? new Backend(name, authority, null, Load(message.Balancer, rule), accrual) : null;
            default:
                return null;
        }
    }

    // The penalty of the second kind is not applied: it shifts load and opens nothing.
    private static LoadParameters Load(Protocol.Outbound.Backend.Types.BalanceP2c balancer, RuleReader rule)
    {
        var (latency, decay) = balancer.LoadCase switch
        {
            Protocol.Outbound.Backend.Types.BalanceP2c.LoadOneofCase.PeakEwma => (balancer.PeakEwma.DefaultRtt, balancer.PeakEwma.Decay),
            Protocol.Outbound.Backend.Types.BalanceP2c.LoadOneofCase.PenaltyPeakEwma => (balancer.PenaltyPeakEwma.DefaultRtt, balancer.PenaltyPeakEwma.Decay),
            _ => (null, null),
        };
        long defaultLatency = rule.Milliseconds(latency), decayTime = rule.Milliseconds(decay);
        return new LoadParameters(defaultLatency == 0 ? LoadParameters.Default.DefaultLatency : defaultLatency, decayTime == 0 ? LoadParameters.Default.Decay : decayTime);
    }
}
