using System.Collections.Immutable;
using Grpc.Core;
using Mesh.Protocol.Outbound;
using Mesh.Proxy.Control;
using Mesh.Proxy.Routing;
using Mesh.Proxy.Settings;
using Mesh.Proxy.Tests.Control;
using Mesh.Spiffe;
using static Mesh.Proxy.Tests.Routing.Policies;

namespace Mesh.Proxy.Tests.Routing;

/// <summary>The routes of services over real gRPC and mutual TLS.</summary>
public sealed class PolicyDirectoryTests : IAsyncLifetime
{
    private static readonly HostPort Web = HostPort.Parse("web.demo.svc.cluster.local:80");
    private static readonly TimeSpan Patience = FakeControlPlane.Patience;

    private readonly FakeControlPlane _service = new();
    private readonly CancellationTokenSource _stop = new();
    private ControlChannel _channel = null!;
    private PolicyDirectory _directory = null!;
    private Task _running = Task.CompletedTask;

    public async ValueTask InitializeAsync()
    {
        await _service.StartAsync();
        X509Svid svid = _service.Authority.CreateSvid(SpiffeId.Parse("spiffe://example.org/ns/demo/sa/client"));
        _channel = new ControlChannel(_service.Address, FakeControlPlane.ServiceId, "identity", () => svid, _service.Authority.Bundles, TimeProvider.System);
        _directory = new PolicyDirectory(_channel, "{\"ns\":\"demo\"}", "mesh", () => true, TimeProvider.System, Random.Shared);
        _running = _directory.RunAsync(_stop.Token);
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _running;
        _channel.Dispose();
        await _service.DisposeAsync();
        _stop.Dispose();
    }

    [Fact]
    public async Task A_service_is_asked_for_by_its_name_and_the_first_question_waits()
    {
        var asking = Ask();
        var stream = await _service.NextPolicyAsync();
        Assert.Equal(("web.demo.svc.cluster.local:80", "{\"ns\":\"demo\"}"), (stream.Request.Authority, stream.Request.SourceWorkload));
        Assert.False(asking.IsCompleted);
        await stream.PushAsync(Message(Route("web", Rule())));
        var resolution = await asking;
        Assert.False(resolution.Stale);
        Assert.Equal("HTTPRoute/demo/web", RouteOf(resolution));
        Assert.True(Ask().IsCompletedSuccessfully);
    }

    [Fact]
    public async Task An_address_is_asked_for_as_an_address()
    {
        _ = _directory.ResolveAsync(HostPort.Parse("10.0.0.7:8080"), Patience, CancellationToken.None).AsTask();
        var request = (await _service.NextPolicyAsync()).Request;
        Assert.Equal((TrafficSpec.TargetOneofCase.Addr, 0x0a000007u, 8080u), (request.TargetCase, request.Addr.Ip.Ipv4, request.Addr.Port));
    }

    [Fact]
    public async Task Changes_are_told_and_what_is_told_again_is_no_change()
    {
        var stream = await FirstAsync();
        var before = (await Ask()).Policy;
        var changed = ChangedFrom(before);
        await stream.PushAsync(Message(Route("web", Rule())));
        await stream.PushAsync(Message(Route("other", Rule())));
        Assert.Equal("HTTPRoute/demo/other", (await changed.WaitAsync(Patience)).Http1.Routes[0].Rules[0].Rule.Route.ToString());
        Assert.NotSame(before, (await Ask()).Policy);
        Assert.Equal(2, _directory.Updates);
    }

    [Theory]
    [InlineData(StatusCode.NotFound)]
    [InlineData(StatusCode.InvalidArgument)]
    public async Task A_service_without_a_policy_has_the_default_one(StatusCode code)
    {
        var asking = Ask();
        (await _service.NextPolicyAsync()).End(code);
        var resolution = await asking;
        Assert.True(resolution.Policy!.IsDefault);
        Assert.False(resolution.Stale);
        Assert.Equal(Web, resolution.Policy.Http1.Match(Requests.Request("/")).Rule!.Backends.All[0].Backend.Authority);
    }

    [Fact]
    public async Task A_control_plane_without_policies_leaves_every_service_the_default_one()
    {
        _service.Policies = null;
        var resolution = await Ask();
        Assert.Equal((true, false), (resolution.Policy!.IsDefault, resolution.Stale));
    }

    [Fact]
    public async Task What_was_known_stays_while_the_service_is_away_and_says_so()
    {
        await FirstAsync();
        var away = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        var back = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
        _directory.ReachableChanged += (reachable, _) => (reachable ? back : away).TrySetResult();
        await _service.StopAsync();
        await away.Task.WaitAsync(Patience);
        var resolution = await Ask();
        Assert.Equal(("HTTPRoute/demo/web", true, 1), (RouteOf(resolution), resolution.Stale, _directory.StaleWatches));

        var held = resolution.Policy;
        await _service.StartAsync();
        var stream = await _service.NextPolicyAsync();
        await stream.PushAsync(Message(Route("web", Rule())));
        await back.Task.WaitAsync(Patience);
        // The same routes again: balancers built from them stay.
        Assert.Same(held, (await Ask()).Policy);
        Assert.Equal(0, _directory.StaleWatches);
    }

    [Fact]
    public async Task Who_has_never_answered_leaves_nothing_to_go_by()
    {
        await _service.StopAsync();
        Assert.Null((await Ask()).Policy);
    }

    [Fact]
    public async Task What_is_not_understood_is_told_and_ends_no_stream()
    {
        var told = new TaskCompletionSource<ImmutableArray<string>>(TaskCreationOptions.RunContinuationsAsynchronously);
        _directory.NotUnderstood += (_, faults) => told.TrySetResult(faults);
        var asking = Ask();
        var stream = await _service.NextPolicyAsync();
        await stream.PushAsync(Message(Route("bad", Rule(null, new HttpRoute.Types.Filter()))));
        var before = (await asking).Policy!;
        Assert.NotNull(before.Http1.Match(Requests.Request("/")).Rule!.Fault);
        Assert.Contains("HTTPRoute/demo/bad", (await told.Task.WaitAsync(Patience))[0], StringComparison.Ordinal);
        Assert.Equal(2, _directory.RulesRefused);
        var changed = ChangedFrom(before);
        await stream.PushAsync(Message(Route("web", Rule())));
        Assert.Null((await changed.WaitAsync(Patience)).Http1.Match(Requests.Request("/")).Rule!.Fault);
    }

    private Task<PolicyResolution> Ask() => _directory.ResolveAsync(Web, Patience, CancellationToken.None).AsTask();

    private async Task<StreamSession<TrafficSpec, Protocol.Outbound.OutboundPolicy>> FirstAsync()
    {
        var asking = Ask();
        var stream = await _service.NextPolicyAsync();
        await stream.PushAsync(Message(Route("web", Rule())));
        await asking;
        return stream;
    }

    // Who asked may have the first policy before it is told as a change.
    private Task<Mesh.Proxy.Routing.OutboundPolicy> ChangedFrom(Mesh.Proxy.Routing.OutboundPolicy? before)
    {
        var changed = new TaskCompletionSource<Mesh.Proxy.Routing.OutboundPolicy>(TaskCreationOptions.RunContinuationsAsynchronously);
        _directory.PolicyChanged += (_, policy) =>
        {
            if (!ReferenceEquals(policy, before)) changed.TrySetResult(policy);
        };
        return changed.Task;
    }

    private static string RouteOf(PolicyResolution resolution) => resolution.Policy!.Http1.Match(Requests.Request("/")).Rule!.Route.ToString();
}
