using System.Collections.Frozen;
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
    private readonly ProxyMetrics _metrics;
    private readonly string _target;
    private FrozenDictionary<string, string> _labels;
    private Upstream? _http1;
    private Upstream? _http2;

    /// <param name="endpoint">As discovery describes it.</param>
    /// <param name="labels">Of the set that it is in.</param>
    /// <param name="target">Of the destination, for metrics.</param>
    /// <param name="set">Where its connections are held.</param>
    /// <param name="dialer">Makes them.</param>
    /// <param name="metrics">Counts requests and bytes.</param>
    public HttpEndpoint(Endpoint endpoint, FrozenDictionary<string, string> labels, string target, UpstreamSet set, EndpointDialer dialer, ProxyMetrics metrics)
    {
        (Endpoint, _labels, _target, _set, _dialer, _metrics) = (endpoint, labels, target, set, dialer, metrics);
        Peer = endpoint.Identity is { } identity ? new PeerIdentity.Verified(identity.Id) : new PeerIdentity.Absent(AbsentReason.NotProvidedByDiscovery);
        _counters = metrics.Tcp(new TcpLabels(Direction.Outbound, TcpSide.Destination, target, Peer));
        Name = endpoint.Address.ToString();
        Requests = Counters();
        AuthorityOverride = Override();
    }

    public Endpoint Endpoint { get; private set; }

    public PeerIdentity Peer { get; }

    /// <summary>Its address, for the access log.</summary>
    public string Name { get; }

    public HttpCounters Requests { get; private set; }

    public byte[]? AuthorityOverride { get; private set; }

    /// <summary>HTTP/1 requests travel as HTTP/2 and are restored by the proxy there.</summary>
    public bool TakesHttp1AsHttp2 => Endpoint is { Identity: not null, Protocol: ProtocolHint.Http2 };

    /// <summary>It could not be reached a short while ago.</summary>
    public bool IsBackingOff => (_http1?.IsBackingOff ?? false) || (_http2?.IsBackingOff ?? false);

    /// <summary>Takes over what may change while the way to it and its identity stay.</summary>
    public void Describe(Endpoint endpoint, FrozenDictionary<string, string> labels)
    {
        if (ReferenceEquals(endpoint, Endpoint) && ReferenceEquals(labels, _labels)) return;
        (Endpoint, _labels) = (endpoint, labels);
        Requests = Counters();
        AuthorityOverride = Override();
    }

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

    private HttpCounters Counters() => _metrics.Http(new HttpLabels(Direction.Outbound, _target, Peer, EndpointLabels.Of(Endpoint.Labels, _labels)));

    private byte[]? Override() => Endpoint.AuthorityOverride is { } authority ? Encoding.ASCII.GetBytes(authority) : null;

    private ValueTask<Dialled> DialAsync(SessionKind session, CancellationToken stop) => _dialer.DialAsync(Endpoint, session, _ => { }, stop);
}
