using System.Buffers.Binary;
using System.Collections.Immutable;
using System.Net.Sockets;
using Mesh.Protocol.Net;
using Mesh.Proxy.Control;
using Mesh.Proxy.Discovery;
using Mesh.Proxy.Settings;

namespace Mesh.Proxy.Routing;

/// <summary>What is known of a service's routes at the moment of asking.</summary>
/// <param name="Policy">The default one where the control plane says that there is none; null when it has never answered, and does not now.</param>
/// <param name="Stale">Whether this is the last that was heard before the control plane went away.</param>
internal readonly record struct PolicyResolution(OutboundPolicy? Policy, bool Stale);

/// <summary>The routes of services, learnt from the control plane by one stream for each, as <see cref="ServiceDirectory"/> learns endpoints. Any thread may ask.</summary>
internal sealed class PolicyDirectory
{
    private const string WatchRpc = "/io.linkerd.proxy.outbound.OutboundPolicies/Watch";

    private static readonly TimeSpan UnusedFor = TimeSpan.FromMinutes(10);
    private static readonly TimeSpan SweepEvery = TimeSpan.FromSeconds(30);

    private readonly ControlChannel _channel;
    private readonly string _sourceWorkload;
    private readonly string _controlPlaneNamespace;
    private readonly Func<bool> _mayConnect;
    private readonly TimeProvider _time;
    private readonly Random _random;
    private readonly WatchTable<HostPort, Protocol.Outbound.OutboundPolicy, OutboundPolicy> _policies;
    private int _away;
    private long _updates;
    private long _refused;

    /// <param name="channel">The service that knows routes.</param>
    /// <param name="sourceWorkload">Who asks, passed through to the service.</param>
    /// <param name="controlPlaneNamespace">For the DNS form of identities that come without a server name.</param>
    /// <param name="mayConnect">Whether there is a certificate to authenticate with now.</param>
    /// <param name="time">The clock.</param>
    /// <param name="random">Jitter; must be safe to share.</param>
    /// <param name="maxWatches">How many services are followed at a time.</param>
    public PolicyDirectory(
        ControlChannel channel, string sourceWorkload, string controlPlaneNamespace, Func<bool> mayConnect, TimeProvider time, Random random,
        int maxWatches = ServiceDirectory.MaxWatches)
    {
        (_channel, _sourceWorkload, _controlPlaneNamespace, _mayConnect, _time, _random) = (channel, sourceWorkload, controlPlaneNamespace, mayConnect, time, random);
        _policies = new WatchTable<HostPort, Protocol.Outbound.OutboundPolicy, OutboundPolicy>(maxWatches, Open);
    }

    /// <summary>Services followed now.</summary>
    public int Watches => _policies.Count;

    /// <summary>Of those, the ones whose last answer nobody keeps true.</summary>
    public int StaleWatches => _policies.Stale;

    /// <summary>Changes since the start.</summary>
    public long Updates => Interlocked.Read(ref _updates);

    /// <summary>Rules since the start that were not understood, and refuse their requests.</summary>
    public long RulesRefused => Interlocked.Read(ref _refused);

    /// <summary>Raised when the service is away, with the reason, and when it answers again.</summary>
    public event Action<bool, string>? ReachableChanged;

    /// <summary>Raised when the policy of a service has changed, on a thread of the pool: an event loop takes it by posting to itself.</summary>
    public event Action<HostPort, OutboundPolicy>? PolicyChanged;

    /// <summary>Raised for a policy of which something was not understood.</summary>
    public event Action<HostPort, ImmutableArray<string>>? NotUnderstood;

    /// <summary>
    /// The policy of <paramref name="target"/>: a service by its authority, or, when no name is known, an address. Completes at once when it is known.
    /// Otherwise waits for the control plane, for <paramref name="timeout"/> at most, and no longer than it takes to see that it is away.
    /// </summary>
    public async ValueTask<PolicyResolution> ResolveAsync(HostPort target, TimeSpan timeout, CancellationToken ct)
    {
        if (_policies.Find(target) is not { } watch) return default;
        OutboundPolicy? policy = watch.Current ?? await watch.FirstAsync(timeout, ct);
        return policy is null ? default : new PolicyResolution(policy, !watch.Connected);
    }

    /// <summary>Closes streams that nobody needs until <paramref name="ct"/> fires; then closes all and returns.</summary>
    public async Task RunAsync(CancellationToken ct)
    {
        try
        {
            using var sweep = new PeriodicTimer(SweepEvery, _time);
            while (await sweep.WaitForNextTickAsync(ct)) await _policies.CloseUnusedAsync(UnusedFor);
        }
        catch (OperationCanceledException) when (ct.IsCancellationRequested)
        {
        }
        finally
        {
            await _policies.CloseAllAsync();
        }
    }

    private Watch<Protocol.Outbound.OutboundPolicy, OutboundPolicy> Open(HostPort target)
    {
        Protocol.Outbound.OutboundPolicy? newest = null;
        var watch = new Watch<Protocol.Outbound.OutboundPolicy, OutboundPolicy>(
            _channel, WatchRpc, Request(target), Protocol.Outbound.OutboundPolicy.Parser, Fold, () => { }, OutboundPolicy.Default(target), AbsentFor, _mayConnect, _time, _random);
        watch.ReachableChanged += Note;
        watch.Changed += policy => PolicyChanged?.Invoke(target, policy);
        return watch;

        bool Fold(Protocol.Outbound.OutboundPolicy message, OutboundPolicy? before, out OutboundPolicy after)
        {
            // Told again what holds already, as at every new stream: balancers and what they know stay.
            after = before!;
            if (before is { IsDefault: false } && message.Equals(newest)) return false;
            newest = message;
            after = PolicyReader.Read(message, _controlPlaneNamespace, out var faults);
            Interlocked.Increment(ref _updates);
            if (faults.IsEmpty) return true;
            Interlocked.Add(ref _refused, faults.Length);
            NotUnderstood?.Invoke(target, faults);
            return true;
        }
    }

    // A control plane that has no policies will not have them in ten seconds either.
    private static TimeSpan? AbsentFor(GrpcStatusCode code) => code switch
    {
        GrpcStatusCode.NotFound or GrpcStatusCode.InvalidArgument => TimeSpan.FromSeconds(10),
        GrpcStatusCode.Unimplemented => TimeSpan.FromMinutes(5),
        _ => null,
    };

    // One service answers all watches: what one of them notices holds for all, and is told once.
    private void Note(bool reachable, string reason)
    {
        int away = reachable ? 0 : 1;
        if (Interlocked.Exchange(ref _away, away) != away) ReachableChanged?.Invoke(reachable, reason);
    }

    private Protocol.Outbound.TrafficSpec Request(HostPort target)
    {
        var request = new Protocol.Outbound.TrafficSpec { SourceWorkload = _sourceWorkload };
        if (target.Address is not { } address)
        {
            request.Authority = target.ToString();
            return request;
        }

        byte[] bytes = address.GetAddressBytes();
        request.Addr = new TcpAddress
        {
            Port = (uint)target.Port,
            Ip = address.AddressFamily == AddressFamily.InterNetwork
                ? new Protocol.Net.IPAddress { Ipv4 = BinaryPrimitives.ReadUInt32BigEndian(bytes) }
                : new Protocol.Net.IPAddress { Ipv6 = new IPv6 { First = BinaryPrimitives.ReadUInt64BigEndian(bytes), Last = BinaryPrimitives.ReadUInt64BigEndian(bytes.AsSpan(8)) } },
        };
        return request;
    }
}
