using Google.Protobuf;
using Grpc.Core;

namespace Mesh.Grpc.Reflection;

/// <summary>Marshallers of generated messages, for methods declared by hand.</summary>
internal static class MessageMarshaller
{
    public static Marshaller<T> For<T>(MessageParser<T> parser) where T : IMessage<T> => new(
        static (message, context) =>
        {
            context.SetPayloadLength(message.CalculateSize());
            message.WriteTo(context.GetBufferWriter());
            context.Complete();
        },
        context => parser.ParseFrom(context.PayloadAsReadOnlySequence()));
}
