using System.Net;
using Mesh.Proxy.Connections;
using Mesh.Proxy.Http;
using Mesh.Proxy.Http.Hpack;
using Mesh.Proxy.Http.Http2;
using Mesh.Proxy.Metrics;
using Mesh.Proxy.Native;
using Mesh.Proxy.Policy;
using Mesh.Proxy.Upstreams;
using HttpVersion = Mesh.Proxy.Http.HttpVersion;

namespace Mesh.Proxy.Inbound;

/// <summary>The connections to the applications of this pod, shared by all who call them. Lives on the loop.</summary>
internal sealed class ApplicationUpstreams(UpstreamSet set, TimeSpan connectTimeout, ProxyMetrics metrics) : IDisposable
{
    // A peer names the port: what it can make us remember is bounded.
    private const int MaxApplications = 64;

    private readonly Dictionary<IPEndPoint, (Upstream Http1, Upstream Http2)> _applications = [];

    /// <summary>The connections to take a request to <paramref name="application"/> in the version it is to have there.</summary>
    public Upstream For(IPEndPoint application, HttpVersion version)
    {
        if (!_applications.TryGetValue(application, out var both))
        {
            if (_applications.Count >= MaxApplications) DropUnused();
            both = Open(application);
            _applications.Add(application, both);
        }

        return version == HttpVersion.Http2 ? both.Http2 : both.Http1;
    }

    public void Dispose()
    {
        foreach (var (http1, http2) in _applications.Values) Drain(http1, http2);
        _applications.Clear();
    }

    private (Upstream Http1, Upstream Http2) Open(IPEndPoint application)
    {
        var counters = metrics.Tcp(new TcpLabels(Direction.Inbound, TcpSide.Destination, application.ToString(), new PeerIdentity.Absent(AbsentReason.Loopback)));
        Dial dial = async stop =>
        {
            var (status, tcp) = await TcpTransport.ConnectAsync(set.Loop, application, connectTimeout, stop);
            return tcp is null ? new Dialled(null, ConnectionEnd.ConnectFailed, $"{status} at {application}") : new Dialled(tcp, default, "");
        };
        var http2 = new Http2Options { Role = Http2Role.Client, Huffman = HuffmanUse.Never };
        return (new Http1Upstream(set, dial, counters), new Http2Upstream(set, dial, counters, http2));
    }

    private void DropUnused()
    {
        foreach (var (application, (http1, http2)) in _applications.ToArray())
        {
            if (http1.Pending + http2.Pending > 0) continue;
            _applications.Remove(application);
            Drain(http1, http2);
        }
    }

    private static void Drain(Upstream http1, Upstream http2)
    {
        http1.Dispose();
        http2.Dispose();
    }
}
