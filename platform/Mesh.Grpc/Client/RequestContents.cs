using System.Net;
using System.Net.Http.Headers;

namespace Mesh.Grpc.Client;

/// <summary>A request of one message.</summary>
internal sealed class SingleContent : HttpContent
{
    private readonly ReadOnlyMemory<byte> _frame;

    public SingleContent(ReadOnlyMemory<byte> frame)
    {
        _frame = frame;
        Headers.ContentType = new MediaTypeHeaderValue("application/grpc");
    }

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) => SerializeToStreamAsync(stream, context, CancellationToken.None);

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken) => stream.WriteAsync(_frame, cancellationToken).AsTask();

    // gRPC requests carry no content-length.
    protected override bool TryComputeLength(out long length)
    {
        length = 0;
        return false;
    }
}

/// <summary>A request that stays open for messages to come.</summary>
internal sealed class OpenContent : HttpContent
{
    private readonly TaskCompletionSource<Stream> _opened = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _completed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public OpenContent() => Headers.ContentType = new MediaTypeHeaderValue("application/grpc");

    /// <summary>The body, as soon as there is a connection for it.</summary>
    public Task<Stream> Opened => _opened.Task;

    public bool IsCompleted => _completed.Task.IsCompleted;

    /// <summary>Tells whoever waits for the body that it will not come.</summary>
    public void Abandon() => _opened.TrySetCanceled();

    public void Complete() => _completed.TrySetResult();

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) => SerializeToStreamAsync(stream, context, CancellationToken.None);

    protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
    {
        // Otherwise the server would hear of the call only with its first message.
        await stream.FlushAsync(cancellationToken);
        _opened.TrySetResult(stream);
        await _completed.Task.WaitAsync(cancellationToken);
    }

    protected override bool TryComputeLength(out long length)
    {
        length = 0;
        return false;
    }
}
