using System.Text.Json;
using Grpc.Core;
using Mesh.Protocol.Trust;
using Mesh.Spiffe;
using Mesh.Testing;

namespace Mesh.Identity.Tests.Bundles;

public sealed class TrustEndpointTests
{
    private static readonly SpiffeId Web = RunningIdentity.IdOf("shop", "web");

    private static BundleStatus Status(BundleUpdate update, string instance, string rejection = "") =>
        new() { SpiffeId = Web.ToString(), InstanceId = instance, Version = "0.1.0", BundleSequence = update.Sequence, Rejection = rejection };

    private static AsyncDuplexStreamingCall<BundleStatus, BundleUpdate> Open(RunningIdentity identity, X509Svid? svid) =>
        new Protocol.Trust.Trust.TrustClient(identity.Channel(svid)).StreamBundles();

    private static async Task<BundleUpdate> NextAsync(AsyncDuplexStreamingCall<BundleStatus, BundleUpdate> call)
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        Assert.True(await call.ResponseStream.MoveNext(deadline.Token));
        return call.ResponseStream.Current;
    }

    private static async Task<RpcException> EndAsync(AsyncDuplexStreamingCall<BundleStatus, BundleUpdate> call)
    {
        using var deadline = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        return await Assert.ThrowsAsync<RpcException>(async () =>
        {
            while (await call.ResponseStream.MoveNext(deadline.Token)) { }
        });
    }

    [Fact]
    public async Task The_bundle_comes_at_once_and_the_answer_is_seen_on_the_admin_port()
    {
        await using var identity = await RunningIdentity.StartAsync();
        using var svid = identity.Issuer.CreateSvid(Web);
        using var call = Open(identity, svid);
        var update = await NextAsync(call);
        Assert.Equal("cluster.local", update.TrustDomain);
        Assert.Equal(identity.Server.Feed.Current!.Sequence, update.Sequence);
        Assert.Equal(identity.Root.Certificate.Der.ToArray(), Assert.Single(update.Anchors).ToByteArray());
        Assert.False(update.RenewNow);
        Assert.Equal(1, await identity.MetricAsync("mesh_identity_bundle_streams{state=\"silent\"}"));

        await call.RequestStream.WriteAsync(Status(update, "pod-1"));
        await Eventually.True(() => identity.Server.Streams.Snapshot().Single().Holding is not null, "status taken");
        using var page = JsonDocument.Parse((await identity.AdminAsync("/streams")).Body);
        var stream = Assert.Single(page.RootElement.GetProperty("streams").EnumerateArray());
        Assert.Equal("current", stream.GetProperty("state").GetString());
        Assert.Equal(Web.ToString(), stream.GetProperty("spiffeId").GetString());
        Assert.Equal("pod-1", stream.GetProperty("instanceId").GetString());
        Assert.Equal(update.Sequence, page.RootElement.GetProperty("sequence").GetUInt64());
        Assert.Equal(1, await identity.MetricAsync("mesh_identity_bundle_streams{state=\"current\"}"));

        await call.RequestStream.CompleteAsync();
        await Eventually.True(() => identity.Server.Streams.Count == 0, "stream closed");
    }

    [Fact]
    public async Task A_rejection_is_kept_and_logged_once()
    {
        await using var identity = await RunningIdentity.StartAsync();
        using var svid = identity.Issuer.CreateSvid(Web);
        using var call = Open(identity, svid);
        var update = await NextAsync(call);
        for (var i = 0; i < 3; i++) await call.RequestStream.WriteAsync(Status(update, "pod-1", "our own SVID would not verify"));
        await call.RequestStream.WriteAsync(Status(update, "pod-2", "our own SVID would not verify"));
        await Eventually.True(() => identity.Server.Streams.Snapshot().Single().Holding?.InstanceId == "pod-2", "statuses taken");
        Assert.Equal(1, await identity.MetricAsync("mesh_identity_bundle_streams{state=\"rejected\"}"));
        Assert.Single(identity.Log.Of("BundleUpdateRejected"));
    }

    [Fact]
    public async Task A_change_reaches_two_hundred_streams_and_is_encoded_once()
    {
        await using var identity = await RunningIdentity.StartAsync();
        using var svid = identity.Issuer.CreateSvid(Web);
        var channel = identity.Channel(svid);
        var calls = Enumerable.Range(0, 200).Select(_ => new Protocol.Trust.Trust.TrustClient(channel).StreamBundles()).ToArray();
        try
        {
            var first = await Task.WhenAll(calls.Select(NextAsync));
            var editions = identity.Server.Feed.Editions;
            var next = TestAuthority.CreateRoot(RunningIdentity.TrustDomain);
            identity.WriteAnchors(identity.Root, next);
            var second = await Task.WhenAll(calls.Select(NextAsync));
            Assert.Equal(editions + 1, identity.Server.Feed.Editions);
            Assert.All(second, update => Assert.Equal(2, update.Anchors.Count));
            Assert.Single(second.Select(u => u.Sequence).Distinct());
            Assert.True(second[0].Sequence > first[0].Sequence);

            await Task.WhenAll(calls.Select((call, i) => call.RequestStream.WriteAsync(Status(second[i], $"pod-{i}"))));
            await Eventually.True(() => identity.Server.Streams.CountByState(second[0].Sequence)[(int)Mesh.Identity.Bundles.HoldingState.Current] == 200, "all confirmed");
        }
        finally
        {
            foreach (var call in calls) call.Dispose();
        }
    }

    [Fact]
    public async Task A_call_to_renew_travels_with_its_edition()
    {
        await using var identity = await RunningIdentity.StartAsync();
        using var svid = identity.Issuer.CreateSvid(Web);
        using var call = Open(identity, svid);
        await NextAsync(call);
        identity.Server.Feed.Publish(identity.Server.Feed.Current!.Bundle, new Mesh.Identity.Bundles.RenewalCall(TimeSpan.FromSeconds(30)));
        var update = await NextAsync(call);
        Assert.True(update.RenewNow);
        Assert.Equal(30_000u, update.RenewWithinMs);
    }

    [Fact]
    public async Task Without_a_client_certificate_there_is_no_stream()
    {
        await using var identity = await RunningIdentity.StartAsync();
        using var call = Open(identity, null);
        Assert.Equal(StatusCode.Unauthenticated, (await EndAsync(call)).StatusCode);
        Assert.Equal(0, identity.Server.Streams.Count);
        Assert.Equal(1, await identity.MetricAsync("mesh_identity_bundle_streams_refused_total"));
    }

    [Fact]
    public async Task A_certificate_of_another_authority_does_not_pass_the_handshake()
    {
        await using var identity = await RunningIdentity.StartAsync();
        using var svid = TestAuthority.CreateRoot(RunningIdentity.TrustDomain).CreateSvid(Web);
        using var call = Open(identity, svid);
        Assert.Equal(StatusCode.Unavailable, (await EndAsync(call)).StatusCode);
        await Eventually.True(() => identity.Log.Of("ClientCertificateRefused").Any(), "refusal logged");
        Assert.Equal(0, identity.Server.Streams.Count);
    }

    [Fact]
    public async Task Nobody_speaks_for_another_identity()
    {
        await using var identity = await RunningIdentity.StartAsync();
        using var svid = identity.Issuer.CreateSvid(RunningIdentity.IdOf("shop", "api"));
        using var call = Open(identity, svid);
        await call.RequestStream.WriteAsync(Status(await NextAsync(call), "pod-1"));
        Assert.Equal(StatusCode.PermissionDenied, (await EndAsync(call)).StatusCode);
        await Eventually.True(() => identity.Server.Streams.Count == 0, "stream closed");
    }

    [Fact]
    public async Task A_flood_of_statuses_ends_the_stream()
    {
        await using var identity = await RunningIdentity.StartAsync();
        using var svid = identity.Issuer.CreateSvid(Web);
        using var call = Open(identity, svid);
        var update = await NextAsync(call);
        try
        {
            for (var i = 0; i < 200; i++) await call.RequestStream.WriteAsync(Status(update, "pod-1"));
        }
        catch (Exception e) when (e is RpcException or InvalidOperationException or IOException)
        {
            // The stream ended while we were still writing.
        }

        Assert.Equal(StatusCode.ResourceExhausted, (await EndAsync(call)).StatusCode);
    }

    [Fact]
    public async Task When_there_is_no_room_the_caller_is_sent_elsewhere()
    {
        await using var identity = await RunningIdentity.StartAsync(settings: s => s["MESH_IDENTITY_MAX_BUNDLE_STREAMS"] = "1");
        using var svid = identity.Issuer.CreateSvid(Web);
        using var first = Open(identity, svid);
        await NextAsync(first);
        using var second = Open(identity, svid);
        Assert.Equal(StatusCode.ResourceExhausted, (await EndAsync(second)).StatusCode);
    }

    [Fact]
    public async Task A_stream_ends_with_the_certificate_it_was_opened_with()
    {
        await using var identity = await RunningIdentity.StartAsync();
        using var svid = identity.Issuer.CreateSvid(Web, leaf => leaf with { NotAfter = identity.Time.GetUtcNow().AddSeconds(3) });
        using var call = Open(identity, svid);
        await NextAsync(call);
        Assert.Equal(StatusCode.Unauthenticated, (await EndAsync(call)).StatusCode);
    }

    [Fact]
    public async Task Streams_end_with_unavailable_when_the_service_stops()
    {
        await using var identity = await RunningIdentity.StartAsync();
        using var svid = identity.Issuer.CreateSvid(Web);
        using var call = Open(identity, svid);
        await NextAsync(call);
        Assert.Equal(0, await identity.Server.StopAsync());
        Assert.Equal(StatusCode.Unavailable, (await EndAsync(call)).StatusCode);
    }
}
