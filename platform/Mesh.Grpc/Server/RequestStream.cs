using Grpc.Core;

namespace Mesh.Grpc.Server;

/// <summary>The requests of a call, as its method reads them.</summary>
internal sealed class RequestStream<T>(HttpServerCallContext call, Marshaller<T> marshaller) : IAsyncStreamReader<T> where T : class
{
    private T? _current;

    public T Current => _current ?? throw new InvalidOperationException("There is no current message.");

    public async Task<bool> MoveNext(CancellationToken cancellationToken)
    {
        _current = await call.ReadNextAsync(marshaller, cancellationToken);
        return _current is not null;
    }
}
