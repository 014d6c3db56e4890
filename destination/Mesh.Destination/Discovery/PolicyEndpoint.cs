using Grpc.Core;
using Mesh.Destination.Services;
using Mesh.Grpc;
using Mesh.Protocol.Outbound;

namespace Mesh.Destination.Discovery;

/// <summary>
/// <c>io.linkerd.proxy.outbound.OutboundPolicies</c>: what becomes of traffic to a service. A change is encoded once for all who follow it. An address is
/// NotFound, since the file names none for services, and so is a service that is not there: proxies then go by their default.
/// </summary>
internal sealed class PolicyEndpoint(ServiceRegister register, ProxyCalls calls) : OutboundPolicies.OutboundPoliciesBase
{
    public override Task<OutboundPolicy> Get(TrafficSpec request, ServerCallContext context)
    {
        calls.Admit(context);
        if (register.Current.Table is not { } table) throw calls.NothingKnown();
        return table.Find(Read(request)) is { } service ? Task.FromResult(service.Policy) : throw Unknown();
    }

    public override Task Watch(TrafficSpec request, IServerStreamWriter<OutboundPolicy> responseStream, ServerCallContext context)
    {
        calls.Admit(context);
        var authority = Read(request);
        if (register.Current.Table is null) throw calls.NothingKnown();
        if (register.Follow(authority) is not { } feed) throw Unknown();
        return calls.StreamAsync(FollowAsync, () => register.Leave(authority, feed), context.CancellationToken);

        async Task FollowAsync(CancellationToken ct)
        {
            OutboundPolicy? sent = null;
            while (true)
            {
                var now = feed.Current;
                if (now.Policy is not { } policy) throw ProxyCalls.Status(StatusCode.NotFound, "The service is gone.");
                // Endpoints come and go without a word here.
                if (!policy.Value.Equals(sent)) await calls.WriteAsync(end => responseStream.WriteAsync(policy, end));
                sent = policy.Value;
                await now.Superseded.WaitAsync(ct);
            }
        }
    }

    private Authority Read(TrafficSpec request)
    {
        switch (request.TargetCase)
        {
            case TrafficSpec.TargetOneofCase.Addr:
                throw Unknown();
            case TrafficSpec.TargetOneofCase.Authority when request.Authority.Length <= ProxyCalls.MaxPathLength && Authority.TryParse(request.Authority, out var authority):
                return authority;
            default:
                throw calls.Refuse(StatusCode.InvalidArgument, "The target is neither an address nor name:port.");
        }
    }

    private static RpcException Unknown() => ProxyCalls.Status(StatusCode.NotFound, "There is no such service.");
}
