using Mesh.Proxy.Native;

namespace Mesh.Proxy.Metrics;

/// <summary>The bytes of one transport on their way into the counters of a label set.</summary>
internal sealed class CountedTransport
{
    private readonly Transport _transport;
    private readonly TcpCounters _counters;
    private readonly long _readBefore;
    private readonly long _writtenBefore;

    public CountedTransport(Transport transport, TcpCounters counters)
    {
        (_transport, _counters) = (transport, counters);
        // What the proxies told each other before is nobody's traffic.
        (_readBefore, _writtenBefore) = (transport.BytesIn, transport.BytesOut);
        counters.Opened++;
    }

    public long Read { get; private set; }

    public long Written { get; private set; }

    /// <summary>Brings the counters up to date, so that a scrape sees long connections before their end.</summary>
    public void Settle()
    {
        var (read, written) = (_transport.BytesIn - _readBefore, _transport.BytesOut - _writtenBefore);
        _counters.ReadBytes += read - Read;
        _counters.WriteBytes += written - Written;
        (Read, Written) = (read, written);
    }

    public void Close()
    {
        Settle();
        _counters.Closed++;
    }
}
