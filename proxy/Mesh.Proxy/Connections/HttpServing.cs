using Mesh.Proxy.Http;
using Mesh.Proxy.Http.Hpack;
using Mesh.Proxy.Http.Http1;
using Mesh.Proxy.Http.Http2;
using Mesh.Proxy.Http.Streams;
using Mesh.Proxy.Metrics;
using Mesh.Proxy.Native;

namespace Mesh.Proxy.Connections;

/// <summary>The last stage of both directions when the client speaks HTTP: serve its requests until it leaves, and say how it ended.</summary>
internal static class HttpServing
{
    private static readonly Http2Options Http2Server = new() { Role = Http2Role.Server, Huffman = HuffmanUse.Never };
    private static readonly Http1Options Http1Server = new();

    /// <param name="connection">Whose end it is.</param>
    /// <param name="client">Where the client's bytes are read.</param>
    /// <param name="protocol">What it was found to speak: HTTP of one of the versions.</param>
    /// <param name="requests">Takes the requests.</param>
    public static async ValueTask ServeAsync(Connection connection, Transport client, DetectedProtocol protocol, IRequestHandler requests)
    {
        var counters = connection.Metrics.Requests.Connections(connection.Direction, TcpSide.Source, protocol == DetectedProtocol.Http2 ? HttpVersion.Http2 : HttpVersion.Http11);
        counters.Opened++;
        try
        {
            await ServeAsync(connection, client, protocol, requests, counters);
        }
        finally
        {
            counters.Closed++;
        }
    }

    private static async ValueTask ServeAsync(Connection connection, Transport client, DetectedProtocol protocol, IRequestHandler requests, HttpConnectionCounters counters)
    {
        if (protocol == DetectedProtocol.Http2)
        {
            var http2 = new Http2Connection(client, Http2Server, requests);
            connection.DrainRequested = http2.BeginDrain;
            var end = await http2.RunAsync();
            if (end.Fault != Http2Fault.None) counters.Faulted(end.Fault);
            connection.EndAs(End(end), end.Fault == Http2Fault.None ? null : Http2Faults.Sentence(end.Fault));
            return;
        }

        var http1 = new Http1ServerConnection(client, requests, Http1Server);
        connection.DrainRequested = http1.BeginDrain;
        var last = await http1.RunAsync();
        if (last.Fault != Http1Fault.None) counters.Faulted(last.Fault);
        connection.EndAs(End(last), last.Fault == Http1Fault.None ? null : Http1Faults.Sentence(last.Fault));
    }

    private static ConnectionEnd End(Http2End end) => end.Kind switch
    {
        Http2EndKind.Closed => ConnectionEnd.Completed,
        Http2EndKind.Fault => ConnectionEnd.HttpMalformed,
        Http2EndKind.KeepAliveTimeout => ConnectionEnd.IdleTimeout,
        Http2EndKind.Stopped => ConnectionEnd.Drained,
        _ => ConnectionEnd.ClientReset,
    };

    private static ConnectionEnd End(Http1End end) => end.Kind switch
    {
        Http1EndKind.PeerLeft or Http1EndKind.Closed or Http1EndKind.Drained => ConnectionEnd.Completed,
        Http1EndKind.Malformed => ConnectionEnd.HttpMalformed,
        Http1EndKind.HeadTimeout or Http1EndKind.IdleTimeout => ConnectionEnd.DetectTimeout,
        Http1EndKind.Aborted => ConnectionEnd.ServerReset,
        Http1EndKind.Stopped => ConnectionEnd.Drained,
        _ => ConnectionEnd.ClientReset,
    };
}
