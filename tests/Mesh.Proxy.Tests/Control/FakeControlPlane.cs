using System.Collections.Immutable;
using System.Net;
using System.Net.Security;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Threading.Channels;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Grpc.Core;
using Mesh.Protocol.Destination;
using Mesh.Protocol.Identity;
using Mesh.Protocol.Outbound;
using Mesh.Protocol.Trust;
using Mesh.Proxy.Settings;
using Mesh.Spiffe;
using Mesh.Testing;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.AspNetCore.Server.Kestrel.Https;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace Mesh.Proxy.Tests.Control;

/// <summary>Identity and discovery on a real gRPC server on loopback, which answers as a test tells it to, and can go away and come back at the same address.</summary>
internal sealed class FakeControlPlane : IAsyncDisposable
{
    public static readonly SpiffeId ServiceId = SpiffeId.Parse("spiffe://example.org/ns/mesh/sa/mesh-identity");

    private readonly List<WebApplication> _servers = [];
    private WebApplication? _server;

    public FakeControlPlane()
    {
        Authority = TestAuthority.CreateRoot().CreateIntermediate();
        Service = Authority.CreateSvid(ServiceId);
        Certify = (request, _) => Task.FromResult(Issue(request));
    }

    /// <summary>Issues to proxies, and the first certificate of the service. A test may replace it: that is a rotation.</summary>
    public TestAuthority Authority { get; set; }

    /// <summary>What the service proves itself with.</summary>
    public X509Svid Service { get; set; }

    /// <summary>Anchors by which the service judges proxies; null takes those of <see cref="Authority"/>.</summary>
    public TrustBundle? ClientAnchors { get; set; }

    public TimeSpan Life { get; set; } = TimeSpan.FromHours(1);

    public int Port { get; private set; }

    public HostPort Address => HostPort.Parse($"127.0.0.1:{Port}");

    public List<CertifyRequest> CertifyRequests { get; } = [];

    public Func<CertifyRequest, ServerCallContext, Task<CertifyResponse>> Certify { get; set; }

    /// <summary>Every bundle stream that was opened, in order.</summary>
    public Channel<BundleSession> BundleStreams { get; } = System.Threading.Channels.Channel.CreateUnbounded<BundleSession>();

    /// <summary>Every discovery stream that was opened, in order.</summary>
    public Channel<DiscoverySession<Update>> Gets { get; } = System.Threading.Channels.Channel.CreateUnbounded<DiscoverySession<Update>>();

    public Channel<DiscoverySession<DestinationProfile>> Profiles { get; } = System.Threading.Channels.Channel.CreateUnbounded<DiscoverySession<DestinationProfile>>();

    /// <summary>Every stream of routes that was opened, in order. Null: the service does not know the call.</summary>
    public Channel<StreamSession<TrafficSpec, OutboundPolicy>>? Policies { get; set; } = System.Threading.Channels.Channel.CreateUnbounded<StreamSession<TrafficSpec, OutboundPolicy>>();

    public async Task StartAsync()
    {
        WebApplicationBuilder builder = WebApplication.CreateSlimBuilder();
        builder.Logging.ClearProviders();
        builder.Services.AddGrpc();
        builder.WebHost.ConfigureKestrel(kestrel => kestrel.Listen(IPAddress.Loopback, Port, listen =>
        {
            listen.Protocols = HttpProtocols.Http2;
            listen.UseHttps(new TlsHandshakeCallbackOptions
            {
                OnConnection = context =>
                {
                    SslServerAuthenticationOptions options = SvidTls.Server(
                        Service, new TrustBundleSet(ClientAnchors ?? Authority.Bundle), ClientCertificates.Optional, TimeProvider.System, v => Seen(context.Connection, v));
                    options.ApplicationProtocols = [SslApplicationProtocol.Http2];
                    return ValueTask.FromResult(options);
                },
            });
        }));
        WebApplication server = builder.Build();
        server.MapGrpcService(Definition());
        await server.StartAsync();
        Port = new Uri(server.Urls.Single()).Port;
        _servers.Add(_server = server);
    }

    /// <summary>Goes away: connections are cut.</summary>
    public async Task StopAsync()
    {
        using var now = new CancellationTokenSource();
        await now.CancelAsync();
        await _server!.StopAsync(now.Token);
        await _server.DisposeAsync();
        _servers.Remove(_server);
    }

    public CertifyResponse Issue(CertifyRequest request)
    {
        DateTimeOffset now = DateTimeOffset.UtcNow;
        PublicKey key = CertificateRequest.LoadSigningRequest(request.CertificateSigningRequest.ToByteArray(), HashAlgorithmName.SHA256).PublicKey;
        ImmutableArray<Certificate> chain = Authority.Issue(SpiffeId.Parse(request.Identity), key, now - TimeSpan.FromSeconds(20), now + Life);
        var response = new CertifyResponse { LeafCertificate = ByteString.CopyFrom(chain[0].Der.Span), ValidUntil = Timestamp.FromDateTimeOffset(chain[0].NotAfter) };
        response.IntermediateCertificates.AddRange(chain.Skip(1).Select(c => ByteString.CopyFrom(c.Der.Span)));
        return response;
    }

    public BundleUpdate Update(ulong sequence, params TestAuthority[] authorities)
    {
        var update = new BundleUpdate { TrustDomain = "example.org", Sequence = sequence };
        update.Anchors.AddRange(authorities.Select(a => ByteString.CopyFrom(a.Root.Certificate.Der.Span)));
        return update;
    }

    public async Task<BundleSession> NextBundleStreamAsync() => await BundleStreams.Reader.ReadAsync().AsTask().WaitAsync(Patience);

    public async Task<DiscoverySession<Update>> NextGetAsync() => await Gets.Reader.ReadAsync().AsTask().WaitAsync(Patience);

    public async Task<StreamSession<TrafficSpec, OutboundPolicy>> NextPolicyAsync() => await Policies!.Reader.ReadAsync().AsTask().WaitAsync(Patience);

    public static TimeSpan Patience { get; } = TimeSpan.FromSeconds(30);

    public async ValueTask DisposeAsync()
    {
        foreach (WebApplication server in _servers.ToArray())
        {
            _server = server;
            await StopAsync();
        }
    }

    private static void Seen(Microsoft.AspNetCore.Connections.ConnectionContext connection, SvidVerdict verdict)
    {
        if (verdict.IsValid) connection.Features.Set(verdict);
    }

    private ServerServiceDefinition Definition() => ServerServiceDefinition.CreateBuilder()
        .AddMethod(Method<CertifyRequest, CertifyResponse>(MethodType.Unary, "io.linkerd.proxy.identity.Identity", "Certify", CertifyRequest.Parser, CertifyResponse.Parser), CertifyAsync)
        .AddMethod(Method<BundleStatus, BundleUpdate>(MethodType.DuplexStreaming, "mesh.trust.v1.Trust", "StreamBundles", BundleStatus.Parser, BundleUpdate.Parser), StreamBundlesAsync)
        .AddMethod(Method<GetDestination, Update>(MethodType.ServerStreaming, "io.linkerd.proxy.destination.Destination", "Get", GetDestination.Parser, Protocol.Destination.Update.Parser), GetAsync)
        .AddMethod(
            Method<GetDestination, DestinationProfile>(MethodType.ServerStreaming, "io.linkerd.proxy.destination.Destination", "GetProfile", GetDestination.Parser, DestinationProfile.Parser),
            GetProfileAsync)
        .AddMethod(Method<TrafficSpec, OutboundPolicy>(MethodType.ServerStreaming, "io.linkerd.proxy.outbound.OutboundPolicies", "Watch", TrafficSpec.Parser, OutboundPolicy.Parser), WatchPolicyAsync)
        .Build();

    private Task<CertifyResponse> CertifyAsync(CertifyRequest request, ServerCallContext context)
    {
        lock (CertifyRequests) CertifyRequests.Add(request);
        return Certify(request, context);
    }

    private async Task StreamBundlesAsync(IAsyncStreamReader<BundleStatus> statuses, IServerStreamWriter<BundleUpdate> updates, ServerCallContext context)
    {
        var session = new BundleSession(statuses, updates, Peer(context), context.CancellationToken);
        await BundleStreams.Writer.WriteAsync(session, context.CancellationToken);
        await session.RunAsync();
    }

    private Task GetAsync(GetDestination request, IServerStreamWriter<Update> updates, ServerCallContext context) => DiscoverAsync(Gets, request, updates, context);

    private Task GetProfileAsync(GetDestination request, IServerStreamWriter<DestinationProfile> updates, ServerCallContext context) => DiscoverAsync(Profiles, request, updates, context);

    private static async Task DiscoverAsync<T>(Channel<DiscoverySession<T>> sessions, GetDestination request, IServerStreamWriter<T> updates, ServerCallContext context)
    {
        var session = new DiscoverySession<T>(request, updates, Peer(context), context.CancellationToken);
        await sessions.Writer.WriteAsync(session, context.CancellationToken);
        await session.RunAsync();
    }

    private async Task WatchPolicyAsync(TrafficSpec request, IServerStreamWriter<OutboundPolicy> updates, ServerCallContext context)
    {
        if (Policies is not { } sessions) throw new RpcException(new Status(StatusCode.Unimplemented, "not here"));
        var session = new StreamSession<TrafficSpec, OutboundPolicy>(request, updates, Peer(context), context.CancellationToken);
        await sessions.Writer.WriteAsync(session, context.CancellationToken);
        await session.RunAsync();
    }

    private static SvidVerdict? Peer(ServerCallContext context) => context.GetHttpContext().Features.Get<SvidVerdict>();

    private static Method<TRequest, TResponse> Method<TRequest, TResponse>(MethodType type, string service, string name, MessageParser<TRequest> requests, MessageParser<TResponse> responses)
        where TRequest : IMessage<TRequest>
        where TResponse : IMessage<TResponse> =>
        new(type, service, name, Marshallers.Create(m => m.ToByteArray(), requests.ParseFrom), Marshallers.Create(m => m.ToByteArray(), responses.ParseFrom));
}

/// <summary>One bundle stream, seen from the service.</summary>
internal sealed class BundleSession(IAsyncStreamReader<BundleStatus> statuses, IServerStreamWriter<BundleUpdate> updates, SvidVerdict? peer, CancellationToken gone)
{
    private readonly Channel<BundleStatus> _received = System.Threading.Channels.Channel.CreateUnbounded<BundleStatus>();
    private readonly TaskCompletionSource _end = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>Who opened it, by certificate.</summary>
    public SvidVerdict? Peer { get; } = peer;

    /// <summary>Fires when the proxy has gone.</summary>
    public CancellationToken Gone { get; } = gone;

    public Task PushAsync(BundleUpdate update) => updates.WriteAsync(update, Gone);

    /// <summary>The first status from now on that fits.</summary>
    public async Task<BundleStatus> StatusAsync(Func<BundleStatus, bool> fits)
    {
        using var patience = new CancellationTokenSource(FakeControlPlane.Patience);
        while (true)
        {
            BundleStatus status = await _received.Reader.ReadAsync(patience.Token);
            if (fits(status)) return status;
        }
    }

    /// <summary>Ends the stream with a status of the service's choice.</summary>
    public void End(StatusCode code = StatusCode.OK)
    {
        if (code == StatusCode.OK) _end.TrySetResult();
        else _end.TrySetException(new RpcException(new Status(code, "ended by the test")));
    }

    internal async Task RunAsync()
    {
        using CancellationTokenRegistration registration = Gone.Register(() => _end.TrySetResult());
        Task reading = ReadAsync();
        try
        {
            await _end.Task;
        }
        finally
        {
            _received.Writer.TryComplete();
        }

        // The reader ends with the call.
        _ = reading.ContinueWith(t => t.Exception, TaskScheduler.Default);
    }

    private async Task ReadAsync()
    {
        while (await statuses.MoveNext(Gone)) _received.Writer.TryWrite(statuses.Current);
    }
}

/// <summary>One discovery stream, seen from the service.</summary>
internal sealed class DiscoverySession<T>(GetDestination request, IServerStreamWriter<T> updates, SvidVerdict? peer, CancellationToken gone)
    : StreamSession<GetDestination, T>(request, updates, peer, gone);

/// <summary>One stream of answers, seen from the service.</summary>
internal class StreamSession<TRequest, T>(TRequest request, IServerStreamWriter<T> updates, SvidVerdict? peer, CancellationToken gone)
{
    private readonly TaskCompletionSource _end = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public TRequest Request { get; } = request;

    public SvidVerdict? Peer { get; } = peer;

    public CancellationToken Gone { get; } = gone;

    public Task PushAsync(T update) => updates.WriteAsync(update, Gone);

    public void End(StatusCode code = StatusCode.OK)
    {
        if (code == StatusCode.OK) _end.TrySetResult();
        else _end.TrySetException(new RpcException(new Status(code, "ended by the test")));
    }

    internal async Task RunAsync()
    {
        using CancellationTokenRegistration registration = Gone.Register(() => _end.TrySetResult());
        await _end.Task;
    }
}
