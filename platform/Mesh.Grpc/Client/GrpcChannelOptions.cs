namespace Grpc.Net.Client;

/// <summary>How a channel behaves.</summary>
public sealed class GrpcChannelOptions
{
    /// <summary>
    /// What carries the requests; null: a <see cref="SocketsHttpHandler"/> with keep-alive pings while calls are open, and a further connection
    /// when one has no free stream. Set it for TLS, for other ping intervals, for a socket of another kind.
    /// </summary>
    public HttpMessageHandler? HttpHandler { get; set; }

    /// <summary>Whether disposing the channel disposes <see cref="HttpHandler"/>; the default handler always is.</summary>
    public bool DisposeHttpClient { get; set; }

    /// <summary>The largest message accepted, in bytes, as sent and as unpacked; null: no limit. 4 MiB, as everywhere in gRPC.</summary>
    public int? MaxReceiveMessageSize { get; set; } = 4 * 1024 * 1024;

    /// <summary>The largest message sent, in bytes; null: no limit.</summary>
    public int? MaxSendMessageSize { get; set; }

    /// <summary>The clock of deadlines.</summary>
    public TimeProvider TimeProvider { get; set; } = TimeProvider.System;
}
