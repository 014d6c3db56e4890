using Google.Protobuf;
using Mesh.Grpc;
using Mesh.Protocol.Trust;
using Mesh.Spiffe;

namespace Mesh.Identity.Bundles;

/// <summary>A call for every holder to renew its SVID, each at its own moment within <paramref name="Within"/>.</summary>
internal sealed record RenewalCall(TimeSpan Within);

/// <summary>One state of the bundle, encoded once for all streams. Immutable but for the news that it is outdated.</summary>
internal sealed class BundleEdition
{
    private readonly TaskCompletionSource _superseded = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public BundleEdition(TrustBundle bundle, ulong sequence, RenewalCall? renewal)
    {
        Bundle = bundle;
        Sequence = sequence;
        Renewal = renewal;
        var update = new BundleUpdate { TrustDomain = bundle.TrustDomain.Name, Sequence = sequence, RenewNow = renewal is not null };
        if (renewal is not null) update.RenewWithinMs = (uint)Math.Clamp(renewal.Within.TotalMilliseconds, 0, uint.MaxValue);
        foreach (var anchor in bundle.X509Authorities) update.Anchors.Add(UnsafeByteOperations.UnsafeWrap(anchor.Der));
        Message = new SharedMessage<BundleUpdate>(update);
    }

    public TrustBundle Bundle { get; }

    public ulong Sequence { get; }

    public RenewalCall? Renewal { get; }

    /// <summary>What every stream sends, serialised once.</summary>
    public SharedMessage<BundleUpdate> Message { get; }

    /// <summary>Completes when a newer edition is in force.</summary>
    public Task Superseded => _superseded.Task;

    public void Supersede() => _superseded.TrySetResult();
}

/// <summary>The bundle in force and its news: every stream sends the current edition, waits until it is superseded, and looks again, so that a slow one skips what is outdated.</summary>
internal sealed class BundleFeed(TrustDomain trustDomain) : ITrustBundleSource
{
    private readonly Lock _lock = new();
    private readonly TaskCompletionSource _first = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private volatile BundleEdition? _current;
    private long _editions;

    public TrustDomain TrustDomain { get; } = trustDomain;

    /// <summary>Null until a bundle has been loaded.</summary>
    public BundleEdition? Current => _current;

    public TrustBundle? Find(TrustDomain trustDomain) => trustDomain == TrustDomain ? _current?.Bundle : null;

    /// <summary>How many editions were published, which is how often a bundle was encoded.</summary>
    public long Editions => Interlocked.Read(ref _editions);

    /// <summary>
    /// Puts a bundle in force. The same content under the same sequence is no news and changes nothing.
    /// A <paramref name="renewal"/> travels with this edition only; rotation uses it after it has put a new issuer to work.
    /// </summary>
    /// <exception cref="ArgumentException">The bundle is of another trust domain, has no sequence, or one that goes back.</exception>
    public void Publish(TrustBundle bundle, RenewalCall? renewal)
    {
        if (bundle.TrustDomain != TrustDomain) throw new ArgumentException($"The bundle is of {bundle.TrustDomain.Name}, not of {TrustDomain.Name}.", nameof(bundle));
        var sequence = bundle.Sequence ?? throw new ArgumentException("The bundle has no sequence.", nameof(bundle));
        lock (_lock)
        {
            var last = _current;
            if (last is not null && sequence < last.Sequence) throw new ArgumentException($"Sequence {sequence} is older than {last.Sequence}.", nameof(bundle));
            if (last is not null && renewal is null && last.Renewal is null && sequence == last.Sequence) return;
            _current = new BundleEdition(bundle, sequence, renewal);
            Interlocked.Increment(ref _editions);
            last?.Supersede();
            _first.TrySetResult();
        }
    }

    /// <summary>The edition in force, after waiting for the first if there is none yet.</summary>
    public async ValueTask<BundleEdition> CurrentAsync(CancellationToken ct)
    {
        if (_current is { } current) return current;
        await _first.Task.WaitAsync(ct);
        return _current!;
    }
}
