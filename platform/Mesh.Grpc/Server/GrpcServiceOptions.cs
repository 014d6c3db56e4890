namespace Grpc.AspNetCore.Server;

/// <summary>How the gRPC services of this process behave.</summary>
public sealed class GrpcServiceOptions
{
    /// <summary>The largest message accepted, in bytes, as sent and as unpacked; null: no limit. 4 MiB, as everywhere in gRPC.</summary>
    public int? MaxReceiveMessageSize { get; set; } = 4 * 1024 * 1024;

    /// <summary>The largest message sent, in bytes; null: no limit.</summary>
    public int? MaxSendMessageSize { get; set; }

    /// <summary>Adds an unexpected exception's message to the status. For tests: it shows strangers what is inside.</summary>
    public bool? EnableDetailedErrors { get; set; }

    /// <summary><c>gzip</c> or <c>deflate</c>: compress responses for clients that accept it; null: never.</summary>
    public string? ResponseCompressionAlgorithm { get; set; }

    /// <summary>Silence on a connection with open calls before a ping asks whether the client is still there. Kestrel's own setting, where it is set, wins.</summary>
    public TimeSpan KeepAlivePingDelay { get; set; } = TimeSpan.FromSeconds(30);

    /// <summary>The wait for a ping's answer before the connection is closed.</summary>
    public TimeSpan KeepAlivePingTimeout { get; set; } = TimeSpan.FromSeconds(20);

    /// <summary>The clock of deadlines.</summary>
    public TimeProvider TimeProvider { get; set; } = TimeProvider.System;
}
