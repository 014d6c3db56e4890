using System.Net;
using Grpc.Core;
using Mesh.Protocol.Destination;
using Mesh.Proxy.Control;
using Mesh.Proxy.Discovery;
using Mesh.Proxy.Settings;
using Mesh.Proxy.Tests.Control;
using Mesh.Spiffe;
using static Mesh.Proxy.Tests.Discovery.Messages;

namespace Mesh.Proxy.Tests.Discovery;

public sealed class ServiceDirectoryTests : IAsyncLifetime
{
    private static readonly HostPort Web = HostPort.Parse("web.demo.svc.cluster.local:80");
    private static readonly TimeSpan Patience = FakeControlPlane.Patience;

    private readonly FakeControlPlane _service = new();
    private readonly CancellationTokenSource _stop = new();
    private ControlChannel _channel = null!;
    private ServiceDirectory _directory = null!;
    private Task _running = Task.CompletedTask;
    private X509Svid? _svid;

    public async ValueTask InitializeAsync()
    {
        await _service.StartAsync();
        _svid = _service.Authority.CreateSvid(Id);
        _channel = new ControlChannel(_service.Address, FakeControlPlane.ServiceId, "identity", () => _svid, _service.Authority.Bundles, TimeProvider.System);
        _directory = new ServiceDirectory(_channel, "{\"ns\":\"web\"}", "mesh", () => _svid is not null, TimeProvider.System, Random.Shared);
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
    public async Task The_first_question_waits_for_the_first_answer()
    {
        ValueTask<Resolution> asking = _directory.ResolveAsync(Web, Patience, CancellationToken.None);
        DiscoverySession<Update> stream = await _service.NextGetAsync();
        Assert.Equal(("web.demo.svc.cluster.local:80", "{\"ns\":\"web\"}"), (stream.Request.Path, stream.Request.ContextToken));
        Assert.Equal(Id, stream.Peer!.Id!.ToString());
        Assert.False(asking.IsCompleted);
        await stream.PushAsync(Add("10.0.0.1:80"));
        Resolution resolution = await asking;
        Assert.Equal((ResolutionKind.Found, false), (resolution.Kind, resolution.Stale));
        Assert.Equal("10.0.0.1:80", Assert.Single(resolution.Endpoints!.Endpoints).Address.ToString());
    }

    [Fact]
    public async Task One_stream_serves_all_who_ask_and_later_answers_are_there_at_once()
    {
        Task<Resolution>[] asking = [.. Enumerable.Range(0, 20).Select(_ => _directory.ResolveAsync(Web, Patience, CancellationToken.None).AsTask())];
        DiscoverySession<Update> stream = await _service.NextGetAsync();
        await stream.PushAsync(Add("10.0.0.1:80"));
        foreach (Task<Resolution> one in asking) Assert.Equal(ResolutionKind.Found, (await one).Kind);
        Assert.True(_directory.ResolveAsync(Web, Patience, CancellationToken.None).AsTask().IsCompletedSuccessfully);
        Assert.False(_service.Gets.Reader.TryRead(out _));
        Assert.Equal(1, _directory.Watches);
    }

    [Fact]
    public async Task Changes_are_told_and_seen()
    {
        DiscoverySession<Update> stream = await ResolveAsync("10.0.0.1:80");
        await ChangedAsync(() => stream.PushAsync(Add("10.0.0.2:80")), set => set.Endpoints.Length == 2);
        Assert.Equal(2, (await Now()).Endpoints!.Endpoints.Length);
        await ChangedAsync(() => stream.PushAsync(Remove("10.0.0.1:80")), set => set.Endpoints.Length == 1);
        await ChangedAsync(() => stream.PushAsync(None(exists: true)), set => set.Endpoints.IsEmpty);
        Resolution empty = await Now();
        Assert.Equal((ResolutionKind.Found, 0), (empty.Kind, empty.Endpoints!.Endpoints.Length));
        await ChangedAsync(() => stream.PushAsync(None(exists: false)), set => !set.Exists);
        Assert.Equal(ResolutionKind.NotFound, (await Now()).Kind);
    }

    [Theory]
    [InlineData(StatusCode.NotFound)]
    [InlineData(StatusCode.InvalidArgument)]
    public async Task A_service_that_discovery_does_not_know_is_not_found(StatusCode code)
    {
        ValueTask<Resolution> asking = _directory.ResolveAsync(Web, Patience, CancellationToken.None);
        (await _service.NextGetAsync()).End(code);
        Assert.Equal(ResolutionKind.NotFound, (await asking).Kind);
        Assert.Equal(0, _directory.StaleWatches);
    }

    [Fact]
    public async Task While_discovery_is_away_the_last_endpoints_stay_and_say_so_until_the_first_word_after_its_return()
    {
        await ResolveAsync("10.0.0.1:80");
        var away = new TaskCompletionSource();
        _directory.ReachableChanged += (reachable, _) =>
        {
            if (!reachable) away.TrySetResult();
        };
        await _service.StopAsync();
        await away.Task.WaitAsync(Patience);
        Resolution stale = await Now();
        Assert.Equal((ResolutionKind.Found, true), (stale.Kind, stale.Stale));
        Assert.Equal("10.0.0.1:80", Assert.Single(stale.Endpoints!.Endpoints).Address.ToString());
        Assert.Equal(1, _directory.StaleWatches);

        await _service.StartAsync();
        DiscoverySession<Update> stream = await _service.NextGetAsync();
        Assert.Equal("10.0.0.1:80", Assert.Single((await Now()).Endpoints!.Endpoints).Address.ToString());
        await ChangedAsync(() => stream.PushAsync(Add("10.0.0.2:80")), set => set.Endpoints.Length == 1);
        Resolution fresh = await Now();
        Assert.False(fresh.Stale);
        Assert.Equal("10.0.0.2:80", Assert.Single(fresh.Endpoints!.Endpoints).Address.ToString());
        Assert.Equal(0, _directory.StaleWatches);
    }

    [Fact]
    public async Task A_stream_that_the_service_ends_is_opened_again()
    {
        DiscoverySession<Update> stream = await ResolveAsync("10.0.0.1:80");
        stream.End();
        stream = await _service.NextGetAsync();
        stream.End(StatusCode.Unavailable);
        await _service.NextGetAsync();
        Assert.Equal(ResolutionKind.Found, (await Now()).Kind);
    }

    [Fact]
    public async Task What_was_never_resolved_is_unavailable_as_soon_as_discovery_is_known_to_be_away()
    {
        await _service.StopAsync();
        Resolution resolution = await _directory.ResolveAsync(Web, Timeout.InfiniteTimeSpan, CancellationToken.None).AsTask().WaitAsync(Patience);
        Assert.Equal(ResolutionKind.Unavailable, resolution.Kind);
        await _service.StartAsync();
        await (await _service.NextGetAsync()).PushAsync(Add("10.0.0.1:80"));
    }

    [Fact]
    public async Task An_answer_that_does_not_come_in_time_is_unavailable_and_later_there()
    {
        Resolution resolution = await _directory.ResolveAsync(Web, TimeSpan.FromMilliseconds(1), CancellationToken.None);
        Assert.Equal(ResolutionKind.Unavailable, resolution.Kind);
        DiscoverySession<Update> stream = await _service.NextGetAsync();
        await ChangedAsync(() => stream.PushAsync(Add("10.0.0.1:80")), set => set.Exists);
        Assert.Equal(ResolutionKind.Found, (await Now()).Kind);
    }

    [Fact]
    public async Task Who_gives_up_waiting_is_heard()
    {
        using var stop = new CancellationTokenSource();
        Task<Resolution> asking = _directory.ResolveAsync(Web, Patience, stop.Token).AsTask();
        await _service.NextGetAsync();
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => asking);
    }

    [Fact]
    public async Task Without_a_certificate_nobody_is_asked()
    {
        X509Svid? svid = _svid;
        _svid = null;
        Resolution resolution = await _directory.ResolveAsync(Web, Timeout.InfiniteTimeSpan, CancellationToken.None).AsTask().WaitAsync(Patience);
        Assert.Equal(ResolutionKind.Unavailable, resolution.Kind);
        Assert.False(_service.Gets.Reader.TryRead(out _));
        _svid = svid;
        await (await _service.NextGetAsync()).PushAsync(Add("10.0.0.1:80"));
    }

    [Fact]
    public async Task A_renewed_certificate_is_shown_on_the_next_stream()
    {
        DiscoverySession<Update> stream = await ResolveAsync("10.0.0.1:80");
        string before = stream.Peer!.Leaf!.SerialText;
        _svid = _service.Authority.CreateSvid(Id);
        stream.End(StatusCode.Unauthenticated);
        stream = await _service.NextGetAsync();
        Assert.NotEqual(before, stream.Peer!.Leaf!.SerialText);
        Assert.Equal(_svid.Leaf.SerialText, stream.Peer.Leaf.SerialText);
    }

    [Fact]
    public async Task More_destinations_than_the_bound_are_turned_away_while_somebody_waits_for_each_of_them()
    {
        for (int i = 0; i < ServiceDirectory.MaxWatches; i++) _ = _directory.ResolveAsync(HostPort.Parse($"s{i}.demo.svc.cluster.local:80"), TimeSpan.FromHours(1), CancellationToken.None).AsTask();
        Resolution resolution = await _directory.ResolveAsync(Web, Patience, CancellationToken.None);
        Assert.Equal(ResolutionKind.Unavailable, resolution.Kind);
        Assert.Equal((ServiceDirectory.MaxWatches, 1), (_directory.Watches, _directory.TurnedAway));
    }

    [Fact]
    public async Task The_address_asked_for_longest_ago_without_an_open_connection_makes_room_for_another()
    {
        var directory = new ServiceDirectory(_channel, "", "mesh", () => true, TimeProvider.System, Random.Shared, maxWatches: 3);
        using var stop = new CancellationTokenSource();
        Task running = directory.RunAsync(stop.Token);
        var gone = new Dictionary<string, CancellationToken>();
        foreach (string address in (string[])["10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80"]) await AskAsync(address);
        IDisposable? held = directory.Hold(IPEndPoint.Parse("10.0.0.1:80"));
        await directory.ProfileAsync(IPEndPoint.Parse("10.0.0.2:80"), Patience, CancellationToken.None);

        // 1 has a connection, 2 was asked for since: 3 goes, then 2, then 4; and 1 only when the others have connections as well.
        await AskAsync("10.0.0.4:80");
        await EndedAsync("10.0.0.3:80");
        await AskAsync("10.0.0.5:80");
        await EndedAsync("10.0.0.2:80");
        directory.Hold(IPEndPoint.Parse("10.0.0.4:80"));
        directory.Hold(IPEndPoint.Parse("10.0.0.5:80"));
        await AskAsync("10.0.0.6:80");
        await EndedAsync("10.0.0.1:80");
        Assert.Equal((3, 0), (directory.Watches, directory.TurnedAway));
        held!.Dispose();
        await stop.CancelAsync();
        await running;

        async Task AskAsync(string address)
        {
            Task<ProfileResolution> asking = directory.ProfileAsync(IPEndPoint.Parse(address), Patience, CancellationToken.None).AsTask();
            DiscoverySession<DestinationProfile> stream = await _service.Profiles.Reader.ReadAsync().AsTask().WaitAsync(Patience);
            Assert.Equal(address, stream.Request.Path);
            gone[address] = stream.Gone;
            await stream.PushAsync(new DestinationProfile());
            Assert.Equal(ResolutionKind.Found, (await asking).Kind);
        }

        async Task EndedAsync(string address)
        {
            var ended = new TaskCompletionSource();
            await using CancellationTokenRegistration registration = gone[address].Register(() => ended.TrySetResult());
            await ended.Task.WaitAsync(Patience);
        }
    }

    [Fact]
    public async Task A_profile_says_what_an_address_stands_for()
    {
        var address = IPEndPoint.Parse("10.96.0.10:80");
        ValueTask<ProfileResolution> asking = _directory.ProfileAsync(address, Patience, CancellationToken.None);
        DiscoverySession<DestinationProfile> stream = await _service.Profiles.Reader.ReadAsync().AsTask().WaitAsync(Patience);
        Assert.Equal("10.96.0.10:80", stream.Request.Path);
        var profile = new DestinationProfile { FullyQualifiedName = "web.demo.svc.cluster.local", OpaqueProtocol = true, Endpoint = Endpoint("10.0.0.1:8080") };
        profile.DstOverrides.Add(new WeightedDst { Authority = "web-v2.demo.svc.cluster.local:80", Weight = 9 });
        await stream.PushAsync(profile);
        ProfileResolution resolution = await asking;
        Assert.Equal(ResolutionKind.Found, resolution.Kind);
        Assert.Equal(("web.demo.svc.cluster.local:80", true, false), (resolution.Profile!.Authority, resolution.Profile.Opaque, resolution.Profile.Refused));
        Assert.Equal("10.0.0.1:8080", resolution.Profile.Endpoint!.Address.ToString());
        Assert.Equal(new WeightedAuthority("web-v2.demo.svc.cluster.local:80", 9), Assert.Single(resolution.Profile.Overrides));
    }

    [Fact]
    public async Task A_profile_whose_endpoint_cannot_be_held_to_its_identity_says_so()
    {
        ValueTask<ProfileResolution> asking = _directory.ProfileAsync(IPEndPoint.Parse("10.0.0.1:80"), Patience, CancellationToken.None);
        DiscoverySession<DestinationProfile> stream = await _service.Profiles.Reader.ReadAsync().AsTask().WaitAsync(Patience);
        await stream.PushAsync(new DestinationProfile { Endpoint = Endpoint("10.0.0.1:80", "not an id") });
        ServiceProfile profile = (await asking).Profile!;
        Assert.True(profile.Refused);
        Assert.Null(profile.Endpoint);
    }

    private async Task<DiscoverySession<Update>> ResolveAsync(params string[] addresses)
    {
        ValueTask<Resolution> asking = _directory.ResolveAsync(Web, Patience, CancellationToken.None);
        DiscoverySession<Update> stream = await _service.NextGetAsync();
        await stream.PushAsync(Add(addresses));
        await asking;
        return stream;
    }

    private ValueTask<Resolution> Now() => _directory.ResolveAsync(Web, TimeSpan.Zero, CancellationToken.None);

    private async Task ChangedAsync(Func<Task> cause, Func<EndpointSet, bool> fits)
    {
        var changed = new TaskCompletionSource();
        void Note(HostPort authority, EndpointSet set)
        {
            Assert.Equal(Web, authority);
            if (fits(set)) changed.TrySetResult();
        }

        _directory.EndpointsChanged += Note;
        await cause();
        await changed.Task.WaitAsync(Patience);
        _directory.EndpointsChanged -= Note;
    }
}
