using System.Collections.Immutable;
using Mesh.Proxy.Connections;

namespace Mesh.Proxy.Tracing;

/// <summary>The ids of a request that is recorded, from its head to its end.</summary>
/// <param name="ParentId">0: this is the first of its trace.</param>
/// <param name="StartedAt">100 ns since the year 1, UTC.</param>
internal readonly record struct SpanIds(UInt128 TraceId, ulong SpanId, ulong ParentId, long StartedAt);

/// <summary>One request as a trace shows it. Immutable; made at the end of a request, exported later on another thread.</summary>
internal sealed record TraceSpan(SpanIds Ids, Direction Direction, string Name, long EndedAt, ImmutableArray<SpanAttribute> Attributes, string? Error);

/// <summary>A text or a number with a name of OpenTelemetry's semantic conventions, or with <c>mesh.</c> before it.</summary>
internal readonly record struct SpanAttribute(string Key, string? Text, long Number)
{
    public static SpanAttribute Of(string key, string text) => new(key, text, 0);

    public static SpanAttribute Of(string key, long number) => new(key, null, number);
}
