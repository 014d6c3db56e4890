namespace Grpc.Core;

/// <summary>A call that ended with a status other than OK. A server method throws it to choose the status; a client call throws it on receipt.</summary>
public sealed class RpcException : Exception
{
    public RpcException() : this(new Status(StatusCode.Unknown, "")) { }

    public RpcException(string message) : this(new Status(StatusCode.Unknown, message)) { }

    public RpcException(string message, Exception innerException) : this(new Status(StatusCode.Unknown, message, innerException)) { }

    public RpcException(Status status) : this(status, Metadata.Empty) { }

    public RpcException(Status status, string message) : this(status, Metadata.Empty, message) { }

    public RpcException(Status status, Metadata trailers) : this(status, trailers, status.ToString()) { }

    public RpcException(Status status, Metadata trailers, string message) : base(message, status.DebugException)
    {
        ArgumentNullException.ThrowIfNull(trailers);
        Status = status;
        Trailers = trailers;
    }

    public Status Status { get; }

    public StatusCode StatusCode => Status.StatusCode;

    /// <summary>Trailers beside the status; on a server they are sent with it.</summary>
    public Metadata Trailers { get; }
}
