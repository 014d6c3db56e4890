using Google.Protobuf;

namespace Grpc.Core;

/// <summary>Errors with details: <c>google.rpc.Status</c> in the <c>grpc-status-details-bin</c> trailer.</summary>
public static class RpcStatusExtensions
{
    private const string Trailer = "grpc-status-details-bin";

    /// <summary>The exception that ends a call with this status and its details.</summary>
    public static RpcException ToRpcException(this Google.Rpc.Status status)
    {
        ArgumentNullException.ThrowIfNull(status);
        return new RpcException(new Status((StatusCode)status.Code, status.Message), new Metadata { { Trailer, status.ToByteArray() } });
    }

    /// <summary>The status with details that came with a failure; null when there is none, or none that can be read.</summary>
    public static Google.Rpc.Status? GetRpcStatus(this RpcException exception)
    {
        ArgumentNullException.ThrowIfNull(exception);
        if (exception.Trailers.GetValueBytes(Trailer) is not { } bytes) return null;
        try
        {
            return Google.Rpc.Status.Parser.ParseFrom(bytes);
        }
        catch (InvalidProtocolBufferException)
        {
            // Details are a courtesy; the status itself is in the exception.
            return null;
        }
    }

    /// <summary>The first detail of type <typeparamref name="T"/>; null when there is none.</summary>
    public static T? GetDetail<T>(this Google.Rpc.Status status) where T : class, IMessage<T>, new()
    {
        ArgumentNullException.ThrowIfNull(status);
        foreach (var detail in status.Details)
            if (detail.TryUnpack<T>(out var found)) return found;
        return null;
    }
}
