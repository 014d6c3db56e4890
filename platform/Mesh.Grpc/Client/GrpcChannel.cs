using System.Collections.Concurrent;
using Grpc.Core;
using Mesh.Grpc.Client;

namespace Grpc.Net.Client;

/// <summary>A server, and the connections to it. Make one and share it: all its calls travel on one HTTP/2 connection.</summary>
public sealed class GrpcChannel : ChannelBase, IDisposable
{
    private readonly ConcurrentDictionary<string, Uri> _addresses = new(StringComparer.Ordinal);
    private readonly CancellationTokenSource _closed = new();
    private readonly Uri _address;
    private int _disposed;

    private GrpcChannel(Uri address, GrpcChannelOptions options) : base(address.Authority)
    {
        _address = address;
        var handler = options.HttpHandler ?? DefaultHandler();
        Invoker = new HttpMessageInvoker(handler, disposeHandler: options.HttpHandler is null || options.DisposeHttpClient);
        MaxReceiveMessageSize = options.MaxReceiveMessageSize ?? int.MaxValue;
        MaxSendMessageSize = options.MaxSendMessageSize ?? int.MaxValue;
        Time = options.TimeProvider;
        Closed = _closed.Token;
    }

    internal HttpMessageInvoker Invoker { get; }
    internal int MaxReceiveMessageSize { get; }
    internal int MaxSendMessageSize { get; }
    internal TimeProvider Time { get; }
    internal CancellationToken Closed { get; }

    /// <param name="address"><c>http://</c> (HTTP/2 without TLS) or <c>https://</c>, host and port.</param>
    public static GrpcChannel ForAddress(string address) => ForAddress(address, new GrpcChannelOptions());

    public static GrpcChannel ForAddress(string address, GrpcChannelOptions channelOptions) => ForAddress(new Uri(address), channelOptions);

    public static GrpcChannel ForAddress(Uri address) => ForAddress(address, new GrpcChannelOptions());

    /// <exception cref="ArgumentException">The address is neither <c>http</c> nor <c>https</c>.</exception>
    public static GrpcChannel ForAddress(Uri address, GrpcChannelOptions channelOptions)
    {
        ArgumentNullException.ThrowIfNull(address);
        ArgumentNullException.ThrowIfNull(channelOptions);
        if (address.Scheme is not ("http" or "https")) throw new ArgumentException("A channel's address is http:// or https://.", nameof(address));
        return new GrpcChannel(address, channelOptions);
    }

    public override CallInvoker CreateCallInvoker() => new HttpCallInvoker(this);

    /// <summary>Cancels the calls that have not ended and closes the connections.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, 1) != 0) return;
        _closed.Cancel();
        Invoker.Dispose();
        _closed.Dispose();
    }

    internal Uri AddressOf(IMethod method)
    {
        ObjectDisposedException.ThrowIf(_disposed != 0, this);
        return _addresses.TryGetValue(method.FullName, out var address) ? address : _addresses.GetOrAdd(method.FullName, new Uri(_address, method.FullName));
    }

    protected override Task ShutdownAsyncCore()
    {
        Dispose();
        return Task.CompletedTask;
    }

    private static SocketsHttpHandler DefaultHandler() => new()
    {
        EnableMultipleHttp2Connections = true,
        AllowAutoRedirect = false,
        UseProxy = false,
        UseCookies = false,
        ConnectTimeout = TimeSpan.FromSeconds(20),
        KeepAlivePingDelay = TimeSpan.FromSeconds(60),
        KeepAlivePingTimeout = TimeSpan.FromSeconds(20),
        KeepAlivePingPolicy = HttpKeepAlivePingPolicy.WithActiveRequests,
    };
}
