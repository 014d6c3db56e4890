using System.Net;
using Google.Protobuf;
using Mesh.Grpc.Wire;

namespace Mesh.Proxy.Control;

/// <summary>A request body that stays open: messages are written to it for as long as the call lives.</summary>
internal sealed class GrpcRequestStream(byte[] first) : HttpContent
{
    private readonly TaskCompletionSource<Stream> _opened = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly TaskCompletionSource _completed = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public static byte[] Frame(IMessage message)
    {
        int length = message.CalculateSize();
        byte[] frame = new byte[GrpcFrame.HeaderLength + length];
        GrpcFrame.WriteHeader(frame, length, compressed: false);
        message.WriteTo(frame.AsSpan(GrpcFrame.HeaderLength));
        return frame;
    }

    /// <summary>Sends one message. One at a time.</summary>
    public async Task WriteAsync(byte[] frame, CancellationToken ct)
    {
        Stream stream = await _opened.Task.WaitAsync(ct);
        await stream.WriteAsync(frame, ct);
        await stream.FlushAsync(ct);
    }

    /// <summary>Ends the requests; the call goes on until the server has answered.</summary>
    public void Complete() => _completed.TrySetResult();

    protected override Task SerializeToStreamAsync(Stream stream, TransportContext? context) => SerializeToStreamAsync(stream, context, CancellationToken.None);

    protected override async Task SerializeToStreamAsync(Stream stream, TransportContext? context, CancellationToken cancellationToken)
    {
        await stream.WriteAsync(first, cancellationToken);
        await stream.FlushAsync(cancellationToken);
        _opened.TrySetResult(stream);
        await _completed.Task.WaitAsync(cancellationToken);
    }

    protected override bool TryComputeLength(out long length)
    {
        length = 0;
        return false;
    }

    protected override void Dispose(bool disposing)
    {
        _opened.TrySetException(new IOException("the call has ended"));
        // Nobody may be waiting for it any more, and then nobody needs to hear of it.
        _ = _opened.Task.Exception;
        Complete();
        base.Dispose(disposing);
    }
}
