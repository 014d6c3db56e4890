using Mesh.Proxy.Http;

namespace Mesh.Proxy.Tracing;

/// <summary>How a trace context was written, and is to be written again.</summary>
internal enum TraceFormat : byte
{
    /// <summary>W3C Trace Context: <c>traceparent</c> and <c>tracestate</c>.</summary>
    W3C = 0,

    /// <summary>B3 in one field: <c>b3</c>.</summary>
    B3Single = 1,

    /// <summary>B3 in several: <c>x-b3-traceid</c> and its like.</summary>
    B3Multi = 2,
}

/// <summary>What whoever began the trace decided of it.</summary>
internal enum Sampling : byte
{
    /// <summary>Left to us (B3 only).</summary>
    Undecided = 0,

    Drop = 1,
    Record = 2,
}

/// <summary>The place of a request in a trace, as its fields say. Reading and writing allocate nothing; what is not exactly of its form is no context.</summary>
/// <param name="TraceId">0: none is named, there is only a decision (B3).</param>
/// <param name="SpanId">The caller's span.</param>
/// <param name="Sampling">The decision so far.</param>
/// <param name="Format">Of the fields it was read from.</param>
internal readonly record struct TraceContext(UInt128 TraceId, ulong SpanId, Sampling Sampling, TraceFormat Format)
{
    // The second bit says that the trace id is random (Trace Context level 2), which remains so; others have no meaning that we could pass on.
    private const byte SampledFlag = 1;
    private const byte RandomFlag = 2;

    /// <summary>Of the W3C flags, those other than sampled that are passed on.</summary>
    public byte OtherFlags { get; init; }

    /// <summary>A B3 trace id of 16 digits, which is written again as it came.</summary>
    public bool ShortTraceId { get; init; }

    /// <summary>
    /// Reads the context of a request: W3C's before B3's, the single field before several. False when there is none, or none that keeps to its form.
    /// </summary>
    public static bool TryRead(HeaderBlock head, out TraceContext context)
    {
        context = default;
        return (head.Contains(FieldName.TraceParent) && TryReadW3C(head, out context))
            || (head.Contains(FieldName.B3) && TryReadB3Single(head, out context))
            || ((head.Contains(FieldName.XB3TraceId) || head.Contains(FieldName.XB3Sampled) || head.Contains(FieldName.XB3Flags)) && TryReadB3Multi(head, out context));
    }

    /// <summary>Makes the request say that <see cref="SpanId"/> is its parent. <c>tracestate</c> and <c>baggage</c> stay as they are.</summary>
    /// <param name="head">A head that is going to be sent.</param>
    /// <param name="parent">The span before, which B3 names as well; 0 when this is the first.</param>
    public void WriteTo(HeaderBlock head, ulong parent)
    {
        Span<byte> text = stackalloc byte[80];
        switch (Format)
        {
            case TraceFormat.W3C:
                // A state belongs to the context it came with; without one it is a leftover.
                if (parent == 0) head.Remove(FieldName.TraceState);
                head.Set(FieldName.TraceParent, text[..FormatW3C(text)]);
                break;
            case TraceFormat.B3Single:
                head.Set(FieldName.B3, text[..FormatB3(text, parent)]);
                break;
            default:
                head.Set(FieldName.XB3TraceId, text[..FormatTraceId(text)]);
                Hex.Write(SpanId, text, 16);
                head.Set(FieldName.XB3SpanId, text[..16]);
                if (parent != 0)
                {
                    Hex.Write(parent, text, 16);
                    head.Set(FieldName.XB3ParentSpanId, text[..16]);
                }

                // The debug flag means sampled, and both together are against the rules of B3.
                if (!head.Contains(FieldName.XB3Flags)) head.Set(FieldName.XB3Sampled, Sampling == Sampling.Record ? "1"u8 : "0"u8);
                break;
        }
    }

    private int FormatW3C(Span<byte> text)
    {
        "00-"u8.CopyTo(text);
        Hex.Write(TraceId, text[3..]);
        text[35] = (byte)'-';
        Hex.Write(SpanId, text[36..], 16);
        text[52] = (byte)'-';
        Hex.Write((ulong)(OtherFlags | (Sampling == Sampling.Record ? SampledFlag : 0)), text[53..], 2);
        return 55;
    }

    private int FormatB3(Span<byte> text, ulong parent)
    {
        var at = FormatTraceId(text);
        text[at++] = (byte)'-';
        Hex.Write(SpanId, text[at..], 16);
        at += 16;
        text[at++] = (byte)'-';
        text[at++] = Sampling == Sampling.Record ? (byte)'1' : (byte)'0';
        if (parent == 0) return at;
        text[at++] = (byte)'-';
        Hex.Write(parent, text[at..], 16);
        return at + 16;
    }

    private int FormatTraceId(Span<byte> text)
    {
        if (ShortTraceId) Hex.Write((ulong)TraceId, text, 16);
        else Hex.Write(TraceId, text);
        return ShortTraceId ? 16 : 32;
    }

    // W3C Trace Context section 3.2: version 00 is 55 bytes exactly; a later one may go on after another dash; ff is none.
    private static bool TryReadW3C(HeaderBlock head, out TraceContext context)
    {
        context = default;
        var value = Only(head, FieldName.TraceParent);
        if (value.Length < 55 || value[2] != '-' || value[35] != '-' || value[52] != '-') return false;
        if (!Hex.TryRead(value[..2], out var version) || version == 0xff) return false;
        if (value.Length > 55 && (version == 0 || value[55] != '-')) return false;
        if (!Hex.TryReadLong(value[3..35], out var trace) || trace == 0) return false;
        if (!Hex.TryRead(value[36..52], out var span) || span == 0) return false;
        if (!Hex.TryRead(value[53..55], out var flags)) return false;
        context = new TraceContext(trace, span, (flags & SampledFlag) != 0 ? Sampling.Record : Sampling.Drop, TraceFormat.W3C) { OtherFlags = (byte)(flags & RandomFlag) };
        return true;
    }

    // openzipkin/b3-propagation: {trace}-{span}[-{decision}[-{parent}]], or a decision alone.
    private static bool TryReadB3Single(HeaderBlock head, out TraceContext context)
    {
        context = default;
        var value = Only(head, FieldName.B3);
        if (value.Length == 1)
        {
            if (!TryReadDecision(value, out var alone)) return false;
            context = new TraceContext(0, 0, alone, TraceFormat.B3Single);
            return true;
        }

        var dash = value.IndexOf((byte)'-');
        if (dash < 0 || !TryReadTraceId(value[..dash], out var trace)) return false;
        var rest = value[(dash + 1)..];
        if (rest.Length < 16 || !Hex.TryRead(rest[..16], out var span) || span == 0) return false;
        rest = rest[16..];
        var sampling = Sampling.Undecided;
        if (rest.Length is not (0 or 2 or 19)) return false;
        if (rest.Length >= 2 && (rest[0] != '-' || !TryReadDecision(rest[1..2], out sampling))) return false;
        if (rest.Length == 19 && (rest[2] != '-' || !Hex.TryRead(rest[3..], out _))) return false;
        context = new TraceContext(trace, span, sampling, TraceFormat.B3Single) { ShortTraceId = dash == 16 };
        return true;
    }

    private static bool TryReadB3Multi(HeaderBlock head, out TraceContext context)
    {
        context = default;
        var sampling = Sampling.Undecided;
        if (head.Contains(FieldName.XB3Sampled) && !TryReadDecision(Only(head, FieldName.XB3Sampled), out sampling)) return false;
        if (head.Contains(FieldName.XB3Flags) && Only(head, FieldName.XB3Flags).SequenceEqual("1"u8)) sampling = Sampling.Record;
        if (!head.Contains(FieldName.XB3TraceId))
        {
            context = new TraceContext(0, 0, sampling, TraceFormat.B3Multi);
            return sampling != Sampling.Undecided;
        }

        var id = Only(head, FieldName.XB3TraceId);
        var spanId = Only(head, FieldName.XB3SpanId);
        if (!TryReadTraceId(id, out var trace) || spanId.Length != 16 || !Hex.TryRead(spanId, out var span) || span == 0) return false;
        context = new TraceContext(trace, span, sampling, TraceFormat.B3Multi) { ShortTraceId = id.Length == 16 };
        return true;
    }

    private static bool TryReadTraceId(ReadOnlySpan<byte> text, out UInt128 trace)
    {
        trace = 0;
        return text.Length is 16 or 32 && Hex.TryReadLong(text, out trace) && trace != 0;
    }

    // "true" and "false" are what older tracers write; "d" is debug, which is sampled whatever anybody thinks.
    private static bool TryReadDecision(ReadOnlySpan<byte> text, out Sampling sampling)
    {
        sampling = text.SequenceEqual("1"u8) || text.SequenceEqual("d"u8) || text.SequenceEqual("true"u8) ? Sampling.Record
            : text.SequenceEqual("0"u8) || text.SequenceEqual("false"u8) ? Sampling.Drop
            : Sampling.Undecided;
        return sampling != Sampling.Undecided;
    }

    /// <summary>The value of a field that is there once; empty otherwise, which is no form of anything.</summary>
    private static ReadOnlySpan<byte> Only(HeaderBlock head, FieldName name) =>
        head.Find(name) is >= 0 and var first && head.Find(name, first + 1) < 0 ? head.Value(first) : default;
}
