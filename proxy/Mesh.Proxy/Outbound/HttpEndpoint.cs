using System.Text;
using Mesh.Proxy.Connections;
using Mesh.Proxy.Detect;
using Mesh.Proxy.Discovery;
using Mesh.Proxy.Http;
using Mesh.Proxy.Http.Http2;
using Mesh.Proxy.Metrics;
using Mesh.Proxy.Policy;
using Mesh.Proxy.Upstreams;

namespace Mesh.Proxy.Outbound;

/// <summary>
/// One endpoint of discovery and the connections to it: one HTTP/2 connection for everything when its proxy takes that, else one kind per version.
/// Lives on the loop.
/// </summary>
internal sealed class HttpEndpoint : IDisposable
{
    private readonly UpstreamSet _set;
    private readonly EndpointDialer _dialer;
    private readonly TcpCounters _counters;
    private Upstream? _http1;
    private Upstream? _http2;

    public HttpEndpoint(Endpoint endpoint, EndpointLabels labels, string target, UpstreamSet set, EndpointDialer dialer, ProxyMetrics metrics)
    {
        (Endpoint, _set, _dialer) = (endpoint, set, dialer);
        Peer = endpoint.Identity is { } identity ? new PeerIdentity.Verified(identity.Id) : new PeerIdentity.Absent(AbsentReason.NotProvidedByDiscovery);
        _counters = metrics.Tcp(new TcpLabels(Direction.Outbound, TcpSide.Destination, target, Peer));
        Requests = metrics.Http(new HttpLabels(Direction.Outbound, target, Peer, labels));
        Name = endpoint.Address.ToString();
        AuthorityOverride = endpoint.AuthorityOverride is { } authority ? Encoding.ASCII.GetBytes(authority) : null;
    }

    public Endpoint Endpoint { get; }

    public PeerIdentity Peer { get; }

    /// <summary>Its address, for the access log.</summary>
    public string Name { get; }

    public HttpCounters Requests { get; }

    public byte[]? AuthorityOverride { get; }

    /// <summary>HTTP/1 requests travel as HTTP/2 and are restored by the proxy there.</summary>
    public bool TakesHttp1AsHttp2 => Endpoint is { Identity: not null, Protocol: ProtocolHint.Http2 };

    /// <summary>Requests under way.</summary>
    public int Pending => (_http1?.Pending ?? 0) + (_http2?.Pending ?? 0);

    /// <summary>It could not be reached a short while ago.</summary>
    public bool IsBackingOff => (_http1?.IsBackingOff ?? false) || (_http2?.IsBackingOff ?? false);

    /// <summary>The connections that take a request with this head.</summary>
    public Upstream For(in MessageHead head)
    {
        var needsHttp1 = head.Version != HttpVersion.Http2 && (!TakesHttp1AsHttp2 || head.IsUpgrade || head.Method == RequestMethod.Connect);
        if (needsHttp1) return _http1 ??= new Http1Upstream(_set, stop => DialAsync(SessionKind.Http1, stop), _counters);
        return _http2 ??= new Http2Upstream(_set, stop => DialAsync(SessionKind.Http2, stop), _counters, new Http2Options
        {
            Role = Http2Role.Client,
            // Linkerd's: a peer that is gone without a word is noticed, and requests go elsewhere.
            KeepAliveInterval = TimeSpan.FromSeconds(10),
        });
    }

    public void Dispose()
    {
        _http1?.Dispose();
        _http2?.Dispose();
    }

    private ValueTask<Dialled> DialAsync(SessionKind session, CancellationToken stop) => _dialer.DialAsync(Endpoint, session, _ => { }, stop);
}
