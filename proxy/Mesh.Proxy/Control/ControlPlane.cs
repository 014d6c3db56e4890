using Mesh.Proxy.Discovery;
using Mesh.Proxy.Identity;
using Mesh.Proxy.Logging;
using Mesh.Proxy.Routing;
using Mesh.Proxy.Settings;
using Mesh.Spiffe;
using Mesh.Spiffe.Renewal;

namespace Mesh.Proxy.Control;

/// <summary>
/// Everything that keeps a proxy certified, trusting and informed: composed here, run by <see cref="RunAsync"/>, read by the data path
/// through <see cref="Identity"/> and <see cref="Directory"/> and by the admin endpoint through the counters.
/// </summary>
internal sealed partial class ControlPlane : IDisposable
{
    // Content changes by the minute at most; a stat and a small read cost nothing at this pace.
    private static readonly TimeSpan FilePoll = TimeSpan.FromSeconds(2);

    // When anchors come that our certificate does not chain to, many proxies are in the same position.
    private static readonly TimeSpan OrphanSpread = TimeSpan.FromSeconds(5);

    private readonly BootstrapFile _file;
    private readonly SvidSource _source;
    private readonly ControlChannel _certify;
    private readonly ControlChannel _trust;
    private readonly ControlChannel? _discovery;
    private readonly ControlChannel? _policies;
    private readonly TimeProvider _time;
    private readonly LineLog _log;
    private readonly string _anchorsFile;
    private string? _fileFault;
    private volatile bool _servedOnce;
    private int _expiryTold;

    /// <param name="identity">Who we are and who certifies us.</param>
    /// <param name="destination">Who knows the endpoints; null for a proxy that only receives.</param>
    /// <param name="version">Told to the identity service.</param>
    /// <param name="time">The clock.</param>
    /// <param name="log">Where state changes are written.</param>
    public ControlPlane(IdentitySettings identity, DestinationSettings? destination, string version, TimeProvider time, LineLog log)
        : this(identity, destination, version, RenewalLimits.Default with { Minimum = identity.MinRefresh, Maximum = identity.MaxRefresh }, time, log, Random.Shared)
    {
    }

    internal ControlPlane(IdentitySettings identity, DestinationSettings? destination, string version, RenewalLimits limits, TimeProvider time, LineLog log, Random random)
    {
        (_time, _log, _anchorsFile) = (time, log, identity.TrustAnchorsFile);
        Identity = new IdentityState(identity.Id.TrustDomain, time);
        ITrustBundleSource anchors = Identity.ControlPlaneAnchors;
        _file = new BootstrapFile(identity.TrustAnchorsFile, identity.Id.TrustDomain);
        _source = new SvidSource(time, limits.Retirement);
        string serviceName = ServerName(identity.ServiceId, identity.ServiceAddress);

        // The token authenticates a request for a certificate; an old certificate would only be one more thing to go wrong.
        _certify = new ControlChannel(identity.ServiceAddress, identity.ServiceId, serviceName, () => null, anchors, time);
        var exchange = new CertifyExchange(_certify, identity.Id, identity.TokenFile, limits.ExchangeTimeout);
        Renewal = new SvidRenewal(identity.Id, DnsName(identity), _source, anchors, exchange.ExchangeAsync, limits, time, random);
        _source.Changed += Identity.UseSvid;

        _trust = new ControlChannel(identity.ServiceAddress, identity.ServiceId, serviceName, () => _source.Usable, anchors, time);
        Bundles = new BundleStream(_trust, Identity, Renewal, version, time, random);
        Identity.CertificateOrphaned += () => Renewal.RenewSoon(OrphanSpread);

        if (destination is not null)
        {
            _discovery = new ControlChannel(
                destination.ServiceAddress, destination.ServiceId, ServerName(destination.ServiceId, destination.ServiceAddress), () => _source.Usable, anchors, time);
            string controlPlaneNamespace = identity.ServiceId.TryGetServiceAccount(out string? ns, out _) ? ns : "mesh";
            Directory = new ServiceDirectory(_discovery, destination.ContextToken, controlPlaneNamespace, () => _source.Usable is not null, time, random);
            // One connection where one process answers for both.
            bool together = destination.PolicyAddress == destination.ServiceAddress && destination.PolicyServiceId.Equals(destination.ServiceId);
            _policies = together
                ? _discovery
                : new ControlChannel(
                    destination.PolicyAddress, destination.PolicyServiceId, ServerName(destination.PolicyServiceId, destination.PolicyAddress), () => _source.Usable, anchors, time);
            Policies = new PolicyDirectory(_policies, destination.ContextToken, controlPlaneNamespace, () => _source.Usable is not null, time, random);
        }

        LogChanges();
    }

    /// <summary>Who we are and whom we trust.</summary>
    public IdentityState Identity { get; }

    public SvidRenewal Renewal { get; }

    public BundleStream Bundles { get; }

    /// <summary>Endpoints; null when there is no discovery.</summary>
    public ServiceDirectory? Directory { get; }

    /// <summary>Routes; null when there is no discovery.</summary>
    public PolicyDirectory? Policies { get; }

    /// <summary>Whether a valid certificate is in force wherever it must be. False again when it has expired.</summary>
    public bool IsReady
    {
        get
        {
            // Later generations replace one that is in force, and need not be waited for.
            if (!_servedOnce && Identity.Published is { InForce.IsCompletedSuccessfully: true }) _servedOnce = true;
            return _servedOnce && Identity.Usable is not null;
        }
    }

    /// <summary>Why <see cref="IsReady"/> is false, or until when it is true, for the readiness answer.</summary>
    public string Sentence
    {
        get
        {
            RenewalStatus status = Renewal.Status;
            if (IsReady) return "certified";
            string cause = status.LastFault == RenewalFault.None ? "waiting for the first certificate" : status.LastDetail;
            if (_file.Fault is { } fault && status.LastFault == RenewalFault.NoTrustBundle) cause = $"the trust anchors file is not usable: {fault}";
            return status.ExpiresAt is null ? cause : $"the certificate has expired: {cause}";
        }
    }

    /// <summary>A channel to another service of the mesh, with our certificate; in plaintext when it has no identity. The caller's to dispose of.</summary>
    public ControlChannel ChannelTo(HostPort address, SpiffeId? service) => service is null
        ? ControlChannel.Plaintext(address, _time)
        : new ControlChannel(address, service, ServerName(service, address), () => _source.Usable, Identity.ControlPlaneAnchors, _time);

    /// <summary>Runs until <paramref name="ct"/> fires, and then returns. Ends earlier only by throwing what is a defect.</summary>
    public async Task RunAsync(CancellationToken ct)
    {
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(ct);
        ReadFile();
        List<Task> parts = [Run(FollowFileAsync), Run(Renewal.RunAsync), Run(Bundles.RunAsync)];
        if (Directory is not null) parts.Add(Run(Directory.RunAsync));
        if (Policies is not null) parts.Add(Run(Policies.RunAsync));
        await Task.WhenAny(parts);
        await stop.CancelAsync();
        await Task.WhenAll(parts);

        Task Run(Func<CancellationToken, Task> part) => Task.Run(() => part(stop.Token), CancellationToken.None);
    }

    public void Dispose()
    {
        _certify.Dispose();
        _trust.Dispose();
        _discovery?.Dispose();
        _policies?.Dispose();
        _source.Dispose();
    }

    private static string ServerName(SpiffeId service, HostPort address) =>
        service.TryGetServiceAccount(out string? ns, out _) && IdentityName.DnsForm(service, ns) is { } name ? name : address.Host;

    // The DNS name beside the SPIFFE ID is for peers that know only Linkerd's names; no other name would be issued.
    private static string? DnsName(IdentitySettings identity) =>
        IdentityName.TryParse(identity.ServerName, out SpiffeId? named) && named.Equals(identity.Id) ? identity.ServerName : null;

    private async Task FollowFileAsync(CancellationToken ct)
    {
        try
        {
            using var poll = new PeriodicTimer(FilePoll, _time);
            while (await poll.WaitForNextTickAsync(ct))
            {
                if (ReadFile() && Renewal.Status.FailuresInRow > 0) Renewal.RenewSoon(TimeSpan.Zero);
                Identity.Reconsider();
                // Renewal tells it as well, but not while an exchange hangs that may take longer than the certificate.
                if (Identity.Current is not null && Identity.Usable is null) TellExpiry(Renewal.Status);
            }
        }
        catch (OperationCanceledException) when (ct.IsCancellationRequested)
        {
        }
    }

    private bool ReadFile()
    {
        bool news = _file.TryReadNew(out TrustBundle? bundle);
        if (news)
        {
            Identity.UseFile(bundle!);
            Log.AnchorsRead(_log, _anchorsFile, bundle!.X509Authorities.Length);
        }

        if (_file.Fault is { } fault && fault != _fileFault) Log.AnchorsUnusable(_log, _anchorsFile, fault, Identity.Trust.InForce is not null);
        _fileFault = _file.Fault;
        return news;
    }
}
