using System.Buffers;
using Grpc.Core;

namespace Mesh.Grpc.Wire;

/// <summary>
/// Writes messages as frames. A marshaller that says its length first (every generated one) writes straight into the output,
/// header and message in one go; others, and compressed messages, are buffered.
/// </summary>
internal sealed class FrameWriter(IBufferWriter<byte> output, int limit) : SerializationContext
{
    private PooledBuffer? _buffer;
    private MessageEncoding? _encoding;
    private int _announced;

    /// <exception cref="RpcException">ResourceExhausted: the message is larger than the limit; nothing was written.</exception>
    public void Write<T>(Marshaller<T> marshaller, T message, MessageEncoding? encoding)
    {
        _encoding = encoding;
        _announced = -1;
        try
        {
            marshaller.ContextualSerializer(message, this);
        }
        finally
        {
            _buffer?.Dispose();
            _buffer = null;
        }
    }

    /// <summary>Writes bytes that are a frame already.</summary>
    public void WriteFrame(ReadOnlySpan<byte> frame)
    {
        CheckLimit(frame.Length - GrpcFrame.HeaderLength);
        output.Write(frame);
    }

    public override void SetPayloadLength(int payloadLength)
    {
        CheckLimit(payloadLength);
        _announced = payloadLength;
    }

    public override IBufferWriter<byte> GetBufferWriter()
    {
        if (_announced < 0 || _encoding is not null) return _buffer ??= new PooledBuffer(_announced);
        WriteHeader(_announced, compressed: false);
        return output;
    }

    public override void Complete()
    {
        if (_buffer is null) return;
        WritePayload(_buffer.Written);
    }

    public override void Complete(byte[] payload) => WritePayload(payload);

    private void WritePayload(ReadOnlyMemory<byte> payload)
    {
        CheckLimit(payload.Length);
        // .NET's compressors make nothing of nothing, which is no gzip that other stacks read.
        if (_encoding is null || payload.Length == 0)
        {
            WriteHeader(payload.Length, compressed: false);
            output.Write(payload.Span);
            return;
        }

        using var packed = new PooledBuffer(payload.Length);
        _encoding.Pack(payload, packed);
        WriteHeader(packed.Length, compressed: true);
        output.Write(packed.Written.Span);
    }

    private void WriteHeader(int length, bool compressed)
    {
        GrpcFrame.WriteHeader(output.GetSpan(GrpcFrame.HeaderLength), length, compressed);
        output.Advance(GrpcFrame.HeaderLength);
    }

    private void CheckLimit(int length)
    {
        if (length > limit) throw new RpcException(new Status(StatusCode.ResourceExhausted, "The message to send is larger than the limit."));
    }
}
