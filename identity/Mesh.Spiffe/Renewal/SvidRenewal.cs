using System.Collections.Immutable;
using System.Security.Cryptography;

namespace Mesh.Spiffe.Renewal;

/// <summary>
/// Keeps one identity certified: a new P-256 key for every certificate, one exchange, our own judgement of the answer, then
/// publication. What is in force stays in force until something better has been verified.
/// </summary>
public sealed class SvidRenewal
{
    private readonly SpiffeId _id;
    private readonly string? _dnsName;
    private readonly SvidSource _source;
    private readonly ITrustBundleSource _bundles;
    private readonly SvidExchange _exchange;
    private readonly RenewalLimits _limits;
    private readonly TimeProvider _time;
    private readonly Random _random;
    private readonly long[] _failures = new long[Enum.GetValues<RenewalFault>().Length];
    private readonly Lock _lock = new();
    private TaskCompletionSource _wake = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private DateTimeOffset? _askedFor;
    private bool _expiryTold;
    private volatile RenewalStatus _status = RenewalStatus.Initial;

    /// <param name="id">The identity to ask for; an answer with another is refused.</param>
    /// <param name="dnsName">A DNS name to ask for beside it, or null.</param>
    /// <param name="source">Where certificates are published.</param>
    /// <param name="bundles">Anchors that an answer must verify against at the moment it arrives.</param>
    /// <param name="exchange">How an authority is asked.</param>
    /// <param name="limits">The schedule's bounds.</param>
    /// <param name="time">The clock.</param>
    /// <param name="random">The source of jitter; used by one thread at a time, under a lock.</param>
    public SvidRenewal(SpiffeId id, string? dnsName, SvidSource source, ITrustBundleSource bundles, SvidExchange exchange, RenewalLimits limits, TimeProvider time, Random random)
    {
        (_id, _dnsName, _source, _bundles, _exchange) = (id, dnsName, source, bundles, exchange);
        (_limits, _time, _random) = (limits, time, random);
    }

    public RenewalStatus Status => _status;

    /// <summary>Raised on the loop's thread after <see cref="Status"/> has changed. A handler that throws ends the loop.</summary>
    public event Action<RenewalEvent, RenewalStatus>? Happened;

    /// <summary>Attempts that failed for <paramref name="fault"/> since the start.</summary>
    public long FailuresOf(RenewalFault fault) => Interlocked.Read(ref _failures[(int)fault]);

    /// <summary>
    /// Asks for a renewal at a random moment within <paramref name="within"/>; zero means at once. An earlier moment already
    /// planned stands. A request that arrives during an exchange causes one more exchange.
    /// </summary>
    public void RenewSoon(TimeSpan within)
    {
        lock (_lock)
        {
            DateTimeOffset at = _time.GetUtcNow() + RenewalSchedule.UntilAsked(within, _random.NextDouble(), _limits);
            if (_askedFor <= at) return;
            _askedFor = at;
            _wake.TrySetResult();
        }
    }

    /// <summary>Renews until <paramref name="ct"/> fires, and then returns.</summary>
    public async Task RunAsync(CancellationToken ct)
    {
        try
        {
            while (true)
            {
                await AttemptAsync(ct);
                await UntilDueAsync(ct);
            }
        }
        catch (OperationCanceledException) when (ct.IsCancellationRequested)
        {
        }
    }

    private async Task AttemptAsync(CancellationToken ct)
    {
        lock (_lock) _askedFor = null;
        (RenewalFault fault, string detail, X509Svid? svid) = await ObtainAsync(ct);
        DateTimeOffset now = _time.GetUtcNow();
        RenewalStatus before = _status;
        if (svid is not null)
        {
            DateTimeOffset expiry = svid.Leaf.NotAfter;
            _source.Publish(svid);
            _expiryTold = false;
            _status = before with
            {
                Renewals = before.Renewals + 1,
                FailuresInRow = 0,
                RenewedAt = now,
                ExpiresAt = expiry,
                NextAttemptAt = now + RenewalSchedule.UntilRenewal(expiry - now, Sample(), _limits),
                LastFault = RenewalFault.None,
                LastDetail = "",
            };
            Happened?.Invoke(RenewalEvent.Renewed, _status);
            return;
        }

        Interlocked.Increment(ref _failures[(int)fault]);
        int inRow = before.FailuresInRow + 1;
        _status = before with
        {
            FailuresInRow = inRow,
            NextAttemptAt = now + RenewalSchedule.UntilRetry(inRow, before.ExpiresAt - now, Sample(), _limits),
            LastFault = fault,
            LastDetail = detail,
        };
        Happened?.Invoke(RenewalEvent.Failed, _status);
    }

    private async Task<(RenewalFault Fault, string Detail, X509Svid? Svid)> ObtainAsync(CancellationToken ct)
    {
        if (_bundles.Find(_id.TrustDomain) is not { X509Authorities.IsEmpty: false }) return Failed(RenewalFault.NoTrustBundle);
        ECDsa key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        bool handedOver = false;
        try
        {
            byte[] request = CertificateSigningRequest.Create(key, _id, _dnsName);
            using var late = new CancellationTokenSource(_limits.ExchangeTimeout, _time);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(ct, late.Token);
            IssuedChain issued = await _exchange(request, either.Token);
            (RenewalFault fault, string detail) = Judge(issued, key, out ImmutableArray<Certificate> chain);
            if (fault != RenewalFault.None) return (fault, detail, null);
            handedOver = true;
            return (RenewalFault.None, "", X509Svid.Create(chain, key));
        }
        catch (SvidExchangeException e)
        {
            return (e.Fault, e.Message, null);
        }
        catch (OperationCanceledException) when (!ct.IsCancellationRequested)
        {
            return Failed(RenewalFault.TimedOut);
        }
        finally
        {
            if (!handedOver) key.Dispose();
        }
    }

    // The authority is trusted to sign, not to be right: the answer is judged as a peer will judge it.
    private (RenewalFault Fault, string Detail) Judge(IssuedChain issued, ECDsa key, out ImmutableArray<Certificate> chain)
    {
        chain = [];
        if (issued.Certificates.IsDefaultOrEmpty) return (RenewalFault.Malformed, "the answer holds no certificate");
        var parsed = ImmutableArray.CreateBuilder<Certificate>(issued.Certificates.Length);
        foreach (ReadOnlyMemory<byte> der in issued.Certificates)
        {
            if (!Certificate.TryParse(der, out Certificate? certificate, out CertificateFault fault))
            {
                return (RenewalFault.Malformed, $"certificate {parsed.Count} of the answer cannot be parsed: {fault}");
            }

            parsed.Add(certificate);
        }

        ImmutableArray<Certificate> all = parsed.MoveToImmutable();
        SvidVerdict verdict = SvidVerifier.Verify(all, _bundles, _time.GetUtcNow());
        if (!verdict.IsValid) return (RenewalFault.NotVerifiable, verdict.Sentence);
        if (verdict.Id != _id) return (RenewalFault.WrongIdentity, $"the certificate names {verdict.Id}, not {_id}");
        if (!all[0].SubjectPublicKeyInfo.Span.SequenceEqual(key.ExportSubjectPublicKeyInfo())) return (RenewalFault.WrongKey, RenewalFault.WrongKey.Sentence());
        chain = all;
        return (RenewalFault.None, "");
    }

    private async Task UntilDueAsync(CancellationToken ct)
    {
        while (true)
        {
            DateTimeOffset now = _time.GetUtcNow();
            if (!_expiryTold && _status.ExpiresAt <= now)
            {
                _expiryTold = true;
                Happened?.Invoke(RenewalEvent.Expired, _status);
            }

            Task woken;
            DateTimeOffset due;
            lock (_lock)
            {
                if (_wake.Task.IsCompleted) _wake = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
                woken = _wake.Task;
                due = _status.NextAttemptAt!.Value;
                if (_askedFor < due)
                {
                    due = _askedFor.Value;
                    _status = _status with { NextAttemptAt = due };
                }
            }

            if (due <= now) return;
            TimeSpan pause = Min(due - now, _limits.ClockCheck);
            if (!_expiryTold && _status.ExpiresAt is { } expiry) pause = Min(pause, expiry - now);
            // Timers count whole milliseconds and cut the rest: rounded down, the last one would be a busy loop.
            await woken.WaitAsync(TimeSpan.FromMilliseconds(Math.Ceiling(pause.TotalMilliseconds)), _time, ct).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
            ct.ThrowIfCancellationRequested();
        }
    }

    private static (RenewalFault, string, X509Svid?) Failed(RenewalFault fault) => (fault, fault.Sentence(), null);

    private double Sample()
    {
        lock (_lock) return _random.NextDouble();
    }

    private static TimeSpan Min(TimeSpan a, TimeSpan b) => a < b ? a : b;
}
