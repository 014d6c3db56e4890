using Mesh.Proxy.Http;
using Mesh.Proxy.Http.Http1;
using Mesh.Proxy.Http.Http2;

namespace Mesh.Proxy.Metrics;

/// <summary>The connections of one version of HTTP, and their streams (of HTTP/1: exchanges). Plain numbers, written on the loop.</summary>
internal sealed class HttpConnectionCounters
{
    private readonly long[] _faults = new long[byte.MaxValue + 1];

    public long Opened;
    public long Closed;
    public long StreamsOpened;
    public long StreamsClosed;

    /// <summary>Exchanges that the other side dropped.</summary>
    public long ResetsReceived;

    /// <summary>Exchanges that we dropped.</summary>
    public long ResetsSent;

    public void Faulted(Http1Fault fault) => _faults[(int)fault]++;

    public void Faulted(Http2Fault fault) => _faults[(int)fault]++;

    public long FaultsOf(int fault) => Volatile.Read(ref _faults[fault]);
}

internal static class HttpVersionText
{
    /// <summary>As the access log and the metrics name it.</summary>
    public static string Label(this HttpVersion version) => version switch
    {
        HttpVersion.Http10 => "HTTP/1.0",
        HttpVersion.Http11 => "HTTP/1.1",
        _ => "HTTP/2",
    };
}
