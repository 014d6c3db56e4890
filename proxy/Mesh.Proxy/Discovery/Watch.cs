using Google.Protobuf;
using Mesh.Proxy.Control;

namespace Mesh.Proxy.Discovery;

/// <summary>Folds one message into what is known. True when that has changed.</summary>
internal delegate bool Fold<TMessage, TValue>(TMessage message, TValue? before, out TValue after);

/// <summary>
/// One subscription at a service of the control plane, kept open for as long as anyone cares. What it has brought stays known while the service
/// is away, and says that it is stale.
/// </summary>
internal sealed class Watch<TMessage, TValue> : IAsyncDisposable
    where TMessage : class, IMessage<TMessage>
    where TValue : class
{
    // The service owes a first message at once.
    private static readonly TimeSpan FirstMessageTimeout = TimeSpan.FromSeconds(10);

    // A first failure may be a connection that had died unnoticed; after the second the service is away.
    private const int FailuresThatSettle = 2;

    private readonly ControlChannel _channel;
    private readonly string _rpc;
    private readonly IMessage _request;
    private readonly MessageParser<TMessage> _parser;
    private readonly Fold<TMessage, TValue> _fold;
    private readonly Action _opened;
    private readonly TValue _absent;
    private readonly Func<GrpcStatusCode, TimeSpan?> _absentFor;
    private readonly Func<bool> _mayConnect;
    private readonly TimeProvider _time;
    private readonly Random _random;
    private readonly CancellationTokenSource _stop = new();
    private readonly TaskCompletionSource _settled = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile TValue? _current;
    private volatile bool _connected;
    private volatile string _fault = "";
    private long _lastUsed;
    private int _waiting;
    private int _connections;
    private Task _cancelling = Task.CompletedTask;
    private Task _running = Task.CompletedTask;

    /// <param name="channel">Where the service is.</param>
    /// <param name="rpc">The path of the call.</param>
    /// <param name="request">What is asked for.</param>
    /// <param name="parser">Of the messages that answer.</param>
    /// <param name="fold">Brings each of them into what is known.</param>
    /// <param name="opened">Called when a stream has begun to answer: what comes next starts from nothing.</param>
    /// <param name="absent">What holds when the service says that it knows nothing.</param>
    /// <param name="absentFor">Which statuses say that, and about when to ask again: what is asked for may be created later. Null: a failure.</param>
    /// <param name="mayConnect">Whether there is a certificate to authenticate with now.</param>
    /// <param name="time">The clock.</param>
    /// <param name="random">Jitter; must be safe to share.</param>
    public Watch(
        ControlChannel channel, string rpc, IMessage request, MessageParser<TMessage> parser, Fold<TMessage, TValue> fold, Action opened, TValue absent,
        Func<GrpcStatusCode, TimeSpan?> absentFor, Func<bool> mayConnect, TimeProvider time, Random random)
    {
        (_channel, _rpc, _request, _parser, _fold, _opened, _absent, _absentFor) = (channel, rpc, request, parser, fold, opened, absent, absentFor);
        (_mayConnect, _time, _random) = (mayConnect, time, random);
        Touch();
    }

    /// <summary>The newest answer; null before the first.</summary>
    public TValue? Current => _current;

    /// <summary>Whether the service is telling us of changes now.</summary>
    public bool Connected => _connected;

    /// <summary>What ended the last attempt; empty while it works.</summary>
    public string Fault => _fault;

    public TimeSpan Idle => _time.GetElapsedTime(Volatile.Read(ref _lastUsed));

    /// <summary>Whether connections are open that came here for where to go.</summary>
    public bool HasConnections => Volatile.Read(ref _connections) > 0;

    /// <summary>Whether it can be closed and lose nobody anything but time: nobody waits for its first answer, and what it knows can be learnt again.</summary>
    public bool IsReplaceable => Volatile.Read(ref _waiting) == 0 && (_connected || _current is null);

    /// <summary>Raised when the service has answered after it had not, and when it is away, with the reason.</summary>
    public event Action<bool, string>? ReachableChanged;

    /// <summary>Raised after <see cref="Current"/> has changed, on a thread of the pool.</summary>
    public event Action<TValue>? Changed;

    /// <summary>A connection is open until the result is disposed, once.</summary>
    public IDisposable Hold()
    {
        Interlocked.Increment(ref _connections);
        return new Held(this);
    }

    public void Touch() => Volatile.Write(ref _lastUsed, _time.GetTimestamp());

    /// <summary>Begins. On the thread pool, wherever the caller runs: an event loop must not carry this work.</summary>
    public void Start() => _running = Task.Run(() => RunAsync(_stop.Token));

    /// <summary>The newest answer, waiting for the first. Null when there is none in time, or when the service is known to be away.</summary>
    public async ValueTask<TValue?> FirstAsync(TimeSpan timeout, CancellationToken ct)
    {
        Interlocked.Increment(ref _waiting);
        await _settled.Task.WaitAsync(timeout, _time, ct).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing | ConfigureAwaitOptions.ContinueOnCapturedContext);
        Interlocked.Decrement(ref _waiting);
        ct.ThrowIfCancellationRequested();
        return _current;
    }

    /// <summary>Ends its stream, without waiting for it: <see cref="DisposeAsync"/> does.</summary>
    public void Stop() => _cancelling = _stop.CancelAsync();

    public bool HasEnded => _cancelling.IsCompleted && _running.IsCompleted;

    public async ValueTask DisposeAsync()
    {
        await _cancelling;
        await _stop.CancelAsync();
        await _running;
        _settled.TrySetResult();
        _stop.Dispose();
    }

    private async Task RunAsync(CancellationToken ct)
    {
        var backoff = new Backoff(TimeSpan.FromMilliseconds(500), TimeSpan.FromSeconds(10), _random);
        int failures = 0;
        try
        {
            while (true)
            {
                bool mayConnect = _mayConnect();
                GrpcCallException? failure = mayConnect ? await FollowAsync(backoff, ct) : new GrpcCallException(GrpcStatusCode.Unauthenticated, "no valid certificate to authenticate with");
                // As soon as there is one, it is used.
                if (!mayConnect) backoff.Reset();
                _fault = failure?.Message ?? "the service ended the stream";
                if (failure is not null && _absentFor(failure.Code) is { } again)
                {
                    // An answer, not a failure: the service is there and does not know what we ask for.
                    Connect();
                    failures = 0;
                    if (!ReferenceEquals(_current, _absent)) Publish(_absent);
                    await Task.Delay(again * (0.5 + 0.5 * _random.NextDouble()), _time, ct);
                    continue;
                }

                failures = _connected ? 1 : failures + 1;
                _connected = false;
                if (failures >= FailuresThatSettle) _settled.TrySetResult();
                if (failures == FailuresThatSettle) ReachableChanged?.Invoke(false, _fault);
                await Task.Delay(backoff.Next(), _time, ct);
            }
        }
        catch (OperationCanceledException) when (ct.IsCancellationRequested)
        {
        }
    }

    private async Task<GrpcCallException?> FollowAsync(Backoff backoff, CancellationToken ct)
    {
        using var late = new CancellationTokenSource(FirstMessageTimeout, _time);
        using var opening = CancellationTokenSource.CreateLinkedTokenSource(ct, late.Token);
        try
        {
            await using GrpcStream<IMessage, TMessage> stream = await _channel.SubscribeAsync(_rpc, _request, _parser, opening.Token);
            TMessage? message = await stream.ReadAsync(opening.Token);
            _opened();
            for (; message is not null; message = await stream.ReadAsync(ct))
            {
                backoff.Reset();
                Connect();
                _fault = "";
                if (_fold(message, _current, out TValue after)) Publish(after);
            }

            return null;
        }
        catch (GrpcCallException e)
        {
            return e;
        }
        catch (OperationCanceledException) when (!ct.IsCancellationRequested)
        {
            return new GrpcCallException(GrpcStatusCode.DeadlineExceeded, "the service did not send a first message in time");
        }
    }

    private void Connect()
    {
        if (_connected) return;
        _connected = true;
        ReachableChanged?.Invoke(true, "");
    }

    private void Publish(TValue value)
    {
        _current = value;
        _settled.TrySetResult();
        Changed?.Invoke(value);
    }

    private sealed class Held(Watch<TMessage, TValue> watch) : IDisposable
    {
        public void Dispose() => Interlocked.Decrement(ref watch._connections);
    }
}
