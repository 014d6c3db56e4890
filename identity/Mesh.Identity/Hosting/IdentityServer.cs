using System.Collections.Frozen;
using System.Net;
using System.Text.Json;
using Grpc.HealthCheck;
using Mesh.Identity.Bundles;
using Mesh.Identity.Health;
using Mesh.Identity.Issuance;
using Mesh.Identity.Metrics;
using Mesh.Identity.Settings;
using Mesh.Spiffe;
using Mesh.Trust.Anchors;
using Mesh.Trust.Issuers;
using Mesh.Trust.Issuing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Mesh.Identity.Hosting;

/// <summary>The identity service, put together by hand: what it follows, what it answers, and the order in which it starts and stops.</summary>
internal sealed partial class IdentityServer : IRunningService
{
    /// <summary>Largest message taken: a token of 16 kB, a signing request of 16 kB, and room for what protobuf adds.</summary>
    public const int MaxMessageBytes = 40 * 1024;

    private readonly IdentitySettings _settings;
    private readonly TimeProvider _time;
    private readonly ILoggerFactory _logs;
    private readonly ILogger _log;
    private readonly CancellationTokenSource _life = new();
    private readonly CancellationTokenSource _stopping = new();
    private readonly HealthServiceImpl _health = new();
    private readonly List<Task> _background = [];
    private readonly AnchorSource _anchors;
    private readonly IssuerSource _issuers;
    private readonly TokenValidation _tokens;
    private readonly SourceBound _sources;
    private ListenerHost? _grpc;
    private ListenerHost? _admin;

    private IdentityServer(IdentitySettings settings, TimeProvider time, ILoggerFactory logs)
    {
        _settings = settings;
        _time = time;
        _logs = logs;
        _log = logs.CreateLogger<IdentityServer>();
        _sources = new SourceBound(settings.MaxConnectionsPerSource);
        Metrics = new IdentityMetrics();
        Feed = new BundleFeed(settings.TrustDomain);
        Streams = new BundleStreams(settings.MaxBundleStreams, settings.MaxBundleStreamsPerId);
        _anchors = new AnchorSource(settings.TrustDomain, settings.AnchorsFile, time, logs.CreateLogger<AnchorSource>());
        var policy = IssuancePolicy.Create(settings.Lifetime, clockSkew: settings.ClockSkew);
        _issuers = new IssuerSource(settings.IssuerDirectory, _anchors, policy, settings.AnchorRule, time, logs.CreateLogger<IssuerSource>());
        _tokens = TokenValidation.Create(settings, time, logs);
        Names = new LinkerdName(settings.TrustDomain, settings.ControlPlaneNamespace);
        Own = new OwnSvid(settings.OwnId, Names, Issuer, time, logs.CreateLogger<OwnSvid>());
        Readiness = new Readiness(IsStopping, IssuerUsable, AnchorsLoaded, TokensJudged, OwnCertificateValid);
    }

    public IPEndPoint Address => _grpc!.Address;

    public IPEndPoint AdminAddress => _admin!.Address;

    public IdentityMetrics Metrics { get; }

    public BundleFeed Feed { get; }

    public BundleStreams Streams { get; }

    public OwnSvid Own { get; }

    public LinkerdName Names { get; }

    public Readiness Readiness { get; }

    public Task<Exception> Failed { get; private set; } = new TaskCompletionSource<Exception>().Task;

    /// <summary>Loads what there is, signs the service's own certificate if that is possible yet, then opens the ports.</summary>
    /// <exception cref="CannotListenException">A port cannot be had.</exception>
    public static async Task<IdentityServer> StartAsync(IdentitySettings settings, TimeProvider time, ILoggerFactory logs, CancellationToken ct)
    {
        var server = new IdentityServer(settings, time, logs);
        try
        {
            server.Follow();
            await server.ListenAsync(ct);
            return server;
        }
        catch
        {
            await server.DisposeAsync();
            throw;
        }
    }

    public async Task<int> StopAsync()
    {
        await _stopping.CancelAsync();
        _health.Shutdown();
        var cut = await _grpc!.StopAsync(_settings.ShutdownGracePeriod, _time);
        // Last, so that a probe sees "stopping" and not a closed port for as long as calls are served.
        await _admin!.StopAsync(TimeSpan.FromSeconds(1), _time);
        return cut;
    }

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        await _life.CancelAsync();
        foreach (var task in _background) await task.ContinueWith(static _ => { }, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        if (_grpc is not null) await _grpc.DisposeAsync();
        if (_admin is not null) await _admin.DisposeAsync();
        _issuers.Dispose();
        _anchors.Dispose();
        _tokens.Dispose();
        _stopping.Dispose();
        _life.Dispose();
    }

    private SvidIssuer? Issuer() => _issuers.Current.Issuer;

    private void Follow()
    {
        _anchors.Changed += state => Publish(state.Bundle);
        _issuers.Changed += _ => Own.IssuerChanged();
        Publish(_anchors.Current.Bundle);
        Own.RenewIfDue();
        _background.AddRange(
            [_anchors.RunAsync(_life.Token), _issuers.RunAsync(_life.Token), _tokens.Validator.RunAsync(_life.Token), Own.RunAsync(_life.Token), new HealthReport(Readiness, _health, _time).RunAsync(_life.Token)]);
    }

    private void Publish(TrustBundle? bundle)
    {
        if (bundle is not null) Feed.Publish(bundle, renewal: null);
    }

    private async Task ListenAsync(CancellationToken ct)
    {
        var streams = new StreamsPage(Streams, Feed, _time);
        var pages = new Dictionary<string, Action<Utf8JsonWriter>> { ["/streams"] = streams.WriteTo };
        var admin = new AdminPages(Readiness, WriteMetrics, pages.ToFrozenDictionary(), _time);
        _admin = await ListenerHost.StartAsync(
            IdentitySettings.AdminKey, _settings.Admin, services => { }, ServerBounds.ForAdmin, listen => listen.Protocols = HttpProtocols.Http1, app => app.Run(admin.AnswerAsync), _logs, ct);

        var tls = new ServerTls(Own, Feed, Metrics, _time, _logs.CreateLogger<ServerTls>());
        _grpc = await ListenerHost.StartAsync(
            IdentitySettings.ListenKey,
            _settings.Listen,
            services => services.AddGrpc(options =>
            {
                options.MaxReceiveMessageSize = MaxMessageBytes;
                options.TimeProvider = _time;
            }),
            kestrel =>
            {
                ServerBounds.ForCalls(kestrel, _settings.MaxConnections, 2 * MaxMessageBytes);
                kestrel.Limits.KeepAliveTimeout = _settings.IdleTimeout;
            },
            listen =>
            {
                _sources.Guard(listen);
                listen.Protocols = HttpProtocols.Http2;
                listen.UseGrpcTls(tls.Options());
            },
            MapCalls,
            _logs,
            ct);
        Failed = FirstFailureAsync();
    }

    private void MapCalls(WebApplication app)
    {
        var certification = new Certification(_tokens.Validator, Issuer, _settings.TrustDomain, Names, Metrics, _time);
        app.MapGrpcService(new CertifyEndpoint(certification, _settings.MaxPendingCertify, Metrics, _time, _logs.CreateLogger<CertifyEndpoint>()));
        app.MapGrpcService(new TrustEndpoint(Feed, Streams, Metrics, _time, _logs.CreateLogger<TrustEndpoint>(), _stopping.Token));
        app.MapGrpcService(_health);
        app.MapGrpcReflectionService();
    }

    private async Task<Exception> FirstFailureAsync()
    {
        var first = await Task.WhenAny([_grpc!.Failed, _admin!.Failed, .. _background]);
        if (_life.IsCancellationRequested) await Task.Delay(Timeout.Infinite, CancellationToken.None);
        if (first is Task<Exception> listener) return await listener;
        return first.Exception?.InnerException ?? new InvalidOperationException("A part of the service that should not end has ended.");
    }
}
