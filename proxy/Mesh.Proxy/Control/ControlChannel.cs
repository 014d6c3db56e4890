using System.Net;
using System.Net.Http.Headers;
using System.Net.Security;
using System.Net.Sockets;
using Google.Protobuf;
using Mesh.Grpc.Wire;
using Mesh.Proxy.Settings;
using Mesh.Spiffe;

namespace Mesh.Proxy.Control;

/// <summary>
/// gRPC to one service of the control plane: HTTP/2 over TLS 1.3, where the server must prove a SPIFFE ID; to a collector that has none,
/// in plaintext. Connections are made when a call needs one and carry many calls. This class and <see cref="GrpcStream{TRequest,TResponse}"/> are all that knows how bytes travel.
/// </summary>
internal sealed class ControlChannel : IDisposable
{
    /// <summary>The largest message accepted: thousands of endpoints, or far more anchors than anyone has.</summary>
    public const int MaxMessage = 4 * 1024 * 1024;

    private static readonly MediaTypeHeaderValue Grpc = new("application/grpc");
    private readonly Lock _lock = new();
    private readonly Uri _base;
    private readonly HostPort _address;
    private readonly SpiffeId? _server;
    private readonly string _serverName;
    private readonly Func<X509Svid?> _svid;
    private readonly ITrustBundleSource _bundles;
    private readonly TimeProvider _time;
    private (X509Svid? Svid, HttpMessageInvoker Http)? _connections;

    /// <param name="address">Where the service listens; names are resolved again for every connection.</param>
    /// <param name="server">The identity that the service must prove.</param>
    /// <param name="serverName">The name sent as SNI.</param>
    /// <param name="svid">The certificate to present, asked for at every call; null presents none. A call never travels on a connection that was made with another.</param>
    /// <param name="bundles">Anchors to judge the service by, asked for at every connection.</param>
    /// <param name="time">The clock for deadlines and for the judgement.</param>
    public ControlChannel(HostPort address, SpiffeId server, string serverName, Func<X509Svid?> svid, ITrustBundleSource bundles, TimeProvider time)
    {
        (_address, _server, _serverName, _svid, _bundles, _time) = (address, server, serverName, svid, bundles, time);
        _base = new Uri($"https://{address}");
    }

    private ControlChannel(HostPort address, TimeProvider time)
    {
        (_address, _serverName, _svid, _bundles, _time) = (address, address.Host, () => null, TrustBundleSet.Empty, time);
        _base = new Uri($"http://{address}");
    }

    /// <summary>Without TLS: for what is no secret and decides nothing.</summary>
    public static ControlChannel Plaintext(HostPort address, TimeProvider time) => new(address, time);

    /// <summary>One request, one response, within <paramref name="timeout"/>.</summary>
    /// <exception cref="GrpcCallException">The call failed, or took too long.</exception>
    public async Task<TResponse> CallAsync<TRequest, TResponse>(string path, TRequest request, MessageParser<TResponse> parser, TimeSpan timeout, CancellationToken ct)
        where TRequest : IMessage
        where TResponse : class, IMessage<TResponse>
    {
        using var late = new CancellationTokenSource(timeout, _time);
        using var either = CancellationTokenSource.CreateLinkedTokenSource(ct, late.Token);
        try
        {
            await using GrpcStream<TRequest, TResponse> stream = await StartAsync<TRequest, TResponse>(path, Whole(request), null, parser, timeout, either.Token);
            TResponse response = await stream.ReadAsync(either.Token) ?? throw new GrpcCallException(GrpcStatusCode.Internal, "the server ended the call without a response");
            if (await stream.ReadAsync(either.Token) is not null) throw new GrpcCallException(GrpcStatusCode.Internal, "the server sent more than one response");
            return response;
        }
        catch (OperationCanceledException) when (!ct.IsCancellationRequested)
        {
            throw new GrpcCallException(GrpcStatusCode.DeadlineExceeded, "the server did not answer in time");
        }
    }

    /// <summary>One request, any number of responses. Returns when the server has begun to answer.</summary>
    /// <exception cref="GrpcCallException">The call failed before that.</exception>
    public Task<GrpcStream<TRequest, TResponse>> SubscribeAsync<TRequest, TResponse>(string path, TRequest request, MessageParser<TResponse> parser, CancellationToken ct)
        where TRequest : IMessage
        where TResponse : class, IMessage<TResponse> =>
        StartAsync<TRequest, TResponse>(path, Whole(request), null, parser, null, ct);

    /// <summary>Messages both ways; <paramref name="first"/> is sent at once. Returns when the server has begun to answer.</summary>
    /// <exception cref="GrpcCallException">The call failed before that.</exception>
    public Task<GrpcStream<TRequest, TResponse>> ConverseAsync<TRequest, TResponse>(string path, TRequest first, MessageParser<TResponse> parser, CancellationToken ct)
        where TRequest : IMessage
        where TResponse : class, IMessage<TResponse>
    {
        var requests = new GrpcRequestStream(GrpcRequestStream.Frame(first));
        return StartAsync<TRequest, TResponse>(path, requests, requests, parser, null, ct);
    }

    public void Dispose()
    {
        lock (_lock) _connections?.Http.Dispose();
    }

    // A service ends the calls of a connection whose client certificate has expired, so a renewed certificate needs new connections.
    // Those of the old one carry their calls to the end, and close when they are idle.
    private HttpMessageInvoker Connections()
    {
        X509Svid? svid = _svid();
        lock (_lock)
        {
            if (_connections is { } connections && ReferenceEquals(connections.Svid, svid)) return connections.Http;
            _connections = (svid, new HttpMessageInvoker(Handler(svid)));
            return _connections.Value.Http;
        }
    }

    private SocketsHttpHandler Handler(X509Svid? svid) => new()
    {
        // The environment's HTTP proxy is for applications, and is a way out of the mesh.
        UseProxy = false,
        AllowAutoRedirect = false,
        UseCookies = false,
        ActivityHeadersPropagator = null,
        ConnectTimeout = TimeSpan.FromSeconds(5),
        ConnectCallback = (_, ct) => ConnectAsync(svid, ct),
        // A server limits streams per connection; discovery has one stream per destination.
        EnableMultipleHttp2Connections = true,
        KeepAlivePingDelay = TimeSpan.FromSeconds(20),
        KeepAlivePingTimeout = TimeSpan.FromSeconds(10),
        KeepAlivePingPolicy = HttpKeepAlivePingPolicy.WithActiveRequests,
        PooledConnectionIdleTimeout = TimeSpan.FromSeconds(15),
        // New calls find new replicas.
        PooledConnectionLifetime = TimeSpan.FromMinutes(30),
        MaxResponseHeadersLength = 16,
    };

    private async Task<GrpcStream<TRequest, TResponse>> StartAsync<TRequest, TResponse>(
        string path, HttpContent content, GrpcRequestStream? requests, MessageParser<TResponse> parser, TimeSpan? timeout, CancellationToken ct)
        where TRequest : IMessage
        where TResponse : class, IMessage<TResponse>
    {
        content.Headers.ContentType = Grpc;
        var request = new HttpRequestMessage(HttpMethod.Post, new Uri(_base, path))
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Content = content,
        };
        request.Headers.TE.Add(new TransferCodingWithQualityHeaderValue("trailers"));
        request.Headers.UserAgent.Add(new ProductInfoHeaderValue("mesh-proxy", "1"));
        if (timeout is { } limit) request.Headers.Add("grpc-timeout", GrpcTimeout.Format(limit));
        try
        {
            HttpResponseMessage response = await Connections().SendAsync(request, ct);
            return await GrpcStream<TRequest, TResponse>.StartAsync(request, response, requests, parser, ct);
        }
        catch (Exception e) when (e is HttpRequestException or IOException)
        {
            request.Dispose();
            throw GrpcFailures.From(e);
        }
        catch
        {
            request.Dispose();
            throw;
        }
    }

    private static ByteArrayContent Whole(IMessage message) => new(GrpcRequestStream.Frame(message));

    // The handler would judge the server by its own rules: the TLS session is made here, by the only rules there are.
    private async ValueTask<Stream> ConnectAsync(X509Svid? svid, CancellationToken ct)
    {
        var socket = new Socket(SocketType.Stream, ProtocolType.Tcp) { NoDelay = true };
        SslStream? tls = null;
        SvidVerdict? verdict = null;
        try
        {
            if (_address.Address is { } ip) await socket.ConnectAsync(ip, _address.Port, ct);
            else await socket.ConnectAsync(_address.Host, _address.Port, ct);
            if (_server is not { } server) return new NetworkStream(socket, ownsSocket: true);
            SslClientAuthenticationOptions options = SvidTls.Client(() => svid, _bundles, server, _serverName, _time, v => verdict = v);
            options.ApplicationProtocols = [SslApplicationProtocol.Http2];
            tls = new SslStream(new NetworkStream(socket, ownsSocket: true));
            await tls.AuthenticateAsClientAsync(options, ct);
            if (tls.NegotiatedApplicationProtocol != SslApplicationProtocol.Http2) throw new IOException("the server does not speak HTTP/2");
            return tls;
        }
        catch (Exception e)
        {
            if (tls is null) socket.Dispose();
            else await tls.DisposeAsync();
            if (verdict is { IsValid: false } refused) throw new ServerRefusedException(refused, e);
            // A name that is no name is an argument error to the socket; to us it is a server that cannot be reached.
            if (e is ArgumentException) throw new IOException(e.Message, e);
            throw;
        }
    }
}
