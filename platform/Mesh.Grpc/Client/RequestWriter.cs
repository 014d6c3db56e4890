using Grpc.Core;

namespace Mesh.Grpc.Client;

/// <summary>The requests of a call, as the client writes them.</summary>
internal sealed class RequestWriter<TRequest, TResponse>(ClientCall<TRequest, TResponse> call, OpenContent content) : IClientStreamWriter<TRequest>
    where TRequest : class where TResponse : class
{
    private int _writing;

    public WriteOptions? WriteOptions { get; set; }

    public Task WriteAsync(TRequest message) => WriteAsync(message, CancellationToken.None);

    public async Task WriteAsync(TRequest message, CancellationToken cancellationToken)
    {
        ArgumentNullException.ThrowIfNull(message);
        if (Interlocked.Exchange(ref _writing, 1) != 0) throw new InvalidOperationException("Another write is in progress.");
        try
        {
            if (content.IsCompleted) throw new InvalidOperationException("The request stream was completed.");
            if (call.Failure is { } failure) throw failure;
            var frame = call.Serialize(message);
            var stream = await content.Opened.WaitAsync(cancellationToken);
            await stream.WriteAsync(frame, cancellationToken);
            if ((WriteOptions?.Flags & WriteFlags.BufferHint) != WriteFlags.BufferHint) await stream.FlushAsync(cancellationToken);
        }
        catch (Exception e) when (e is HttpRequestException or IOException or OperationCanceledException or ObjectDisposedException && !cancellationToken.IsCancellationRequested)
        {
            throw await RefusalAsync(e);
        }
        finally
        {
            _writing = 0;
        }
    }

    public Task CompleteAsync()
    {
        content.Complete();
        return Task.CompletedTask;
    }

    // The response knows better than the broken request stream why the server reads no more.
    private async Task<RpcException> RefusalAsync(Exception cause)
    {
        try
        {
            await call.Body;
        }
        catch (RpcException e)
        {
            return e;
        }

        return call.Failure ?? new RpcException(new Status(StatusCode.Cancelled, "The server reads no more requests; the response says why.", cause));
    }
}
