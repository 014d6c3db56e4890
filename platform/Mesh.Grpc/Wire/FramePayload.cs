using System.Buffers;
using Google.Protobuf;
using Grpc.Core;

namespace Mesh.Grpc.Wire;

/// <summary>Turns the payload of one frame into a message, unpacking it where it is compressed.</summary>
internal sealed class FramePayload(int limit) : DeserializationContext
{
    private ReadOnlySequence<byte> _payload;

    public override int PayloadLength => (int)_payload.Length;

    public override byte[] PayloadAsNewBuffer() => _payload.ToArray();

    public override ReadOnlySequence<byte> PayloadAsReadOnlySequence() => _payload;

    /// <exception cref="RpcException">Internal: not a message of this type, or compressed without or against its encoding; ResourceExhausted: too large when unpacked.</exception>
    public T Read<T>(Marshaller<T> marshaller, ReadOnlySequence<byte> payload, bool compressed, MessageEncoding? encoding)
    {
        if (!compressed) return Parse(marshaller, payload);
        if (encoding is null) throw new RpcException(new Status(StatusCode.Internal, "A message is compressed, but the stream has no encoding."));
        using var unpacked = new PooledBuffer((int)Math.Min(payload.Length * 2, limit));
        switch (encoding.Unpack(payload, limit, unpacked))
        {
            case Unpacked.TooLarge:
                throw new RpcException(new Status(StatusCode.ResourceExhausted, "The received message is larger than the limit."));
            case Unpacked.Malformed:
                throw new RpcException(new Status(StatusCode.Internal, "A compressed message could not be unpacked."));
            default:
                return Parse(marshaller, new ReadOnlySequence<byte>(unpacked.Written));
        }
    }

    private T Parse<T>(Marshaller<T> marshaller, ReadOnlySequence<byte> payload)
    {
        _payload = payload;
        try
        {
            return marshaller.ContextualDeserializer(this);
        }
        catch (InvalidProtocolBufferException e)
        {
            throw new RpcException(new Status(StatusCode.Internal, "A message could not be parsed.", e));
        }
        finally
        {
            _payload = default;
        }
    }
}
