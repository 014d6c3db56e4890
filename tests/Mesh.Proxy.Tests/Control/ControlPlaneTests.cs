using System.Threading.Channels;
using Google.Protobuf;
using Grpc.Core;
using Mesh.Protocol.Identity;
using Mesh.Protocol.Trust;
using Mesh.Proxy.Control;
using Mesh.Proxy.Identity;
using Mesh.Proxy.Logging;
using Mesh.Proxy.Metrics;
using Mesh.Proxy.Settings;
using Mesh.Proxy.Tests.Connections;
using Mesh.Spiffe;
using Mesh.Spiffe.Renewal;
using Mesh.Testing;

namespace Mesh.Proxy.Tests.Control;

public sealed class ControlPlaneTests : IAsyncDisposable
{
    private static readonly SpiffeId Id = SpiffeId.Parse("spiffe://example.org/ns/web/sa/front");
    private static readonly TimeSpan Patience = FakeControlPlane.Patience;

    private readonly TemporaryDirectory _directory = new();
    private readonly FakeControlPlane _service = new();
    private readonly CancellationTokenSource _stop = new();
    private readonly Channel<(RenewalEvent Event, RenewalStatus Status)> _events = System.Threading.Channels.Channel.CreateUnbounded<(RenewalEvent, RenewalStatus)>();
    private readonly List<ControlPlane> _planes = [];
    private Task _running = Task.CompletedTask;

    public ControlPlaneTests()
    {
        _directory.Write("token", "first-token\n");
        _directory.Write("ca.pem", _service.Authority.Root.CertificatePem);
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _running.WaitAsync(Patience);
        foreach (ControlPlane plane in _planes) plane.Dispose();
        await _service.DisposeAsync();
        _directory.Dispose();
        _stop.Dispose();
    }

    [Fact]
    public async Task A_proxy_gets_its_first_certificate_and_is_ready()
    {
        await _service.StartAsync();
        ControlPlane plane = Create();
        Assert.False(plane.IsReady);
        Assert.Equal("waiting for the first certificate", plane.Sentence);
        await StartAsync(plane);

        CertifyRequest request = Assert.Single(_service.CertifyRequests);
        Assert.Equal(Id.ToString(), request.Identity);
        Assert.Equal("first-token", request.Token.ToStringUtf8());
        ProxyIdentity identity = plane.Identity.Usable!;
        Assert.Equal((1, Id, 0ul), (identity.Generation, identity.Svid.Id, identity.BundleSequence));
        Assert.Equal(_service.Authority.Root.Certificate, Assert.Single(identity.Bundles.All.Single().X509Authorities));
        Assert.True(plane.IsReady);
        Assert.Equal("certified", plane.Sentence);
    }

    [Fact]
    public async Task Each_certificate_has_a_new_key_and_each_request_the_token_of_its_time()
    {
        await _service.StartAsync();
        ControlPlane plane = Create();
        await StartAsync(plane);
        X509Svid first = plane.Identity.Current!.Svid;
        _directory.Write("token", "second-token");
        plane.Renewal.RenewSoon(TimeSpan.Zero);
        Assert.Equal(RenewalEvent.Renewed, (await NextEventAsync()).Event);
        ProxyIdentity second = plane.Identity.Current!;
        Assert.Equal("second-token", _service.CertifyRequests[1].Token.ToStringUtf8());
        Assert.False(first.Leaf.SubjectPublicKeyInfo.Span.SequenceEqual(second.Svid.Leaf.SubjectPublicKeyInfo.Span));
        Assert.True(second.Generation > 1);
    }

    [Fact]
    public async Task A_bundle_that_is_pushed_is_confirmed_when_it_is_in_force_everywhere()
    {
        await _service.StartAsync();
        ControlPlane plane = Create();
        var inForce = new TaskCompletionSource();
        ulong applied = 0;
        plane.Identity.Follow(async identity =>
        {
            if (identity.BundleSequence == 0) return;
            await inForce.Task;
            applied = identity.BundleSequence;
        });
        await StartAsync(plane);
        BundleSession stream = await _service.NextBundleStreamAsync();
        Assert.Equal(Id, stream.Peer!.Id);
        BundleStatus hello = await stream.StatusAsync(_ => true);
        Assert.Equal(0ul, hello.BundleSequence);

        TestAuthority next = TestAuthority.CreateRoot();
        await stream.PushAsync(_service.Update(5, _service.Authority, next));
        Task<BundleStatus> confirmation = stream.StatusAsync(s => s.BundleSequence == 5);
        await WaitUntilAsync(() => plane.Identity.Current!.BundleSequence == 5);
        Assert.False(confirmation.IsCompleted);
        inForce.SetResult();
        BundleStatus status = await confirmation;
        Assert.Equal(5ul, applied);
        Assert.Equal((Id.ToString(), "1.2.3", ""), (status.SpiffeId, status.Version, status.Rejection));
        Assert.Equal(hello.InstanceId, status.InstanceId);
        Assert.Equal(_service.Authority.Certificate.SubjectKeyId.ToArray(), status.AuthorityKeyId.ToByteArray());
        Assert.Equal(plane.Identity.Current!.Svid.Leaf.NotAfter, status.SvidExpiresAt.ToDateTimeOffset());
        Assert.Equal(2, plane.Identity.Current.Bundles.All.Single().X509Authorities.Length);
        Assert.True(plane.Bundles.Connected);
    }

    [Fact]
    public async Task A_proxy_that_is_asked_to_renews_and_confirms_under_the_new_authority()
    {
        await _service.StartAsync();
        ControlPlane plane = Create();
        await StartAsync(plane);
        BundleSession stream = await _service.NextBundleStreamAsync();
        TestAuthority old = _service.Authority;
        TestAuthority next = TestAuthority.CreateRoot().CreateIntermediate();

        // The three steps of a rotation, as the service takes them.
        await stream.PushAsync(_service.Update(1, old, next));
        await stream.StatusAsync(s => s.BundleSequence == 1);
        _service.Authority = next;
        BundleUpdate renew = _service.Update(2, old, next);
        renew.RenewNow = true;
        renew.RenewWithinMs = 50;
        await stream.PushAsync(renew);
        BundleStatus renewed = await stream.StatusAsync(s => s.AuthorityKeyId.Span.SequenceEqual(next.Certificate.SubjectKeyId.Span));
        Assert.Equal(2ul, renewed.BundleSequence);
        await stream.PushAsync(_service.Update(3, next));
        BundleStatus retired = await stream.StatusAsync(s => s.BundleSequence == 3);
        Assert.Equal("", retired.Rejection);
        Assert.Equal(next.Root.Certificate, Assert.Single(plane.Identity.Current!.Bundles.All.Single().X509Authorities));
        Assert.False(stream.Gone.IsCancellationRequested);
    }

    [Fact]
    public async Task A_request_to_renew_that_is_repeated_by_a_reopened_stream_is_honoured_once()
    {
        await _service.StartAsync();
        ControlPlane plane = Create();
        await StartAsync(plane);
        BundleSession stream = await _service.NextBundleStreamAsync();
        BundleUpdate renew = _service.Update(1, _service.Authority);
        renew.RenewNow = true;
        await stream.PushAsync(renew);
        await NextEventAsync();
        stream.End();
        stream = await _service.NextBundleStreamAsync();
        await stream.PushAsync(renew);
        await stream.StatusAsync(s => s.BundleSequence == 1);
        // Said again on the same stream, it is meant.
        await stream.PushAsync(renew);
        await NextEventAsync();
        Assert.Equal(3, _service.CertifyRequests.Count);
    }

    [Fact]
    public async Task A_rotation_that_retires_too_early_is_refused_until_the_proxy_has_renewed()
    {
        await _service.StartAsync();
        ControlPlane plane = Create();
        await StartAsync(plane);
        BundleSession stream = await _service.NextBundleStreamAsync();
        await stream.PushAsync(_service.Update(1, _service.Authority));
        await stream.StatusAsync(s => s.BundleSequence == 1);
        TestAuthority next = TestAuthority.CreateRoot().CreateIntermediate();
        _service.Authority = next;
        _service.ClientAnchors = new TrustBundle(TrustDomain.Parse("example.org"), [next.Root.Certificate]);
        await stream.PushAsync(_service.Update(2, next));
        BundleStatus refusal = await stream.StatusAsync(s => s.Rejection.Length > 0);
        Assert.Equal((1ul, BundleRefusal.OrphansOwnCertificate.Sentence()), (refusal.BundleSequence, refusal.Rejection));
        Assert.Equal(1, plane.Identity.RefusalsOf(BundleRefusal.OrphansOwnCertificate));

        // The refusal has caused a renewal; certificate and bundle then change together.
        BundleStatus taken = await stream.StatusAsync(s => s.BundleSequence == 2);
        Assert.Equal("", taken.Rejection);
        Assert.Equal(next.Certificate.SubjectKeyId.ToArray(), taken.AuthorityKeyId.ToByteArray());
    }

    [Fact]
    public async Task Updates_that_cannot_be_taken_are_reported_and_change_nothing()
    {
        await _service.StartAsync();
        ControlPlane plane = Create();
        await StartAsync(plane);
        BundleSession stream = await _service.NextBundleStreamAsync();
        await stream.PushAsync(_service.Update(5, _service.Authority));
        await stream.StatusAsync(s => s.BundleSequence == 5);
        ProxyIdentity before = plane.Identity.Current!;

        await Refused(_service.Update(6), BundleRefusal.Empty);
        BundleUpdate foreign = _service.Update(7, _service.Authority);
        foreign.TrustDomain = "example.com";
        await Refused(foreign, BundleRefusal.OtherTrustDomain);
        BundleUpdate garbage = _service.Update(8, _service.Authority);
        garbage.Anchors.Add(ByteString.CopyFromUtf8("garbage"));
        await Refused(garbage, BundleRefusal.Unparsable);
        await Refused(_service.Update(4, _service.Authority, TestAuthority.CreateRoot()), BundleRefusal.OlderThanInForce);
        Assert.Same(before, plane.Identity.Current);

        await stream.PushAsync(_service.Update(9, _service.Authority));
        Assert.Equal("", (await stream.StatusAsync(s => s.BundleSequence == 9)).Rejection);

        async Task Refused(BundleUpdate update, BundleRefusal refusal)
        {
            await stream.PushAsync(update);
            BundleStatus status = await stream.StatusAsync(s => s.Rejection == refusal.Sentence());
            Assert.Equal(5ul, status.BundleSequence);
        }
    }

    [Theory]
    [InlineData(StatusCode.OK)]
    [InlineData(StatusCode.Unauthenticated)]
    [InlineData(StatusCode.Unavailable)]
    public async Task A_stream_that_ends_is_opened_again_and_says_what_is_in_force(StatusCode code)
    {
        await _service.StartAsync();
        ControlPlane plane = Create();
        await StartAsync(plane);
        BundleSession stream = await _service.NextBundleStreamAsync();
        await stream.PushAsync(_service.Update(5, _service.Authority));
        await stream.StatusAsync(s => s.BundleSequence == 5);
        stream.End(code);
        stream = await _service.NextBundleStreamAsync();
        Assert.Equal(5ul, (await stream.StatusAsync(_ => true)).BundleSequence);
    }

    [Fact]
    public async Task The_bundle_in_force_is_told_once_however_often_the_stream_is_opened()
    {
        await _service.StartAsync();
        var captured = new CapturedLog();
        await using var log = new LineLog(captured, LogLevel.Info, LogFormat.Text, TimeProvider.System);
        await StartAsync(Create(log));
        foreach (ulong sequence in (ulong[])[5, 5, 6])
        {
            BundleSession stream = await _service.NextBundleStreamAsync();
            await stream.PushAsync(_service.Update(sequence, _service.Authority));
            await stream.StatusAsync(s => s.BundleSequence == sequence);
            stream.End(StatusCode.OK);
        }

        await captured.NextAsync(" 3507 ", "sequence=5");
        await captured.NextAsync(" 3507 ", "sequence=6");
        Assert.DoesNotContain(captured.Seen, line => line.Contains(" 3507 ", StringComparison.Ordinal));
        await _stop.CancelAsync();
        await _running;
    }

    [Fact]
    public async Task An_expiry_is_told_while_an_exchange_hangs()
    {
        _service.Life = TimeSpan.FromSeconds(4);
        await _service.StartAsync();
        var captured = new CapturedLog();
        await using var log = new LineLog(captured, LogLevel.Info, LogFormat.Text, TimeProvider.System);
        await StartAsync(Create(log));
        var hanging = new TaskCompletionSource<CertifyResponse>();
        _service.Certify = (_, _) => hanging.Task;
        await captured.NextAsync(" 3505 ");
        Assert.DoesNotContain(captured.Seen, line => line.Contains(" 3504 ", StringComparison.Ordinal));
        hanging.SetException(new RpcException(new Status(StatusCode.Unavailable, "at last")));
        await captured.NextAsync(" 3504 ");
        Assert.DoesNotContain(captured.Seen, line => line.Contains(" 3505 ", StringComparison.Ordinal));
        await _stop.CancelAsync();
        await _running;
    }

    [Fact]
    public async Task The_stream_after_a_renewal_shows_the_renewed_certificate()
    {
        await _service.StartAsync();
        ControlPlane plane = Create();
        await StartAsync(plane);
        BundleSession stream = await _service.NextBundleStreamAsync();
        await stream.PushAsync(_service.Update(1, _service.Authority));
        string before = stream.Peer!.Leaf!.SerialText;
        plane.Renewal.RenewSoon(TimeSpan.Zero);
        await NextEventAsync();
        stream.End(StatusCode.Unauthenticated);
        stream = await _service.NextBundleStreamAsync();
        Assert.NotEqual(before, stream.Peer!.Leaf!.SerialText);
        Assert.Equal(plane.Identity.Current!.Svid.Leaf.SerialText, stream.Peer.Leaf.SerialText);
    }

    [Fact]
    public async Task A_service_away_longer_than_a_life_fails_closed_and_is_found_again_within_seconds()
    {
        _service.Life = TimeSpan.FromSeconds(4);
        await _service.StartAsync();
        ControlPlane plane = Create();
        await StartAsync(plane);
        DateTimeOffset expiry = plane.Identity.Current!.Svid.Leaf.NotAfter;
        await _service.StopAsync();
        (RenewalEvent happened, RenewalStatus status) = await NextEventAsync(e => e is RenewalEvent.Failed);
        Assert.Equal((RenewalFault.Unavailable, expiry), (status.LastFault, status.ExpiresAt));
        Assert.True(plane.IsReady);
        (happened, _) = await NextEventAsync(e => e is RenewalEvent.Expired);
        Assert.Null(plane.Identity.Usable);
        Assert.False(plane.IsReady);
        Assert.StartsWith("the certificate has expired", plane.Sentence, StringComparison.Ordinal);
        string page = Metrics(plane);
        Assert.Contains("\nmesh_proxy_identity_valid 0\n", page, StringComparison.Ordinal);
        Assert.Matches("control_identity_cert_refreshes_total\\{result=\"error\",reason=\"unavailable\"\\} [1-9]", page);

        _service.Life = TimeSpan.FromHours(1);
        DateTimeOffset returned = DateTimeOffset.UtcNow;
        await _service.StartAsync();
        (_, status) = await NextEventAsync(e => e is RenewalEvent.Renewed);
        Assert.True(plane.IsReady);
        Assert.True(status.RenewedAt - returned < TimeSpan.FromSeconds(10), "the retry cap without a certificate is 5 s");
    }

    [Fact]
    public async Task A_service_under_another_authority_is_not_asked()
    {
        _service.Service = TestAuthority.CreateRoot().CreateSvid(FakeControlPlane.ServiceId);
        await _service.StartAsync();
        await FailsAsync(RenewalFault.AuthorityNotTrusted);
        Assert.Empty(_service.CertifyRequests);
    }

    [Fact]
    public async Task A_service_with_another_identity_is_not_asked()
    {
        _service.Service = _service.Authority.CreateSvid("spiffe://example.org/ns/web/sa/impostor");
        await _service.StartAsync();
        await FailsAsync(RenewalFault.AuthorityNotTrusted);
        Assert.Empty(_service.CertifyRequests);
    }

    [Theory]
    [InlineData(StatusCode.Unauthenticated, RenewalFault.Refused)]
    [InlineData(StatusCode.PermissionDenied, RenewalFault.Refused)]
    [InlineData(StatusCode.InvalidArgument, RenewalFault.Refused)]
    [InlineData(StatusCode.Unavailable, RenewalFault.Unavailable)]
    [InlineData(StatusCode.Internal, RenewalFault.Unavailable)]
    public async Task A_refusal_keeps_the_services_sentence(StatusCode code, RenewalFault fault)
    {
        _service.Certify = (_, _) => throw new RpcException(new Status(code, "the sentence: 100 % ünlucky"));
        await _service.StartAsync();
        Assert.Equal("the sentence: 100 % ünlucky", (await FailsAsync(fault)).LastDetail);
    }

    [Fact]
    public async Task A_certificate_for_somebody_else_is_not_used()
    {
        _service.Certify = (request, _) =>
        {
            request.Identity = "spiffe://example.org/ns/web/sa/back";
            return Task.FromResult(_service.Issue(request));
        };
        await _service.StartAsync();
        ControlPlane plane = Create();
        Assert.Equal(RenewalFault.WrongIdentity, (await FailsAsync(RenewalFault.WrongIdentity, plane)).LastFault);
        Assert.Null(plane.Identity.Current);
    }

    [Fact]
    public async Task Without_a_token_nobody_is_asked()
    {
        File.Delete(_directory.File("token"));
        await _service.StartAsync();
        await FailsAsync(RenewalFault.NoCredential);
        Assert.Empty(_service.CertifyRequests);
        _directory.Write("token", "late");
        Assert.Equal(RenewalEvent.Renewed, (await NextEventAsync(e => e is RenewalEvent.Renewed)).Event);
    }

    [Fact]
    public async Task Anchors_that_come_later_are_used_when_they_come()
    {
        File.Delete(_directory.File("ca.pem"));
        await _service.StartAsync();
        ControlPlane plane = Create();
        await FailsAsync(RenewalFault.NoTrustBundle, plane);
        Assert.Contains("ca.pem", plane.Sentence, StringComparison.Ordinal);
        _directory.Write("ca.pem", _service.Authority.Root.CertificatePem);
        Assert.Equal(RenewalEvent.Renewed, (await NextEventAsync(e => e is RenewalEvent.Renewed)).Event);
    }

    [Fact]
    public async Task A_proxy_that_missed_a_whole_rotation_rejoins_by_its_file()
    {
        await _service.StartAsync();
        ControlPlane plane = Create();
        await StartAsync(plane);
        BundleSession stream = await _service.NextBundleStreamAsync();
        await stream.PushAsync(_service.Update(1, _service.Authority));
        await stream.StatusAsync(s => s.BundleSequence == 1);
        await _service.StopAsync();
        TestAuthority next = TestAuthority.CreateRoot().CreateIntermediate();
        _service.Authority = next;
        _service.Service = next.CreateSvid(FakeControlPlane.ServiceId);
        await _service.StartAsync();
        _directory.Write("ca.pem", next.Root.CertificatePem);
        await NextEventAsync(e => e is RenewalEvent.Renewed);
        stream = await _service.NextBundleStreamAsync();
        await stream.PushAsync(_service.Update(9, next));
        BundleStatus status = await stream.StatusAsync(s => s.BundleSequence == 9);
        Assert.Equal(next.Certificate.SubjectKeyId.ToArray(), status.AuthorityKeyId.ToByteArray());
    }

    [Fact]
    public async Task No_log_line_and_no_page_holds_a_token_or_a_key()
    {
        _directory.Write("token", "very-secret-token");
        await _service.StartAsync();
        var output = new StringWriter();
        string[] lines;
        await using (var log = new LineLog(output, LogLevel.Debug, LogFormat.Text, TimeProvider.System))
        {
            ControlPlane plane = Create(log);
            await StartAsync(plane);
            _service.Certify = (_, _) => throw new RpcException(new Status(StatusCode.PermissionDenied, "no"));
            plane.Renewal.RenewSoon(TimeSpan.Zero);
            await NextEventAsync();
            Assert.DoesNotContain("secret", Metrics(plane), StringComparison.Ordinal);
            await _stop.CancelAsync();
            await _running;
        }

        lines = output.ToString().Split('\n');
        Assert.Contains(lines, l => l.Contains(" 3503 certified ", StringComparison.Ordinal) && l.Contains(Id.ToString(), StringComparison.Ordinal));
        Assert.Contains(lines, l => l.Contains(" 3504 ", StringComparison.Ordinal) && l.Contains("reason=refused", StringComparison.Ordinal));
        Assert.DoesNotContain(lines, l => l.Contains("secret", StringComparison.Ordinal) || l.Contains("PRIVATE", StringComparison.Ordinal));
    }

    private ControlPlane Create(LineLog? log = null)
    {
        var identity = new IdentitySettings
        {
            Id = Id,
            ServerName = "front.web.serviceaccount.identity.mesh.example.org",
            TokenFile = _directory.File("token"),
            TrustAnchorsFile = _directory.File("ca.pem"),
            ServiceAddress = _service.Port == 0 ? HostPort.Parse("127.0.0.1:1") : _service.Address,
            ServiceId = FakeControlPlane.ServiceId,
            MinRefresh = TimeSpan.FromSeconds(1),
            MaxRefresh = TimeSpan.FromHours(24),
        };
        var plane = new ControlPlane(identity, null, "1.2.3", TimeProvider.System, log ?? LineLog.None);
        plane.Renewal.Happened += (happened, status) => _events.Writer.TryWrite((happened, status));
        _planes.Add(plane);
        return plane;
    }

    private async Task StartAsync(ControlPlane plane)
    {
        _running = plane.RunAsync(_stop.Token);
        (RenewalEvent happened, RenewalStatus status) = await NextEventAsync();
        Assert.True(happened == RenewalEvent.Renewed, status.LastDetail);
        await plane.Identity.Published!.InForce.WaitAsync(Patience);
    }

    private async Task<RenewalStatus> FailsAsync(RenewalFault fault, ControlPlane? plane = null)
    {
        plane ??= Create();
        _running = plane.RunAsync(_stop.Token);
        (RenewalEvent happened, RenewalStatus status) = await NextEventAsync();
        Assert.Equal((RenewalEvent.Failed, fault), (happened, status.LastFault));
        Assert.False(plane.IsReady);
        Assert.True(plane.Renewal.FailuresOf(fault) > 0);
        return status;
    }

    private Task<(RenewalEvent Event, RenewalStatus Status)> NextEventAsync() => NextEventAsync(_ => true);

    private async Task<(RenewalEvent Event, RenewalStatus Status)> NextEventAsync(Func<RenewalEvent, bool> fits)
    {
        using var patience = new CancellationTokenSource(Patience);
        while (true)
        {
            (RenewalEvent Event, RenewalStatus Status) next = await _events.Reader.ReadAsync(patience.Token);
            if (fits(next.Event)) return next;
        }
    }

    private static async Task WaitUntilAsync(Func<bool> condition)
    {
        using var patience = new CancellationTokenSource(Patience);
        while (!condition())
        {
            patience.Token.ThrowIfCancellationRequested();
            await Task.Yield();
        }
    }

    private static string Metrics(ControlPlane plane)
    {
        var page = new PrometheusText();
        plane.WriteTo(page);
        return page.ToString();
    }
}
