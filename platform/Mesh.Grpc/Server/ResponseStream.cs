using Grpc.Core;

namespace Mesh.Grpc.Server;

/// <summary>The responses of a call, as its method writes them.</summary>
internal sealed class ResponseStream<T>(HttpServerCallContext call, Marshaller<T> marshaller) : IServerStreamWriter<T> where T : class
{
    public WriteOptions? WriteOptions { get; set; }

    public Task WriteAsync(T message) => WriteAsync(message, CancellationToken.None);

    public Task WriteAsync(T message, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(message);
        return call.WriteNextAsync(marshaller, message, WriteOptions, cancellationToken);
    }

    public Task WriteFrameAsync(ReadOnlyMemory<byte> frame, CancellationToken ct) => call.WriteFrameAsync(frame, ct);
}
