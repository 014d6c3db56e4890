using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Threading.Channels;
using Mesh.Spiffe.Renewal;
using Mesh.Testing;

namespace Mesh.Spiffe.Tests.Renewal;

public sealed class SvidRenewalTests : IAsyncDisposable
{
    private static readonly SpiffeId Id = SpiffeId.Parse("spiffe://example.org/ns/web/sa/front");
    private static readonly TimeSpan Life = TimeSpan.FromHours(1);

    // One timer at a time, so that a test that moves the clock to an event does not race with a loop that looks at the clock on the way.
    private RenewalLimits _limits = RenewalLimits.Default with { ClockCheck = TimeSpan.FromDays(7) };

    private readonly ManualTime _time = new();
    private readonly TestAuthority _authority;
    private readonly CancellationTokenSource _stop = new();
    private readonly SvidSource _source;
    private readonly Channel<(RenewalEvent Event, RenewalStatus Status)> _events = Channel.CreateUnbounded<(RenewalEvent, RenewalStatus)>();
    private readonly List<byte[]> _keys = [];
    private SvidRenewal? _renewal;
    private Action? _whenRenewed;
    private Task _running = Task.CompletedTask;
    private TrustBundle? _bundle;
    private Func<PublicKey, CancellationToken, Task<IssuedChain>> _answer;

    public SvidRenewalTests()
    {
        _authority = TestAuthority.CreateRoot(time: _time).CreateIntermediate();
        _bundle = _authority.Bundle;
        _source = new SvidSource(_time, TimeSpan.FromMinutes(2));
        _answer = (key, _) => Task.FromResult(Issue(key));
    }

    public async ValueTask DisposeAsync()
    {
        await _stop.CancelAsync();
        await _running;
        _source.Dispose();
        _stop.Dispose();
    }

    [Fact]
    public async Task The_first_certificate_is_published_at_once()
    {
        Start();
        (RenewalEvent happened, RenewalStatus status) = await NextAsync();

        Assert.Equal(RenewalEvent.Renewed, happened);
        Assert.Equal(Id, _source.Current!.Id);
        Assert.Equal(2, _source.Current.Chain.Length);
        Assert.Same(_source.Current, await _source.First);
        Assert.True(status.IsValidAt(_time.GetUtcNow()));
        Assert.Equal(_source.Current.Leaf.NotAfter, status.ExpiresAt);
        Assert.InRange(status.NextAttemptAt!.Value - _time.GetUtcNow(), Life * 0.6, Life * 0.7);
    }

    [Fact]
    public async Task Every_renewal_has_a_new_key()
    {
        Start();
        for (int i = 1; i <= 4; i++)
        {
            (RenewalEvent happened, RenewalStatus status) = await NextAsync();
            Assert.Equal(RenewalEvent.Renewed, happened);
            Assert.Equal(i, status.Renewals);
            await AdvanceToAsync(status.NextAttemptAt!.Value);
        }

        Assert.Equal(4, _keys.Take(4).Select(Convert.ToHexString).Distinct().Count());
    }

    [Fact]
    public async Task A_failed_renewal_keeps_the_certificate_and_says_until_when()
    {
        Start();
        (_, RenewalStatus first) = await NextAsync();
        X509Svid svid = _source.Current!;
        _answer = (_, _) => throw new SvidExchangeException(RenewalFault.Unavailable, "connection refused");
        await AdvanceToAsync(first.NextAttemptAt!.Value);
        (RenewalEvent happened, RenewalStatus status) = await NextAsync();

        Assert.Equal(RenewalEvent.Failed, happened);
        Assert.Same(svid, _source.Current);
        Assert.Same(svid, _source.Usable);
        Assert.Equal((RenewalFault.Unavailable, "connection refused", 1), (status.LastFault, status.LastDetail, status.FailuresInRow));
        Assert.Equal(svid.Leaf.NotAfter, status.ExpiresAt);
        Assert.True(status.NextAttemptAt < status.ExpiresAt);
        Assert.Equal(1, _renewal!.FailuresOf(RenewalFault.Unavailable));

        // The key of what was kept still signs.
        using var key = ECDsa.Create();
        key.ImportPkcs8PrivateKey(svid.ExportPkcs8PrivateKey(), out _);
        _answer = (publicKey, _) => Task.FromResult(Issue(publicKey));
        await AdvanceToAsync(status.NextAttemptAt!.Value);
        (happened, status) = await NextAsync();
        Assert.Equal(RenewalEvent.Renewed, happened);
        Assert.Equal((RenewalFault.None, "", 0), (status.LastFault, status.LastDetail, status.FailuresInRow));
    }

    [Fact]
    public async Task An_authority_away_for_longer_than_a_life_fails_closed_and_recovers_within_seconds_of_its_return()
    {
        Start();
        (_, RenewalStatus status) = await NextAsync();
        DateTimeOffset expiry = status.ExpiresAt!.Value;
        _answer = (_, _) => throw new SvidExchangeException(RenewalFault.Unavailable, "connection refused");
        int expired = 0;
        while (_time.GetUtcNow() < expiry + TimeSpan.FromHours(3))
        {
            // The expiry is an event of its own, between two attempts.
            await AdvanceToAsync(status.NextAttemptAt!.Value < expiry || expired > 0 ? status.NextAttemptAt.Value : expiry);
            (RenewalEvent happened, status) = await NextAsync();
            Assert.NotEqual(RenewalEvent.Renewed, happened);
            if (happened == RenewalEvent.Expired) expired++;
            bool valid = _time.GetUtcNow() < expiry;
            Assert.Equal(valid, status.IsValidAt(_time.GetUtcNow()));
            Assert.Equal(valid, _source.Usable is not null);
        }

        Assert.Equal(1, expired);
        Assert.InRange(status.NextAttemptAt!.Value - _time.GetUtcNow(), TimeSpan.Zero, TimeSpan.FromSeconds(5));
        _answer = (publicKey, _) => Task.FromResult(Issue(publicKey));
        await AdvanceToAsync(status.NextAttemptAt.Value);
        Assert.Equal(RenewalEvent.Renewed, (await NextAsync()).Event);
        Assert.NotNull(_source.Usable);
    }

    [Fact]
    public async Task A_certificate_for_another_identity_is_refused() =>
        await Refuses(RenewalFault.WrongIdentity, (key, now) => _authority.Issue(SpiffeId.Parse("spiffe://example.org/ns/web/sa/back"), key, now, now + Life).Select(c => c.Der));

    [Fact]
    public async Task A_certificate_of_an_unknown_authority_is_refused()
    {
        TestAuthority other = TestAuthority.CreateRoot(time: _time).CreateIntermediate();
        await Refuses(RenewalFault.NotVerifiable, (key, now) => other.Issue(Id, key, now, now + Life).Select(c => c.Der));
    }

    [Fact]
    public async Task A_chain_without_its_intermediate_is_refused() =>
        await Refuses(RenewalFault.NotVerifiable, (key, now) => _authority.Issue(Id, key, now, now + Life).Take(1).Select(c => c.Der));

    [Fact]
    public async Task A_certificate_that_has_expired_is_refused() =>
        await Refuses(RenewalFault.NotVerifiable, (key, now) => _authority.Issue(Id, key, now - Life, now - TimeSpan.FromSeconds(1)).Select(c => c.Der));

    [Fact]
    public async Task A_certificate_that_is_not_valid_yet_is_refused() =>
        await Refuses(RenewalFault.NotVerifiable, (key, now) => _authority.Issue(Id, key, now + TimeSpan.FromMinutes(1), now + Life).Select(c => c.Der));

    [Fact]
    public async Task A_certificate_for_another_key_is_refused() =>
        await Refuses(RenewalFault.WrongKey, (_, now) =>
        {
            using ECDsa other = ECDsa.Create(ECCurve.NamedCurves.nistP256);
            return _authority.Issue(Id, new PublicKey(other), now, now + Life).Select(c => c.Der);
        });

    [Fact]
    public async Task An_answer_that_is_no_certificate_is_refused() =>
        await Refuses(RenewalFault.Malformed, (_, _) => [new byte[] { 0x30, 0x03, 0x02, 0x01 }]);

    [Fact]
    public async Task An_empty_answer_is_refused() => await Refuses(RenewalFault.Malformed, (_, _) => []);

    [Fact]
    public async Task An_exchange_that_never_answers_is_given_up()
    {
        var asked = new TaskCompletionSource();
        _answer = async (_, ct) =>
        {
            asked.SetResult();
            await Task.Delay(Timeout.Infinite, ct);
            throw new InvalidOperationException();
        };
        Start();
        await asked.Task;
        _time.Advance(RenewalLimits.Default.ExchangeTimeout);
        (RenewalEvent happened, RenewalStatus status) = await NextAsync();
        Assert.Equal((RenewalEvent.Failed, RenewalFault.TimedOut), (happened, status.LastFault));
    }

    [Fact]
    public async Task Without_a_bundle_nobody_is_asked()
    {
        _bundle = null;
        Start();
        (RenewalEvent happened, RenewalStatus status) = await NextAsync();
        Assert.Equal((RenewalEvent.Failed, RenewalFault.NoTrustBundle), (happened, status.LastFault));
        Assert.Empty(_keys);

        _bundle = _authority.Bundle;
        _renewal!.RenewSoon(TimeSpan.Zero);
        Assert.Equal(RenewalEvent.Renewed, (await NextAsync()).Event);
    }

    [Fact]
    public async Task A_request_to_renew_is_honoured_within_its_time()
    {
        DateTimeOffset asked = _time.GetUtcNow();
        _whenRenewed = () => _renewal!.RenewSoon(TimeSpan.FromSeconds(30));
        Start();
        await NextAsync();
        await AdvanceToAsync(asked + TimeSpan.FromSeconds(30));
        (RenewalEvent happened, RenewalStatus status) = await NextAsync();
        Assert.Equal(RenewalEvent.Renewed, happened);
        Assert.InRange(status.RenewedAt!.Value - asked, TimeSpan.Zero, TimeSpan.FromSeconds(30));
        Assert.Equal(2, status.Renewals);
    }

    [Fact]
    public async Task A_request_during_an_exchange_causes_one_more()
    {
        var asked = new TaskCompletionSource();
        var answered = new TaskCompletionSource();
        _answer = async (key, _) =>
        {
            asked.TrySetResult();
            await answered.Task;
            return Issue(key);
        };
        Start();
        await asked.Task;
        _renewal!.RenewSoon(TimeSpan.Zero);
        _renewal.RenewSoon(TimeSpan.Zero);
        answered.SetResult();
        Assert.Equal(1, (await NextAsync()).Status.Renewals);
        (_, RenewalStatus status) = await NextAsync();
        Assert.Equal(2, status.Renewals);
        Assert.True(status.NextAttemptAt > _time.GetUtcNow());
        Assert.Equal(2, _keys.Count);
    }

    [Fact]
    public async Task A_clock_that_jumps_forward_causes_a_renewal_at_the_next_look()
    {
        _limits = RenewalLimits.Default;
        Start();
        (_, RenewalStatus status) = await NextAsync();
        await AdvanceToAsync(_time.GetUtcNow());
        _time.Step(status.NextAttemptAt!.Value - _time.GetUtcNow());
        _time.Advance(TimeSpan.FromSeconds(30));
        Assert.Equal(RenewalEvent.Renewed, (await NextAsync()).Event);
    }

    [Fact]
    public async Task A_replaced_key_signs_for_a_while_and_is_then_destroyed()
    {
        Start();
        await NextAsync();
        X509Svid replaced = _source.Current!;
        _renewal!.RenewSoon(TimeSpan.Zero);
        await NextAsync();
        Assert.NotEmpty(replaced.ExportPkcs8PrivateKey());
        _time.Advance(TimeSpan.FromMinutes(2));
        _renewal.RenewSoon(TimeSpan.Zero);
        await NextAsync();
        Assert.ThrowsAny<Exception>(() => replaced.ExportPkcs8PrivateKey());
    }

    [Fact]
    public async Task Stopping_ends_an_exchange_in_progress()
    {
        var asked = new TaskCompletionSource();
        _answer = async (_, ct) =>
        {
            asked.SetResult();
            await Task.Delay(Timeout.Infinite, ct);
            throw new InvalidOperationException();
        };
        Start();
        await asked.Task;
        await _stop.CancelAsync();
        await _running.WaitAsync(TimeSpan.FromSeconds(30));
    }

    [Fact]
    public async Task A_defect_in_the_exchange_is_not_taken_for_a_failure()
    {
        _answer = (_, _) => throw new InvalidOperationException("defect");
        Start();
        await Assert.ThrowsAsync<InvalidOperationException>(() => _running.WaitAsync(TimeSpan.FromSeconds(30)));
        _running = Task.CompletedTask;
    }

    private async Task Refuses(RenewalFault fault, Func<PublicKey, DateTimeOffset, IEnumerable<ReadOnlyMemory<byte>>> answer)
    {
        Start();
        (_, RenewalStatus status) = await NextAsync();
        X509Svid svid = _source.Current!;
        _answer = (key, _) => Task.FromResult(new IssuedChain([.. answer(key, _time.GetUtcNow())]));
        await AdvanceToAsync(status.NextAttemptAt!.Value);
        (RenewalEvent happened, status) = await NextAsync();
        Assert.Equal((RenewalEvent.Failed, fault), (happened, status.LastFault));
        Assert.NotEmpty(status.LastDetail);
        Assert.Same(svid, _source.Current);
        Assert.Equal(1, _renewal!.FailuresOf(fault));
    }

    private void Start()
    {
        _renewal = new SvidRenewal(Id, null, _source, new Anchors(this), ExchangeAsync, _limits, _time, new Random(1));
        _renewal.Happened += (happened, status) =>
        {
            if (happened == RenewalEvent.Renewed) Interlocked.Exchange(ref _whenRenewed, null)?.Invoke();
            _events.Writer.TryWrite((happened, status));
        };
        _running = Task.Run(() => _renewal.RunAsync(_stop.Token));
    }

    private Task<IssuedChain> ExchangeAsync(ReadOnlyMemory<byte> request, CancellationToken ct)
    {
        PublicKey key = CertificateRequest.LoadSigningRequest(request.ToArray(), HashAlgorithmName.SHA256).PublicKey;
        _keys.Add(key.ExportSubjectPublicKeyInfo());
        return _answer(key, ct);
    }

    private IssuedChain Issue(PublicKey key)
    {
        DateTimeOffset now = _time.GetUtcNow();
        return new IssuedChain([.. _authority.Issue(Id, key, now - TimeSpan.FromSeconds(20), now + Life).Select(c => c.Der)]);
    }

    // Called after an event, when no exchange is in progress: the only timer to come is the one of the loop that has gone to sleep.
    private async Task AdvanceToAsync(DateTimeOffset at)
    {
        using var patience = new CancellationTokenSource(TimeSpan.FromSeconds(30));
        while (_time.PendingTimers == 0)
        {
            patience.Token.ThrowIfCancellationRequested();
            await Task.Yield();
        }

        // Timers count whole milliseconds, rounded up.
        TimeSpan left = at - _time.GetUtcNow();
        if (left > TimeSpan.Zero) _time.Advance(left + TimeSpan.FromMilliseconds(1));
    }

    private async Task<(RenewalEvent Event, RenewalStatus Status)> NextAsync() => await _events.Reader.ReadAsync().AsTask().WaitAsync(TimeSpan.FromSeconds(30));

    private sealed class Anchors(SvidRenewalTests test) : ITrustBundleSource
    {
        public TrustBundle? Find(TrustDomain trustDomain) => test._bundle is { } bundle && bundle.TrustDomain == trustDomain ? bundle : null;
    }
}
