using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Net;
using Mesh.Proxy.Discovery;
using Mesh.Proxy.Logging;
using Mesh.Proxy.Metrics;
using Mesh.Proxy.Outbound;
using Mesh.Proxy.Policy;
using Mesh.Proxy.Settings;
using Mesh.Proxy.Tests.Native;
using Mesh.Spiffe;
using Mesh.Testing;

namespace Mesh.Proxy.Tests.Connections;

/// <summary>A proxy's data path on a loop of its own, with endpoints and certificates a test gives it in place of a control plane.</summary>
internal sealed class RunningProxy : IAsyncDisposable
{
    private static readonly IPEndPoint AnyPort = new(IPAddress.Loopback, 0);

    private readonly LoopThread _loop;
    private readonly LineLog _lines;
    private readonly Task _serving;

    private RunningProxy(LoopThread loop, DataPlane plane, LineLog lines, CapturedLog log)
    {
        (_loop, Plane, _lines, Log) = (loop, plane, lines, log);
        _serving = plane.ServeAsync();
    }

    public DataPlane Plane { get; }

    public CapturedLog Log { get; }

    public IPEndPoint Inbound => Plane.InboundAddresses[^1];

    public IPEndPoint Outbound => Plane.OutboundAddresses[^1];

    /// <summary>Settings with nothing to listen on; a test adds listeners.</summary>
    public static ProxySettings Settings(SpiffeId id, string serverName = "web.demo.serviceaccount.identity.mesh.example.org") => new()
    {
        Inbound = new InboundSettings
        {
            Listen = null,
            Services = [],
            Policy = InboundPolicy.AllAuthenticated,
            ClusterNetworks = [],
            OpaquePorts = PortSet.Empty,
            Addresses = [],
            ConnectTimeout = TimeSpan.FromSeconds(5),
            DetectTimeout = TimeSpan.FromSeconds(20),
            MaxConnections = 1000,
        },
        Outbound = new OutboundSettings
        {
            Listen = null,
            Services = [],
            ConnectTimeout = TimeSpan.FromSeconds(5),
            HandshakeTimeout = TimeSpan.FromSeconds(20),
            DiscoveryTimeout = TimeSpan.FromSeconds(5),
            MaxConnections = 1000,
            Undiscovered = UndiscoveredTraffic.Plaintext,
        },
        Identity = new IdentitySettings
        {
            Id = id,
            ServerName = serverName,
            TokenFile = "",
            TrustAnchorsFile = "",
            ServiceAddress = HostPort.Parse("127.0.0.1:1"),
            ServiceId = id,
            MinRefresh = TimeSpan.Zero,
            MaxRefresh = TimeSpan.Zero,
        },
        Destination = null,
        AdminListen = AnyPort,
        LogLevel = LogLevel.Debug,
        LogFormat = LogFormat.Text,
        AccessLog = true,
        ShutdownGracePeriod = TimeSpan.Zero,
    };

    public static async Task<RunningProxy> StartAsync(
        ProxySettings settings, X509Svid? svid, ITrustBundleSource bundles, DestinationLookup? lookup = null, TimeProvider? time = null, NetworkNamespace? network = null,
        LogLevel level = LogLevel.Debug)
    {
        var loop = new LoopThread();
        if (network is not null)
        {
            await loop.On(() =>
            {
                network.Enter();
                return true;
            });
        }

        var log = new CapturedLog();
        var lines = new LineLog(log, level, LogFormat.Text, TimeProvider.System);
        var plane = await loop.On(() => new DataPlane(loop.Loop, settings, lookup ?? DestinationLookup.None, null, time ?? TimeProvider.System, lines));
        if (svid is not null) await plane.UseIdentityAsync(svid, bundles);
        return new RunningProxy(loop, plane, lines, log);
    }

    /// <summary>The receiving proxy of <paramref name="application"/>, behind a named listener.</summary>
    public static Task<RunningProxy> ReceivingAsync(
        IPEndPoint application, TestAuthority authority, InboundPolicy policy = InboundPolicy.AllAuthenticated, X509Svid? svid = null, TimeProvider? time = null,
        Func<InboundSettings, InboundSettings>? change = null)
    {
        var id = SpiffeId.Parse($"spiffe://{authority.TrustDomain.Name}/ns/demo/sa/web");
        var settings = Settings(id);
        var inbound = settings.Inbound with { Policy = policy, Services = [new InboundService(AnyPort, application)] };
        return StartAsync(settings with { Inbound = change?.Invoke(inbound) ?? inbound }, svid ?? authority.CreateSvid(id), authority.Bundles, time: time);
    }

    /// <summary>The sending proxy, with a listener for web.demo:80 that leads to <paramref name="endpoints"/>.</summary>
    public static Task<RunningProxy> SendingAsync(TestAuthority authority, X509Svid? svid = null, TimeProvider? time = null, params Endpoint[] endpoints) =>
        SendingAsync(authority, Fixed(endpoints), svid, time);

    public static Task<RunningProxy> SendingAsync(TestAuthority authority, DestinationLookup lookup, X509Svid? svid = null, TimeProvider? time = null)
    {
        var id = SpiffeId.Parse($"spiffe://{authority.TrustDomain.Name}/ns/demo/sa/client");
        var settings = Settings(id, "client.demo.serviceaccount.identity.mesh.example.org");
        settings = settings with { Outbound = settings.Outbound with { Services = [new OutboundService(AnyPort, HostPort.Parse("web.demo:80"))] } };
        return StartAsync(settings, svid ?? authority.CreateSvid(id), authority.Bundles, lookup, time);
    }

    /// <summary>An endpoint whose proxy takes connections with a transport header.</summary>
    public static Endpoint Meshed(IPEndPoint application, IPEndPoint proxy, string id = "spiffe://example.org/ns/demo/sa/web", bool header = true) => new(
        header ? application : proxy,
        1,
        new EndpointIdentity(SpiffeId.Parse(id), "web.demo.serviceaccount.identity.mesh.example.org"),
        header ? proxy.Port : null,
        ProtocolHint.Unknown,
        null,
        FrozenDictionary<string, string>.Empty);

    public static Endpoint Unmeshed(IPEndPoint application) => new(application, 1, null, null, ProtocolHint.Unknown, null, FrozenDictionary<string, string>.Empty);

    public static DestinationLookup Fixed(params Endpoint[] endpoints)
    {
        var set = new EndpointSet(true, [.. endpoints], FrozenDictionary<string, string>.Empty);
        return DestinationLookup.None with { Resolve = (_, _, _) => ValueTask.FromResult(new Resolution(ResolutionKind.Found, set, false)) };
    }

    public async Task<string> MetricsAsync()
    {
        var page = new PrometheusText();
        await Plane.WriteMetricsAsync(page, CancellationToken.None);
        return page.ToString();
    }

    public async ValueTask DisposeAsync()
    {
        await Plane.StopAcceptingAsync();
        await _serving.WaitAsync(LoopThread.Limit);
        await Plane.DrainAsync(TimeSpan.Zero);
        _loop.Dispose();
        Plane.Dispose();
        await _lines.DisposeAsync();
    }
}
