using System.Collections.Immutable;
using Google.Protobuf;
using Mesh.Protocol.Outbound;
using Mesh.Proxy.Balance;
using FailureAccrual = Mesh.Protocol.Outbound.FailureAccrual;
using HttpDistribution = Mesh.Protocol.Outbound.HttpRoute.Types.Distribution;
using HttpFilter = Mesh.Protocol.Outbound.HttpRoute.Types.Filter;

namespace Mesh.Proxy.Routing;

/// <summary>
/// Brings a policy of the control plane into the proxy's own types. Whatever it holds there is a policy: what is not understood, or is more than a proxy
/// shall hold, refuses the requests it is about.
/// </summary>
internal sealed class PolicyReader
{
    private const int MaxRoutes = 256;
    private const int MaxHosts = 64;
    private const int MaxRules = 256;
    private const int MaxMatches = 2_048;

    private readonly string _controlPlaneNamespace;
    private readonly ImmutableArray<string>.Builder _faults = ImmutableArray.CreateBuilder<string>();
    private int _matches;

    private PolicyReader(string controlPlaneNamespace) => _controlPlaneNamespace = controlPlaneNamespace;

    /// <param name="message">From the control plane.</param>
    /// <param name="controlPlaneNamespace">For identities that come without a server name.</param>
    /// <param name="faults">What was not understood; each is a rule that refuses.</param>
    public static OutboundPolicy Read(Protocol.Outbound.OutboundPolicy message, string controlPlaneNamespace, out ImmutableArray<string> faults)
    {
        var reader = new PolicyReader(controlPlaneNamespace);
        var policy = reader.Read(message.Protocol) with { Parent = RuleReader.Name(message.Metadata) };
        faults = reader._faults.ToImmutable();
        return policy;
    }

    private OutboundPolicy Read(ProxyProtocol? protocol)
    {
        switch (protocol?.KindCase)
        {
            case ProxyProtocol.KindOneofCase.Detect:
                var timeout = new RuleReader().Milliseconds(protocol.Detect.Timeout);
                return new OutboundPolicy
                {
                    Parent = ResourceName.Default(""), Protocol = PolicyProtocol.Detect, DetectTimeout = timeout == 0 ? OutboundPolicy.DefaultDetectTimeout : timeout,
                    Http1 = Http(protocol.Detect.Http1?.Routes, protocol.Detect.Http1?.FailureAccrual), Http2 = Http(protocol.Detect.Http2?.Routes, protocol.Detect.Http2?.FailureAccrual),
                    Opaque = Opaque(protocol.Detect.Opaque),
                };
            case ProxyProtocol.KindOneofCase.Http1:
                return OfTable(PolicyProtocol.Http1, Http(protocol.Http1.Routes, protocol.Http1.FailureAccrual));
            case ProxyProtocol.KindOneofCase.Http2:
                return OfTable(PolicyProtocol.Http2, Http(protocol.Http2.Routes, protocol.Http2.FailureAccrual));
            case ProxyProtocol.KindOneofCase.Grpc:
                return OfTable(PolicyProtocol.Grpc, Grpc(protocol.Grpc));
            case ProxyProtocol.KindOneofCase.Opaque:
                return OfBytes(PolicyProtocol.Opaque, Opaque(protocol.Opaque));
            case ProxyProtocol.KindOneofCase.Tls:
                return OfBytes(PolicyProtocol.Tls, Tls(protocol.Tls));
            default:
                return OfBytes(PolicyProtocol.Detect, Refused("a protocol that is not known"));
        }
    }

    private static OutboundPolicy OfTable(PolicyProtocol protocol, RouteTable table) =>
        new() { Parent = ResourceName.Default(""), Protocol = protocol, Http1 = table, Http2 = table, Opaque = Refusing("the service speaks HTTP") };

    private static OutboundPolicy OfBytes(PolicyProtocol protocol, RouteRule opaque)
    {
        var none = RouteTable.Single(opaque.Fault is null ? Refusing("the service does not speak HTTP") : opaque);
        return new OutboundPolicy { Parent = ResourceName.Default(""), Protocol = protocol, Http1 = none, Http2 = none, Opaque = opaque };
    }

    private RouteTable Http(IReadOnlyCollection<HttpRoute>? routes, FailureAccrual? accrual)
    {
        if (routes is null) return RouteTable.Single(Refused("no routes"));
        var backends = Backends(accrual, isGrpc: false, out var fault);
        return Table(routes, route => Route(route.Metadata, route.Hosts, route.Rules, (HttpRoute.Types.Rule rule, RuleReader read) =>
        {
            var matches = Matches(rule.Matches, read.Match, read);
            var byPrefix = matches.All(m => m.Path is PathPattern.Prefix);
            return (matches, new RouteRule
            {
                Route = RuleReader.Name(route.Metadata),
                Filters = FilterReader.Read(rule.Filters, isGrpc: false, byPrefix, read),
                Backends = backends.Read(rule.Backends, byPrefix, read),
                Timeouts = read.Timeouts(rule.Timeouts, rule.RequestTimeout),
                Retry = read.Retry(rule.Retry),
            });
        }, fault));
    }

    private RouteTable Grpc(ProxyProtocol.Types.Grpc grpc)
    {
        var backends = Backends(grpc.FailureAccrual, isGrpc: true, out var fault);
        return Table(grpc.Routes, route => Route(route.Metadata, route.Hosts, route.Rules, (GrpcRoute.Types.Rule rule, RuleReader read) =>
            (Matches(rule.Matches, read.Match, read), new RouteRule
            {
                Route = RuleReader.Name(route.Metadata),
                Filters = FilterReader.Read([.. rule.Filters.Select(f => HttpFilter.Parser.ParseFrom(f.ToByteString()))], isGrpc: true, byPrefix: false, read),
                Backends = backends.Read(SameOnTheWire(rule.Backends), byPrefix: false, read),
                Timeouts = read.Timeouts(rule.Timeouts, rule.RequestTimeout),
                Retry = read.Retry(rule.Retry),
            }), fault));
    }

    private RouteTable Table<T>(IReadOnlyCollection<T> routes, Func<T, Route> read)
    {
        _matches = 0;
        if (routes.Count > MaxRoutes) return RouteTable.Single(Refused("too many routes"));
        ImmutableArray<Route> all = [.. routes.Select(read)];
        return _matches > MaxMatches ? RouteTable.Single(Refused("too many matches")) : new RouteTable(all);
    }

    private Route Route<TRule>(
        Protocol.Meta.Metadata? name, IReadOnlyCollection<Protocol.HttpRoutes.HostMatch> hosts, IReadOnlyCollection<TRule> rules,
        Func<TRule, RuleReader, (ImmutableArray<RequestMatch>, RouteRule)> readRule, string? fault)
    {
        // What is wrong with a host is wrong with every rule.
        var shared = new RuleReader();
        if (fault is not null) shared.Refuse(fault);
        if (hosts.Count > MaxHosts) shared.Refuse("too many hosts");
        if (rules.Count is 0 or > MaxRules) shared.Refuse("no rules, or too many");
        ImmutableArray<HostPattern> patterns = [.. hosts.Take(MaxHosts).Select(shared.Host)];
        var all = ImmutableArray.CreateBuilder<(ImmutableArray<RequestMatch>, RouteRule)>();
        foreach (var rule in rules.Take(MaxRules))
        {
            var reader = new RuleReader();
            if (shared.Fault is not null) reader.Refuse(shared.Fault);
            var (matches, read) = readRule(rule, reader);
            _matches += Math.Max(1, matches.Length) * Math.Max(1, patterns.Length);
            if (reader.Fault is not null) Note($"{RuleReader.Name(name)}: {reader.Fault}");
            all.Add((matches, reader.Fault is null ? read : read with { Fault = reader.Fault }));
        }

        if (all.Count == 0) all.Add(([], Refused("a route without rules") with { Route = RuleReader.Name(name) }));
        return new Route(patterns, all.ToImmutable());
    }

    private static ImmutableArray<RequestMatch> Matches<T>(IReadOnlyCollection<T> matches, Func<T, RequestMatch> read, RuleReader rule)
    {
        // Beyond the bound the rule refuses everything; the table is not built of so many.
        if (matches.Count <= MaxMatches) return [.. matches.Select(read)];
        rule.Refuse("too many matches");
        return [];
    }

    private RouteRule Opaque(ProxyProtocol.Types.Opaque? opaque) =>
        opaque?.Routes.FirstOrDefault() is { } route && route.Rules.FirstOrDefault() is { } rule
            ? Bytes(route.Metadata, SameOnTheWire(rule.Backends), [.. rule.Filters.Select(f => f.Forbidden is not null)])
            : Refused("no route for bytes");

    private RouteRule Tls(ProxyProtocol.Types.Tls tls) =>
        tls.Routes.Count == 1 && tls.Routes[0] is { Snis.Count: 0, Rules: [var rule, ..] } route
            ? Bytes(route.Metadata, SameOnTheWire(rule.Backends), [.. rule.Filters.Select(f => f.Forbidden is not null)])
            : Refused("routes by server name, which are not understood");

    // Filters of bytes do nothing but refuse. Those of backends have another meaning there than the form they were brought to, so that any refuses.
    private RouteRule Bytes(Protocol.Meta.Metadata? name, HttpDistribution? distribution, ImmutableArray<bool> filters)
    {
        var reader = new RuleReader();
        if (!filters.IsEmpty) reader.Refuse(filters[0] ? "forbidden" : "invalid");
        if (distribution?.FirstAvailable?.Backends.Any(b => b.Filters.Count > 0) == true || distribution?.RandomAvailable?.Backends.Any(b => b.Backend?.Filters.Count > 0) == true)
            reader.Refuse("a backend that is filtered");
        var backends = new BackendReader(_controlPlaneNamespace, accrual: null, isGrpc: false).Read(distribution, byPrefix: false, reader);
        if (reader.Fault is { } fault && fault != "forbidden") Note($"{RuleReader.Name(name)}: {fault}");
        return new RouteRule { Route = RuleReader.Name(name), Backends = backends, Fault = reader.Fault };
    }

    private BackendReader Backends(FailureAccrual? accrual, bool isGrpc, out string? fault)
    {
        var reader = new RuleReader();
        // Of the unified kind the failures in a row count; its success rate is not looked at.
        var (max, backoff) = accrual?.KindCase switch
        {
            FailureAccrual.KindOneofCase.ConsecutiveFailures => (accrual.ConsecutiveFailures.MaxFailures, accrual.ConsecutiveFailures.Backoff),
            FailureAccrual.KindOneofCase.Unified => (accrual.Unified.MaxConsecutiveFailures, accrual.Unified.Backoff),
            _ => (0u, null),
        };
        var read = max > 0 && reader.Backoff(backoff) is { } waits ? new FailureAccrualParameters((int)Math.Min(max, int.MaxValue), waits) : null;
        fault = reader.Fault;
        return new BackendReader(_controlPlaneNamespace, read, isGrpc);
    }

    private RouteRule Refused(string fault)
    {
        Note(fault);
        return Refusing(fault);
    }

    private static RouteRule Refusing(string fault) => new() { Route = ResourceName.Default("refused"), Fault = fault };

    private void Note(string fault)
    {
        if (_faults.Count < MaxRules) _faults.Add(fault);
    }

    private static HttpDistribution? SameOnTheWire(IMessage? distribution) => distribution is null ? null : HttpDistribution.Parser.ParseFrom(distribution.ToByteString());
}
