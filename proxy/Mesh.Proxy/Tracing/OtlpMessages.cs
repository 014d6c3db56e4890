using System.Buffers.Binary;
using Google.Protobuf;
using Mesh.Protocol.Otlp;
using Mesh.Proxy.Connections;
using SpanMessage = Mesh.Protocol.Otlp.Span;

namespace Mesh.Proxy.Tracing;

/// <summary>Our spans as OTLP has them (opentelemetry-proto 1.x).</summary>
internal static class OtlpMessages
{
    private const string Scope = "mesh-proxy";

    public static ExportTraceServiceRequest Request(Resource resource, IEnumerable<TraceSpan> spans)
    {
        var scope = new ScopeSpans { Scope = new InstrumentationScope { Name = Scope } };
        foreach (var span in spans) scope.Spans.Add(Message(span));
        return new ExportTraceServiceRequest { ResourceSpans = { new ResourceSpans { Resource = resource, ScopeSpans = { scope } } } };
    }

    public static KeyValue Attribute(SpanAttribute attribute) => new()
    {
        Key = attribute.Key,
        Value = attribute.Text is { } text ? new AnyValue { StringValue = text } : new AnyValue { IntValue = attribute.Number },
    };

    private static SpanMessage Message(TraceSpan span)
    {
        var message = new SpanMessage
        {
            TraceId = Bytes(span.Ids.TraceId),
            SpanId = Bytes(span.Ids.SpanId),
            ParentSpanId = span.Ids.ParentId == 0 ? ByteString.Empty : Bytes(span.Ids.ParentId),
            Name = span.Name,
            // A proxy receives what it forwards inbound, and calls on behalf of the application outbound.
            Kind = span.Direction == Direction.Inbound ? SpanKind.Server : SpanKind.Client,
            StartTimeUnixNano = UnixNano(span.Ids.StartedAt),
            EndTimeUnixNano = UnixNano(span.EndedAt),
            Flags = 1,
        };
        foreach (var attribute in span.Attributes) message.Attributes.Add(Attribute(attribute));
        if (span.Error is { } error) message.Status = new Status { Code = StatusCode.Error, Message = error };
        return message;
    }

    private static ulong UnixNano(long ticks) => (ulong)((ticks - DateTime.UnixEpoch.Ticks) * TimeSpan.NanosecondsPerTick);

    private static ByteString Bytes(UInt128 id)
    {
        Span<byte> bytes = stackalloc byte[16];
        BinaryPrimitives.WriteUInt128BigEndian(bytes, id);
        return ByteString.CopyFrom(bytes);
    }

    private static ByteString Bytes(ulong id)
    {
        Span<byte> bytes = stackalloc byte[8];
        BinaryPrimitives.WriteUInt64BigEndian(bytes, id);
        return ByteString.CopyFrom(bytes);
    }
}
