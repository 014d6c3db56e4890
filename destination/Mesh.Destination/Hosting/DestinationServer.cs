using System.Collections.Frozen;
using System.Net.Security;
using System.Security.Authentication;
using System.Text.Json;
using Mesh.Destination.Discovery;
using Mesh.Destination.Services;
using Mesh.Destination.Settings;
using Mesh.Spiffe;
using Mesh.Spiffe.Renewal;
using Microsoft.AspNetCore.Connections;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;

namespace Mesh.Destination.Hosting;

/// <summary>The destination service, put together by hand: what it follows, what it answers, and the order in which it starts and stops.</summary>
internal sealed class DestinationServer : IRunningService
{
    private const int MaxMessageBytes = 16 * 1024;

    private readonly DestinationSettings _settings;
    private readonly TimeProvider _time;
    private readonly ILoggerFactory _logs;
    private readonly CancellationTokenSource _life = new();
    private readonly CancellationTokenSource _stopping = new();
    private readonly ServiceRegister _register = new();
    private readonly DestinationMetrics _metrics = new();
    private readonly ServiceSource _services;
    private readonly OwnIdentity _identity;
    private readonly Readiness _readiness;
    private readonly SourceBound _sources;
    private Task[] _background = [];
    private ListenerHost? _discovery;
    private ListenerHost? _policies;
    private ListenerHost? _admin;

    private DestinationServer(DestinationSettings settings, TimeProvider time, ILoggerFactory logs)
    {
        (_settings, _time, _logs) = (settings, time, logs);
        _services = new ServiceSource(settings.ServicesFile, time, logs.CreateLogger<ServiceSource>());
        _identity = new OwnIdentity(settings, time, logs.CreateLogger<OwnIdentity>());
        _sources = new SourceBound(settings.MaxConnectionsPerSource);
        _readiness = new Readiness(IsStopping, ServicesLoaded, AnchorsLoaded, CertificateValid);
    }

    public System.Net.IPEndPoint Address => _discovery!.Address;

    /// <summary>Null when routes are told at <see cref="Address"/> only.</summary>
    public System.Net.IPEndPoint? PolicyAddress => _policies?.Address;

    public System.Net.IPEndPoint AdminAddress => _admin!.Address;

    public Task<Exception> Failed { get; private set; } = new TaskCompletionSource<Exception>().Task;

    /// <exception cref="CannotListenException">A port cannot be had.</exception>
    public static async Task<DestinationServer> StartAsync(DestinationSettings settings, TimeProvider time, ILoggerFactory logs, CancellationToken ct)
    {
        var server = new DestinationServer(settings, time, logs);
        try
        {
            if (server._services.Current is { } table) server._register.Publish(table);
            server._services.Changed += server._register.Publish;
            server._background = [server._services.RunAsync(server._life.Token), server._identity.RunAsync(server._life.Token)];
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
        var cuts = await Task.WhenAll(
            _discovery!.StopAsync(_settings.ShutdownGracePeriod, _time),
            _policies?.StopAsync(_settings.ShutdownGracePeriod, _time) ?? Task.FromResult(0));
        // Last, so that a probe sees "stopping" and not a closed port for as long as calls are served.
        await _admin!.StopAsync(TimeSpan.FromSeconds(1), _time);
        return cuts.Sum();
    }

    public async ValueTask DisposeAsync()
    {
        await _stopping.CancelAsync();
        await _life.CancelAsync();
        // What a part ended with was told through Failed; here only its end matters.
        foreach (var part in _background) await part.ContinueWith(static _ => { }, CancellationToken.None, TaskContinuationOptions.ExecuteSynchronously, TaskScheduler.Default);
        if (_discovery is not null) await _discovery.DisposeAsync();
        if (_policies is not null) await _policies.DisposeAsync();
        if (_admin is not null) await _admin.DisposeAsync();
        _services.Dispose();
        _identity.Dispose();
        _stopping.Dispose();
        _life.Dispose();
    }

    private async Task ListenAsync(CancellationToken ct)
    {
        var pages = new AdminPages(_readiness, WriteMetrics, FrozenDictionary<string, Action<Utf8JsonWriter>>.Empty, _time);
        _admin = await ListenerHost.StartAsync(
            DestinationSettings.AdminKey, _settings.Admin, services => { }, ServerBounds.ForAdmin, listen => listen.Protocols = HttpProtocols.Http1, app => app.Run(pages.AnswerAsync), _logs, ct);
        var calls = new ProxyCalls(_settings.TrustDomain, _metrics, _time, _stopping.Token);
        var policies = new PolicyEndpoint(_register, calls);
        _discovery = await ServeAsync(DestinationSettings.ListenKey, _settings.Listen, app =>
        {
            app.MapGrpcService(new DestinationEndpoint(_register, calls, _logs.CreateLogger<DestinationEndpoint>()));
            app.MapGrpcService(policies);
        }, ct);
        if (_settings.PolicyListen is { } address) _policies = await ServeAsync(DestinationSettings.PolicyListenKey, address, app => app.MapGrpcService(policies), ct);
        Failed = FirstFailureAsync();
    }

    private Task<ListenerHost> ServeAsync(string setting, System.Net.IPEndPoint address, Action<Microsoft.AspNetCore.Builder.WebApplication> map, CancellationToken ct) => ListenerHost.StartAsync(
        setting,
        address,
        services => services.AddGrpc(options =>
        {
            options.MaxReceiveMessageSize = MaxMessageBytes;
            options.TimeProvider = _time;
        }),
        kestrel => ServerBounds.ForCalls(kestrel, _settings.MaxConnections, 2 * MaxMessageBytes),
        listen =>
        {
            _sources.Guard(listen);
            listen.Protocols = HttpProtocols.Http2;
            listen.UseGrpcTls(new TlsHandshakeCallbackOptions { HandshakeTimeout = TimeSpan.FromSeconds(10), OnConnection = context => ValueTask.FromResult(TlsFor(context.Connection)) });
        },
        map,
        _logs,
        ct);

    // Made anew for every connection, from the certificate and the bundle of that moment.
    private SslServerAuthenticationOptions TlsFor(ConnectionContext connection)
    {
        var svid = _identity.Source.Usable ?? throw new AuthenticationException("The service has no valid certificate.");
        var options = SvidTls.Server(svid, _identity, ClientCertificates.Required, _time, verdict =>
        {
            _metrics.ClientJudged(verdict.IsValid);
            if (verdict.IsValid) connection.Features.Set(new Peer(verdict.Id!, verdict.ValidUntil));
        });
        options.ApplicationProtocols = [SslApplicationProtocol.Http2];
        return options;
    }

    private ReadinessReason? IsStopping(DateTimeOffset now) => _stopping.IsCancellationRequested ? new ReadinessReason("stopping", "The service is stopping.") : null;

    private ReadinessReason? ServicesLoaded(DateTimeOffset now) =>
        _services.Current is null ? new ReadinessReason("services", $"There is nothing to serve: the file of MESH_DESTINATION_SERVICES_FILE is not taken. {_services.Problem}") : null;

    private ReadinessReason? AnchorsLoaded(DateTimeOffset now) =>
        _identity.Bundle is null ? new ReadinessReason("anchors", $"Nobody can be judged: the file of MESH_DESTINATION_TRUST_ANCHORS_FILE is not taken. {_settings.AnchorsFile}: {_identity.Problem}") : null;

    private ReadinessReason? CertificateValid(DateTimeOffset now)
    {
        var status = _identity.Renewal.Status;
        if (status.IsValidAt(now)) return null;
        return new ReadinessReason(
            "own_certificate",
            status.NextAttemptAt is null
                ? $"The first certificate is being asked for at {_settings.IdentityAddress}."
                : $"No valid certificate of its own: {OwnIdentity.Standing(status, now)}. The newest attempt failed: {OwnIdentity.Cause(status)}. {Errand(status.LastFault)}");
    }

    // Where to look first, by what failed.
    private static string Errand(RenewalFault fault) => fault switch
    {
        RenewalFault.NoTrustBundle => "Mend the file of MESH_DESTINATION_TRUST_ANCHORS_FILE.",
        RenewalFault.NoCredential => "Mend the file of MESH_DESTINATION_TOKEN_FILE.",
        RenewalFault.Unavailable => "Is the identity service up, is MESH_DESTINATION_IDENTITY_SVC_ADDR right? Its /ready says why it cannot issue.",
        RenewalFault.TimedOut => "Something is there and does not answer: look at the network's rules and at the identity service's load.",
        RenewalFault.AuthorityNotTrusted or RenewalFault.NotVerifiable => "Compare the anchors with the identity service's own certificate and issuer: mesh identity inspect HOST:PORT.",
        RenewalFault.Refused => "The identity service's log says why; the token's audience and ServiceAccount are the usual suspects.",
        _ => "The identity service's log says more.",
    };

    private void WriteMetrics(PrometheusText text, DateTimeOffset now)
    {
        text.Gauge("mesh_destination_ready", "1 while the service can answer.", _readiness.Judge(now).IsEmpty ? 1 : 0);
        _metrics.WriteTo(text);
        text.Counter("mesh_destination_connections_refused_total", "Connections closed before TLS because their source address had too many.", _sources.Refused);
        text.Gauge("mesh_destination_services", "Services known.", _services.Current?.Services.Length ?? 0);
        text.Gauge("mesh_destination_endpoints", "Endpoints known.", _services.Current?.EndpointCount ?? 0);
        const string updates = "mesh_destination_service_file_updates_total";
        text.Header(updates, "Changes of the service file, by what became of them.", "counter");
        text.Sample(updates, _services.Accepted, ("result", "accepted"));
        text.Sample(updates, _services.Refused, ("result", "refused"));
        if (_identity.Renewal.Status.ExpiresAt is { } expiry)
            text.Gauge("mesh_destination_own_certificate_expiry_timestamp_seconds", "When the service's own certificate expires. Unix time.", expiry.ToUnixTimeSeconds());
        ProcessMetrics.WriteTo(text);
    }

    private async Task<Exception> FirstFailureAsync()
    {
        var first = await Task.WhenAny([_discovery!.Failed, _admin!.Failed, .. _policies is null ? Array.Empty<Task>() : [_policies.Failed], .. _background]);
        if (_life.IsCancellationRequested) await Task.Delay(Timeout.Infinite, CancellationToken.None);
        if (first is Task<Exception> listener) return await listener;
        return first.Exception?.InnerException ?? new InvalidOperationException("A part of the service that should not end has ended.");
    }
}
