using System.Collections.Concurrent;
using Mesh.Spiffe;
using Mesh.Testing;
using Mesh.Trust.Anchors;
using Mesh.Trust.Issuers;
using Mesh.Trust.Issuing;
using Microsoft.Extensions.Logging;

namespace Mesh.Trust.Tests.Issuers;

public sealed class IssuerSourceTests : IDisposable
{
    private readonly TemporaryDirectory _folder = new();
    private readonly ManualTime _time = new();
    private readonly LogLines _log = new();
    private readonly TestAuthority _root;

    public IssuerSourceTests() => _root = TestAuthority.CreateRoot("example.org", time: _time);

    private string Directory => _folder.File("issuer");

    private string AnchorsFile => _folder.File("ca-bundle.crt");

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void A_good_issuer_is_in_force_at_once()
    {
        var issuer = Write(_root.CreateIntermediate());
        using var anchors = Anchors();
        using var source = Source(anchors);
        Assert.Equal(issuer.Certificate, source.Current.Issuer!.Certificate);
        Assert.True(source.Current.IsUsable(_time.GetUtcNow(), out _));
        Assert.Equal((1, 0), (source.Accepted, source.Refused));
        Assert.Contains(_log.Lines, l => l.Contains(issuer.Certificate.Sha256, StringComparison.Ordinal));
    }

    [Fact]
    public void A_new_issuer_replaces_the_old_and_both_sign_meanwhile()
    {
        Write(_root.CreateIntermediate());
        using var anchors = Anchors();
        using var source = Source(anchors);
        var old = source.Current.Issuer!;
        var next = Write(_root.CreateIntermediate());
        source.Read();
        Assert.Equal(next.Certificate, source.Current.Issuer!.Certificate);
        // A request that took the snapshot before the exchange is still answered.
        using var key = System.Security.Cryptography.ECDsa.Create(System.Security.Cryptography.ECCurve.NamedCurves.nistP256);
        Assert.True(old.TryIssue(new SvidRequest(Trust.Requests.SubjectKey.Of(key), SpiffeId.Parse("spiffe://example.org/a")), out _, out _));
    }

    [Fact]
    public void An_issuer_and_an_anchor_that_near_their_end_are_told_once_at_a_third_and_at_a_tenth_of_their_life()
    {
        var issuer = Write(_root.CreateIntermediate(o => o with { NotAfter = _time.GetUtcNow().AddDays(30) })).Certificate;
        using var anchors = Anchors();
        using var source = Source(anchors);
        int Told(Spiffe.Certificate of, string part) => _log.Lines.Count(l => l.Contains(of.Sha256, StringComparison.Ordinal) && l.Contains(part, StringComparison.Ordinal));
        void At(Spiffe.Certificate of, double left)
        {
            _time.Advance(of.NotAfter - (of.NotAfter - of.NotBefore) * left - _time.GetUtcNow());
            source.Read();
            source.Read();
        }

        // Thirty days and ten years: the thresholds are parts of the life, not days.
        foreach (var certificate in new[] { issuer, _root.Certificate })
        {
            At(certificate, 0.34);
            Assert.Equal(0, Told(certificate, "less than a third"));
            At(certificate, 0.32);
            Assert.Equal((1, 0), (Told(certificate, "less than a third"), Told(certificate, "less than a tenth")));
            At(certificate, 0.09);
            Assert.Equal((1, 1, 0), (Told(certificate, "less than a third"), Told(certificate, "less than a tenth"), Told(certificate, "has expired")));
            At(certificate, -0.001);
            Assert.Equal(1, Told(certificate, "has expired"));
        }
    }

    [Fact]
    public void A_bad_update_leaves_the_last_good_issuer_and_says_why_once()
    {
        var issuer = Write(_root.CreateIntermediate());
        using var anchors = Anchors();
        using var source = Source(anchors);
        var changes = 0;
        source.Changed += _ => changes++;
        _folder.Write("issuer/tls.key", TestAuthority.CreateRoot().KeyPem);
        source.Read();
        source.Read();
        Assert.Equal(issuer.Certificate, source.Current.Issuer!.Certificate);
        Assert.Equal(IssuerFault.KeyMismatch, source.Current.Problem!.Fault);
        Assert.True(source.Current.IsUsable(_time.GetUtcNow(), out _));
        Assert.Equal((1, 1, 1), (changes, source.Accepted, source.Refused));
        Assert.Single(_log.Lines, l => l.Contains("KeyMismatch", StringComparison.Ordinal) && l.Contains("stays in force", StringComparison.Ordinal));

        var next = Write(_root.CreateIntermediate());
        source.Read();
        Assert.Equal(next.Certificate, source.Current.Issuer!.Certificate);
        Assert.Null(source.Current.Problem);
    }

    [Fact]
    public void Files_taken_away_leave_the_last_good_issuer()
    {
        var issuer = Write(_root.CreateIntermediate());
        using var anchors = Anchors();
        using var source = Source(anchors);
        System.IO.Directory.Delete(Directory, recursive: true);
        source.Read();
        Assert.Equal(issuer.Certificate, source.Current.Issuer!.Certificate);
        Assert.Equal(IssuerFault.Missing, source.Current.Problem!.Fault);
    }

    [Fact]
    public void A_start_without_anything_is_no_issuer_with_the_reason_and_recovers()
    {
        using var anchors = Anchors(write: false);
        using var source = Source(anchors);
        Assert.False(source.Current.IsUsable(_time.GetUtcNow(), out var why));
        Assert.Equal(IssuerFault.Missing, why!.Fault);
        var issuer = Write(_root.CreateIntermediate());
        source.Read();
        Assert.False(source.Current.IsUsable(_time.GetUtcNow(), out why));
        Assert.Equal(IssuerFault.NoAnchors, why!.Fault);
        _folder.Write("ca-bundle.crt", _root.CertificatePem);
        anchors.Read();
        source.Read();
        Assert.True(source.Current.IsUsable(_time.GetUtcNow(), out _));
        Assert.Equal(issuer.Certificate, source.Current.Issuer!.Certificate);
    }

    [Fact]
    public void An_issuer_of_the_future_is_taken_when_its_time_comes()
    {
        Write(_root.CreateIntermediate(o => o with { NotBefore = _time.GetUtcNow().AddMinutes(1) }));
        using var anchors = Anchors();
        using var source = Source(anchors);
        Assert.Equal(IssuerFault.NotYetValid, source.Current.Problem!.Fault);
        _time.Advance(TimeSpan.FromSeconds(59));
        source.Read();
        Assert.Null(source.Current.Issuer);
        _time.Advance(TimeSpan.FromSeconds(1));
        source.Read();
        Assert.NotNull(source.Current.Issuer);
    }

    [Fact]
    public void An_issuer_that_expires_is_unusable_from_then_on_and_a_new_one_heals_it()
    {
        Write(_root.CreateIntermediate(o => o with { NotAfter = _time.GetUtcNow().AddDays(3) }));
        using var anchors = Anchors();
        using var source = Source(anchors);
        _time.Advance(TimeSpan.FromDays(3) - TimeSpan.FromSeconds(59));
        Assert.False(source.Current.IsUsable(_time.GetUtcNow(), out var why));
        Assert.Equal(IssuerFault.EndsTooSoon, why!.Fault);
        _time.Advance(TimeSpan.FromSeconds(60));
        Assert.False(source.Current.IsUsable(_time.GetUtcNow(), out why));
        Assert.Equal(IssuerFault.Expired, why!.Fault);
        Write(_root.CreateIntermediate());
        source.Read();
        Assert.True(source.Current.IsUsable(_time.GetUtcNow(), out _));
    }

    [Fact]
    public void An_issuer_whose_anchor_is_taken_away_signs_no_more()
    {
        Write(_root.CreateIntermediate());
        using var anchors = Anchors();
        using var source = Source(anchors);
        _folder.Write("ca-bundle.crt", TestAuthority.CreateRoot("example.org", time: _time).CertificatePem);
        anchors.Read();
        source.Read();
        Assert.Null(source.Current.Issuer);
        Assert.Equal(IssuerFault.ChainBroken, source.Current.Problem!.Fault);
        _folder.Write("ca-bundle.crt", _root.CertificatePem);
        anchors.Read();
        source.Read();
        Assert.NotNull(source.Current.Issuer);
    }

    [Fact]
    public void Two_anchors_where_there_was_one_leave_the_issuer_in_force()
    {
        var issuer = Write(_root.CreateIntermediate());
        using var anchors = Anchors();
        using var source = Source(anchors);
        _folder.Write("ca-bundle.crt", TestAuthority.CreateRoot("example.org", time: _time).CertificatePem + _root.CertificatePem);
        anchors.Read();
        source.Read();
        Assert.Equal(issuer.Certificate, source.Current.Issuer!.Certificate);
    }

    [Fact]
    public void The_same_content_again_changes_nothing()
    {
        Write(_root.CreateIntermediate());
        using var anchors = Anchors();
        using var source = Source(anchors);
        var before = source.Current;
        source.Changed += _ => Assert.Fail("nothing changed");
        source.Read();
        Assert.Same(before, source.Current);
    }

    [Fact]
    public async Task The_exchange_of_a_mounted_Secret_is_noticed_by_itself()
    {
        var mount = new KubeletMount(Directory);
        var first = _root.CreateIntermediate();
        mount.Update(("tls.crt", first.CertificatePem), ("tls.key", first.KeyPem));
        using var anchors = Anchors();
        // A period far away: the system's notification does it.
        using var source = Source(anchors, TimeProvider.System, TimeSpan.FromHours(1));
        Assert.Equal(first.Certificate, source.Current.Issuer!.Certificate);
        await Following(source, async () =>
        {
            for (var round = 0; round < 3; round++)
            {
                var next = _root.CreateIntermediate();
                var taken = Taken(source, next);
                mount.Update(("tls.crt", next.CertificatePem), ("tls.key", next.KeyPem));
                await taken;
            }
        });
    }

    [Fact]
    public async Task Where_no_notification_comes_the_period_finds_the_change()
    {
        using var anchors = Anchors();
        // The directory does not exist when the watch starts.
        using var source = Source(anchors, _time, TimeSpan.FromSeconds(10));
        var issuer = _root.CreateIntermediate();
        await Following(source, async () =>
        {
            var taken = Taken(source, issuer);
            Write(issuer);
            while (!taken.IsCompleted)
            {
                _time.Advance(TimeSpan.FromSeconds(10));
                await Task.Yield();
            }

            await taken;
        });
    }

    [Fact]
    public async Task A_change_of_the_anchors_is_followed_by_a_new_look()
    {
        Write(_root.CreateIntermediate());
        using var anchors = Anchors(write: false);
        using var source = Source(anchors, TimeProvider.System, TimeSpan.FromHours(1));
        Assert.Equal(IssuerFault.NoAnchors, source.Current.Problem!.Fault);
        await Following(source, async () =>
        {
            var usable = new TaskCompletionSource();
            source.Changed += s =>
            {
                if (s.Issuer is not null) usable.TrySetResult();
            };
            _folder.Write("ca-bundle.crt", _root.CertificatePem);
            anchors.Read();
            await usable.Task.WaitAsync(TimeSpan.FromSeconds(30));
        });
    }

    private static Task Taken(IssuerSource source, TestAuthority issuer)
    {
        var taken = new TaskCompletionSource();
        source.Changed += s =>
        {
            if (s.Issuer?.Certificate.Equals(issuer.Certificate) == true) taken.TrySetResult();
        };
        return taken.Task.WaitAsync(TimeSpan.FromSeconds(30));
    }

    private static async Task Following(IssuerSource source, Func<Task> body)
    {
        using var stop = new CancellationTokenSource();
        var run = source.RunAsync(stop.Token);
        await body();
        await stop.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => run);
    }

    private TestAuthority Write(TestAuthority issuer)
    {
        System.IO.Directory.CreateDirectory(Directory);
        _folder.Write("issuer/tls.key", issuer.KeyPem);
        _folder.Write("issuer/tls.crt", issuer.CertificatePem);
        return issuer;
    }

    private AnchorSource Anchors(bool write = true)
    {
        if (write) _folder.Write("ca-bundle.crt", _root.CertificatePem);
        return new AnchorSource(_root.TrustDomain, AnchorsFile, _time, _log);
    }

    private IssuerSource Source(AnchorSource anchors, TimeProvider? time = null, TimeSpan? period = null) =>
        new(Directory, anchors, IssuancePolicy.Default, AnchorRule.SelfSigned, time is null || time == _time ? _time : new StandingClock(_time), _log, period);

    /// <summary>Timers of the system, the date of the test: certificates are judged by the date, waiting is real.</summary>
    private sealed class StandingClock(ManualTime date) : TimeProvider
    {
        public override DateTimeOffset GetUtcNow() => date.GetUtcNow();
    }

    private sealed class LogLines : ILogger
    {
        public ConcurrentQueue<string> Lines { get; } = new();

        public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

        public bool IsEnabled(LogLevel logLevel) => true;

        public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter) =>
            Lines.Enqueue($"{logLevel} {eventId.Id} {formatter(state, exception)}");
    }
}
