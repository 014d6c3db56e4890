using Google.Protobuf;
using Grpc.Core;
using Mesh.Grpc.Server;
using Mesh.Grpc.Wire;

namespace Mesh.Grpc;

/// <summary>One message for many streams: serialised at the first write, and never again. The message must not change after that.</summary>
public sealed class SharedMessage<T> where T : class, IMessage<T>
{
    private byte[]? _frame;

    public SharedMessage(T value)
    {
        ArgumentNullException.ThrowIfNull(value);
        Value = value;
    }

    public T Value { get; }

    // Two streams may both serialise the first time; the bytes are the same.
    internal ReadOnlyMemory<byte> Frame => _frame ??= Serialize();

    private byte[] Serialize()
    {
        var frame = new byte[GrpcFrame.HeaderLength + Value.CalculateSize()];
        GrpcFrame.WriteHeader(frame, frame.Length - GrpcFrame.HeaderLength, compressed: false);
        Value.WriteTo(frame.AsSpan(GrpcFrame.HeaderLength));
        return frame;
    }
}

/// <summary>Writing of shared messages.</summary>
public static class SharedMessageExtensions
{
    /// <summary>Writes a message that other streams write as well, from its shared bytes.</summary>
    public static Task WriteAsync<T>(this IServerStreamWriter<T> stream, SharedMessage<T> message, CancellationToken cancellationToken) where T : class, IMessage<T>
    {
        ArgumentNullException.ThrowIfNull(stream);
        ArgumentNullException.ThrowIfNull(message);
        return stream is ResponseStream<T> ours
            ? ours.WriteFrameAsync(message.Frame, cancellationToken)
            : stream.WriteAsync(message.Value, cancellationToken);
    }
}
