using Microsoft.Extensions.Logging;

namespace Mesh.Identity.Tokens;

/// <summary>
/// The current keys of the token issuer: read at start, again at intervals, when the source reports a change, and when a token names a key
/// that is not known, which is how a rotation of the issuer is followed at once. A reading that fails leaves the last good keys in force.
/// </summary>
public sealed partial class TokenKeyStore
{
    // A stranger can name unknown keys at will; this bounds what that makes us ask of the key server.
    private static readonly TimeSpan PauseBetweenDemands = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan ReadTimeout = TimeSpan.FromSeconds(10);
    private static readonly TimeSpan FirstRetry = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan ShortestSleep = TimeSpan.FromMilliseconds(1);
    private static readonly TimeSpan LastRetry = TimeSpan.FromSeconds(60);

    private readonly TokenKeySource _source;
    private readonly TimeProvider _time;
    private readonly ILogger _log;
    private readonly Func<double> _random;
    private readonly Lock _lock = new();
    private readonly Wake _wake = new();
    private volatile TokenKeySet? _current;
    private TaskCompletionSource? _demand;
    private bool _demandLater;
    private bool _changed;
    private long _demandsFrom;
    private ReadOnlyMemory<byte> _document;
    private string _lastFault = "they have not been read yet";

    public TokenKeyStore(TokenKeySource source, TimeProvider time, ILogger log) : this(source, time, log, Random.Shared.NextDouble) { }

    /// <param name="source">Where the keys are read from.</param>
    /// <param name="time">The clock of intervals and timeouts.</param>
    /// <param name="log">Loads, failures and what was left out.</param>
    /// <param name="random">Jitter, in [0, 1).</param>
    internal TokenKeyStore(TokenKeySource source, TimeProvider time, ILogger log, Func<double> random)
    {
        (_source, _time, _log, _random) = (source, time, log, random);
        _demandsFrom = time.GetTimestamp();
    }

    /// <summary>When the keys in force were last confirmed by a reading; null before the first.</summary>
    public DateTimeOffset? LastRead { get; private set; }

    /// <summary>Readings that succeeded and failed since start, for metrics.</summary>
    public long Reads => Interlocked.Read(ref _reads);

    /// <inheritdoc cref="Reads"/>
    public long FailedReads => Interlocked.Read(ref _failedReads);

    private long _reads, _failedReads;

    internal TokenKeySet? Current => _current;

    /// <summary>Why there are no keys, as a sentence; null when there are.</summary>
    public string? NotReadyReason => _current is null ? $"The keys to check tokens with could not be read from {_source.Description}: {Volatile.Read(ref _lastFault)}." : null;

    /// <summary>
    /// Asks for a fresh reading because a token names an unknown key. The task ends when a reading that began after this call has ended, good or bad.
    /// Null when the last demand was only just served: then a reading is scheduled for the earliest permitted moment and nobody waits.
    /// </summary>
    internal Task? Demand()
    {
        lock (_lock)
        {
            if (_demand is not null) return _demand.Task;
            if (_time.GetTimestamp() < _demandsFrom)
            {
                _demandLater = true;
                _wake.Set();
                return null;
            }

            _demand = new TaskCompletionSource(TaskCreationOptions.RunContinuationsAsynchronously);
            _wake.Set();
            return _demand.Task;
        }
    }

    /// <summary>Keeps the keys fresh until <paramref name="ct"/> is cancelled; returns normally then.</summary>
    public async Task RunAsync(CancellationToken ct)
    {
        var watching = _source.WatchAsync(SourceChanged, _time, ct);
        var failures = 0;
        try
        {
            while (true)
            {
                var demand = TakeDemand();
                try
                {
                    failures = await ReadAsync(ct) ? 0 : failures + 1;
                }
                finally
                {
                    demand?.TrySetResult();
                }

                await SleepAsync(failures == 0 ? Jitter(_source.RefreshInterval) : Backoff(failures), ct);
            }
        }
        catch (OperationCanceledException) when (ct.IsCancellationRequested)
        {
            TakeDemand()?.TrySetResult();
        }

        await watching.ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
    }

    private void SourceChanged()
    {
        lock (_lock) _changed = true;
        _wake.Set();
    }

    private TaskCompletionSource? TakeDemand()
    {
        lock (_lock)
        {
            var demand = _demand;
            _demand = null;
            if (demand is not null || _demandLater) _demandsFrom = _time.GetTimestamp() + Ticks(PauseBetweenDemands * (1 + _random() / 2));
            _demandLater = false;
            _changed = false;
            return demand;
        }
    }

    private async Task SleepAsync(TimeSpan interval, CancellationToken ct)
    {
        var end = _time.GetTimestamp() + Ticks(interval);
        while (true)
        {
            long until;
            lock (_lock)
            {
                if (_demand is not null || _changed) return;
                until = _demandLater ? Math.Min(end, _demandsFrom) : end;
            }

            var left = _time.GetElapsedTime(_time.GetTimestamp(), until);
            if (left <= TimeSpan.Zero) return;
            // Delays count whole milliseconds; a rest below one would be slept as none, and this loop would spin.
            if (left < ShortestSleep) left = ShortestSleep;
            await _wake.WaitAsync(left, _time, ct);
        }
    }

    private async Task<bool> ReadAsync(CancellationToken ct)
    {
        using var timeout = new CancellationTokenSource(ReadTimeout, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(timeout.Token, ct);
        string fault;
        try
        {
            var document = await _source.ReadAsync(either.Token);
            if (_current is not null && document.Span.SequenceEqual(_document.Span)) return Succeeded();
            if (TokenKeySet.TryParse(document, out var keys, out fault))
            {
                _document = document;
                _current = keys;
                Log.KeysRead(_log, _source.Description, keys.Count, string.Join(' ', keys.KeyIds));
                if (keys.LeftOut.Length > 0) Log.KeysLeftOut(_log, _source.Description, string.Join("; ", keys.LeftOut));
                return Succeeded();
            }
        }
        catch (TokenKeysException e)
        {
            fault = e.Message;
        }
        catch (OperationCanceledException) when (timeout.IsCancellationRequested && !ct.IsCancellationRequested)
        {
            fault = $"no answer within {ReadTimeout.TotalSeconds:0} s";
        }

        Volatile.Write(ref _lastFault, fault);
        if (_current is null) Log.NoKeys(_log, _source.Description, fault);
        else Log.KeysKept(_log, _source.Description, fault);
        Interlocked.Increment(ref _failedReads);
        return false;
    }

    private bool Succeeded()
    {
        Interlocked.Increment(ref _reads);
        LastRead = _time.GetUtcNow();
        return true;
    }

    // Between 80 and 100 % of the interval, so that replicas do not ask in step.
    private TimeSpan Jitter(TimeSpan interval) => interval * (0.8 + 0.2 * _random());

    private TimeSpan Backoff(int failures)
    {
        var ceiling = TimeSpan.FromTicks(Math.Min(LastRetry.Ticks, FirstRetry.Ticks << Math.Min(failures - 1, 10)));
        return Jitter(ceiling < _source.RefreshInterval || _current is null ? ceiling : _source.RefreshInterval);
    }

    private long Ticks(TimeSpan span) => (long)(span.TotalSeconds * _time.TimestampFrequency);
}
