using Microsoft.AspNetCore.Server.Kestrel.Core;

namespace Mesh.Hosting;

/// <summary>What one peer may cost: constant bounds on everything it controls, and a pace below which it is gone.</summary>
internal static class ServerBounds
{
    /// <summary>Bounds of a gRPC port.</summary>
    public static void ForCalls(KestrelServerOptions kestrel, int maxConnections, int maxRequestBytes)
    {
        Common(kestrel);
        var limits = kestrel.Limits;
        limits.MaxConcurrentConnections = maxConnections;
        limits.MaxRequestBodySize = maxRequestBytes;
        // A proxy has a stream or two per service it talks to; a gateway may carry the calls of a node.
        limits.Http2.MaxStreamsPerConnection = 256;
        limits.Http2.MaxFrameSize = 16 * 1024;
        limits.Http2.MaxRequestHeaderFieldSize = 8 * 1024;
        limits.Http2.InitialStreamWindowSize = 64 * 1024;
        limits.Http2.InitialConnectionWindowSize = 128 * 1024;
        // A peer that vanished without a word holds a stream in the register: find out within a minute.
        limits.Http2.KeepAlivePingDelay = TimeSpan.FromSeconds(30);
        limits.Http2.KeepAlivePingTimeout = TimeSpan.FromSeconds(20);
    }

    /// <summary>Bounds of the admin port: a scraper, a kubelet, an operator.</summary>
    public static void ForAdmin(KestrelServerOptions kestrel)
    {
        Common(kestrel);
        kestrel.Limits.MaxConcurrentConnections = 256;
        kestrel.Limits.MaxRequestBodySize = 0;
    }

    private static void Common(KestrelServerOptions kestrel)
    {
        kestrel.AddServerHeader = false;
        var limits = kestrel.Limits;
        limits.MaxConcurrentUpgradedConnections = 0;
        limits.MaxRequestHeaderCount = 64;
        limits.MaxRequestHeadersTotalSize = 16 * 1024;
        limits.MaxRequestLineSize = 4 * 1024;
        limits.RequestHeadersTimeout = TimeSpan.FromSeconds(10);
        limits.KeepAliveTimeout = TimeSpan.FromMinutes(2);
        limits.MinRequestBodyDataRate = new MinDataRate(bytesPerSecond: 240, gracePeriod: TimeSpan.FromSeconds(5));
        limits.MinResponseDataRate = new MinDataRate(bytesPerSecond: 240, gracePeriod: TimeSpan.FromSeconds(5));
    }
}
