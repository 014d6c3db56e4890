using System.Collections.Immutable;
using System.Globalization;
using System.Net;
using Mesh.Protocol.Destination;
using Mesh.Proxy.Control;
using Mesh.Proxy.Settings;

namespace Mesh.Proxy.Discovery;

/// <summary>
/// What the proxy knows of services and addresses, learnt from the discovery service by one stream for each, shared by all
/// connections. Any thread may ask.
/// </summary>
internal sealed class ServiceDirectory
{
    /// <summary>How many authorities, and how many addresses, are followed at a time.</summary>
    public const int MaxWatches = 1_000;

    private const string GetRpc = "/io.linkerd.proxy.destination.Destination/Get";
    private const string GetProfileRpc = "/io.linkerd.proxy.destination.Destination/GetProfile";

    // Generous: Linkerd's 5 s make an idle client ask again, and fail, while the control plane is away.
    private static readonly TimeSpan UnusedFor = TimeSpan.FromMinutes(10);
    private static readonly TimeSpan SweepEvery = TimeSpan.FromSeconds(30);

    private static readonly ServiceProfile NoProfile = new(null, false, null, false, []);

    private readonly ControlChannel _channel;
    private readonly string _contextToken;
    private readonly string _controlPlaneNamespace;
    private readonly Func<bool> _mayConnect;
    private readonly TimeProvider _time;
    private readonly Random _random;
    private readonly WatchTable<HostPort, Update, EndpointSet> _services;
    private readonly WatchTable<IPEndPoint, DestinationProfile, ServiceProfile> _profiles;
    private int _away;
    private long _updates;
    private long _leftOut;

    /// <param name="channel">The discovery service.</param>
    /// <param name="contextToken">Who asks, passed through to the service.</param>
    /// <param name="controlPlaneNamespace">For the DNS form of identities that come without a server name.</param>
    /// <param name="mayConnect">Whether there is a certificate to authenticate with now.</param>
    /// <param name="time">The clock.</param>
    /// <param name="random">Jitter; must be safe to share.</param>
    /// <param name="maxWatches">How many authorities, and how many addresses, are followed at a time.</param>
    public ServiceDirectory(
        ControlChannel channel, string contextToken, string controlPlaneNamespace, Func<bool> mayConnect, TimeProvider time, Random random, int maxWatches = MaxWatches)
    {
        (_channel, _contextToken, _controlPlaneNamespace, _mayConnect, _time, _random) = (channel, contextToken, controlPlaneNamespace, mayConnect, time, random);
        _services = new WatchTable<HostPort, Update, EndpointSet>(maxWatches, OpenService);
        _profiles = new WatchTable<IPEndPoint, DestinationProfile, ServiceProfile>(maxWatches, OpenProfile);
    }

    /// <summary>Authorities and addresses followed now.</summary>
    public int Watches => _services.Count + _profiles.Count;

    /// <summary>Of those, the ones whose last answer nobody keeps true.</summary>
    public int StaleWatches => _services.Stale + _profiles.Stale;

    /// <summary>Changes of endpoint sets since the start.</summary>
    public long Updates => Interlocked.Read(ref _updates);

    /// <summary>Endpoints left out since the start, because they could not be read or held to an identity.</summary>
    public long EndpointsLeftOut => Interlocked.Read(ref _leftOut);

    /// <summary>Authorities and addresses refused since the start because too many are in use.</summary>
    public long TurnedAway => _services.TurnedAway + _profiles.TurnedAway;

    /// <summary>Raised when discovery is away, with the reason, and when it answers again.</summary>
    public event Action<bool, string>? ReachableChanged;

    /// <summary>Raised when the endpoints of an authority have changed, on a thread of the pool: an event loop takes it by posting to itself.</summary>
    public event Action<HostPort, EndpointSet>? EndpointsChanged;

    /// <summary>
    /// The endpoints of <paramref name="authority"/>. Completes at once when they are known. Otherwise waits for discovery, for
    /// <paramref name="timeout"/> at most, and no longer than it takes to see that discovery is away.
    /// </summary>
    public async ValueTask<Resolution> ResolveAsync(HostPort authority, TimeSpan timeout, CancellationToken ct)
    {
        if (_services.Find(authority) is not { } watch) return new Resolution(ResolutionKind.Unavailable, null, false);
        EndpointSet? endpoints = watch.Current ?? await watch.FirstAsync(timeout, ct);
        if (endpoints is null) return new Resolution(ResolutionKind.Unavailable, null, false);
        return endpoints.Exists ? new Resolution(ResolutionKind.Found, endpoints, !watch.Connected) : new Resolution(ResolutionKind.NotFound, null, !watch.Connected);
    }

    /// <summary>The endpoints of <paramref name="authority"/> as they are known now; null when discovery has not told them. Asks for them if nobody has.</summary>
    public EndpointSet? Known(HostPort authority) => _services.Find(authority)?.Current;

    /// <summary>What <paramref name="address"/>, the original destination of a connection, stands for. Waits as <see cref="ResolveAsync"/> does.</summary>
    public async ValueTask<ProfileResolution> ProfileAsync(IPEndPoint address, TimeSpan timeout, CancellationToken ct)
    {
        if (_profiles.Find(address) is not { } watch) return new ProfileResolution(ResolutionKind.Unavailable, null, false);
        ServiceProfile? profile = watch.Current ?? await watch.FirstAsync(timeout, ct);
        if (profile is null) return new ProfileResolution(ResolutionKind.Unavailable, null, false);
        return ReferenceEquals(profile, NoProfile)
            ? new ProfileResolution(ResolutionKind.NotFound, null, !watch.Connected)
            : new ProfileResolution(ResolutionKind.Found, profile, !watch.Connected);
    }

    /// <summary>A connection to <paramref name="address"/> is open until the result is disposed, once: what is known of it is not the first to be given up for another.</summary>
    public IDisposable? Hold(IPEndPoint address) => _profiles.Hold(address);

    /// <summary>Closes streams that nobody needs until <paramref name="ct"/> fires; then closes all and returns.</summary>
    public async Task RunAsync(CancellationToken ct)
    {
        try
        {
            using var sweep = new PeriodicTimer(SweepEvery, _time);
            while (await sweep.WaitForNextTickAsync(ct))
            {
                await _services.CloseUnusedAsync(UnusedFor);
                await _profiles.CloseUnusedAsync(UnusedFor);
            }
        }
        catch (OperationCanceledException) when (ct.IsCancellationRequested)
        {
        }
        finally
        {
            await _services.CloseAllAsync();
            await _profiles.CloseAllAsync();
        }
    }

    private Watch<Update, EndpointSet> OpenService(HostPort authority)
    {
        var table = new EndpointTable(_controlPlaneNamespace);
        var watch = new Watch<Update, EndpointSet>(
            _channel, GetRpc, Request(authority.ToString()), Update.Parser, FoldEndpoints, table.StreamOpened, EndpointSet.Absent, AbsentFor, _mayConnect, _time, _random);
        watch.ReachableChanged += Note;
        watch.Changed += endpoints => EndpointsChanged?.Invoke(authority, endpoints);
        return watch;

        bool FoldEndpoints(Update update, EndpointSet? before, out EndpointSet after)
        {
            long leftOut = table.LeftOut;
            bool changed = table.Apply(update, before, out after);
            if (table.LeftOut != leftOut) Interlocked.Add(ref _leftOut, table.LeftOut - leftOut);
            if (changed) Interlocked.Increment(ref _updates);
            return changed;
        }
    }

    private Watch<DestinationProfile, ServiceProfile> OpenProfile(IPEndPoint address)
    {
        var watch = new Watch<DestinationProfile, ServiceProfile>(
            _channel, GetProfileRpc, Request(address.ToString()), DestinationProfile.Parser, Fold, () => { }, NoProfile, AbsentFor, _mayConnect, _time, _random);
        watch.ReachableChanged += Note;
        return watch;

        bool Fold(DestinationProfile message, ServiceProfile? before, out ServiceProfile after) => FoldProfile(address, message, before, out after);
    }

    private static TimeSpan? AbsentFor(GrpcStatusCode code) => code is GrpcStatusCode.NotFound or GrpcStatusCode.InvalidArgument ? TimeSpan.FromSeconds(10) : null;

    // One service answers all watches: what one of them notices holds for all, and is told once.
    private void Note(bool reachable, string reason)
    {
        int away = reachable ? 0 : 1;
        if (Interlocked.Exchange(ref _away, away) != away) ReachableChanged?.Invoke(reachable, reason);
    }

    private bool FoldProfile(IPEndPoint address, DestinationProfile message, ServiceProfile? before, out ServiceProfile after)
    {
        Endpoint? endpoint = null;
        bool refused = message.Endpoint is not null && !DiscoveryMessages.TryParse(message.Endpoint, _controlPlaneNamespace, out endpoint);
        if (refused) Interlocked.Increment(ref _leftOut);
        ImmutableArray<WeightedAuthority> overrides = [.. message.DstOverrides.Take(EndpointTable.MaxEndpoints).Select(o => new WeightedAuthority(o.Authority, o.Weight))];
        // The name comes without a port: it is the one that the client dialled.
        string? authority = HostPort.TryParse(string.Create(CultureInfo.InvariantCulture, $"{message.FullyQualifiedName}:{address.Port}"), out HostPort? named) ? named.ToString() : null;
        after = new ServiceProfile(authority, message.OpaqueProtocol, endpoint, refused, overrides);
        return after != before;
    }

    private GetDestination Request(string path) => new() { Path = path, ContextToken = _contextToken };
}
