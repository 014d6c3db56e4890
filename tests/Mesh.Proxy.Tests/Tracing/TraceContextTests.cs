using System.Text;
using Mesh.Proxy.Http;
using Mesh.Proxy.Tracing;

namespace Mesh.Proxy.Tests.Tracing;

public sealed class TraceContextTests
{
    private const string Trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    private const string Parent = "00f067aa0ba902b7";

    [Theory]
    [InlineData($"00-{Trace}-{Parent}-01", Sampling.Record)]
    [InlineData($"00-{Trace}-{Parent}-00", Sampling.Drop)]
    [InlineData($"00-{Trace}-{Parent}-03", Sampling.Record)]
    [InlineData($"00-{Trace}-{Parent}-fe", Sampling.Drop)]
    [InlineData($"01-{Trace}-{Parent}-01", Sampling.Record)]
    [InlineData($"cc-{Trace}-{Parent}-01-what-comes-later", Sampling.Record)]
    public void A_traceparent_is_read(string text, object sampling)
    {
        Assert.True(TraceContext.TryRead(Head(("traceparent", text)), out var context));
        Assert.Equal((UInt128.Parse(Trace, System.Globalization.NumberStyles.HexNumber), 0x00f067aa0ba902b7ul), (context.TraceId, context.SpanId));
        Assert.Equal(((Sampling)sampling, TraceFormat.W3C), (context.Sampling, context.Format));
    }

    [Theory]
    [InlineData("")]
    [InlineData($"00-{Trace}-{Parent}")]
    [InlineData($"00-{Trace}-{Parent}-0")]
    [InlineData($"00-{Trace}-{Parent}-01-")]
    [InlineData($"00-{Trace}-{Parent}-01-x")]
    [InlineData($"ff-{Trace}-{Parent}-01")]
    [InlineData($"cc-{Trace}-{Parent}-01.what")]
    [InlineData($"00-00000000000000000000000000000000-{Parent}-01")]
    [InlineData($"00-{Trace}-0000000000000000-01")]
    [InlineData($"00-4BF92F3577B34DA6A3CE929D0E0E4736-{Parent}-01")]
    [InlineData($"00-{Trace}-{Parent}-0g")]
    [InlineData($"0x-{Trace}-{Parent}-01")]
    [InlineData($" 00-{Trace}-{Parent}-01")]
    [InlineData($"00_{Trace}_{Parent}_01")]
    public void What_is_no_traceparent_is_no_context(string text) => Assert.False(TraceContext.TryRead(Head(("traceparent", text)), out _));

    [Fact]
    public void Two_traceparents_are_none() =>
        Assert.False(TraceContext.TryRead(Head(("traceparent", $"00-{Trace}-{Parent}-01"), ("traceparent", $"00-{Trace}-{Parent}-01")), out _));

    [Theory]
    [InlineData($"{Trace}-{Parent}-1", Sampling.Record)]
    [InlineData($"{Trace}-{Parent}-d", Sampling.Record)]
    [InlineData($"{Trace}-{Parent}-0", Sampling.Drop)]
    [InlineData($"{Trace}-{Parent}", Sampling.Undecided)]
    [InlineData($"{Trace}-{Parent}-1-05e3ac9a4f6e3b90", Sampling.Record)]
    [InlineData($"a3ce929d0e0e4736-{Parent}-1", Sampling.Record)]
    public void A_single_b3_field_is_read(string text, object sampling)
    {
        Assert.True(TraceContext.TryRead(Head(("b3", text)), out var context));
        Assert.Equal(0xa3ce929d0e0e4736ul, (ulong)context.TraceId);
        Assert.Equal(((Sampling)sampling, TraceFormat.B3Single, text.StartsWith("a3", StringComparison.Ordinal)), (context.Sampling, context.Format, context.ShortTraceId));
    }

    [Theory]
    [InlineData("")]
    [InlineData("2")]
    [InlineData($"{Trace}")]
    [InlineData($"{Trace}-")]
    [InlineData($"{Trace}-{Parent}-")]
    [InlineData($"{Trace}-{Parent}-2")]
    [InlineData($"{Trace}-{Parent}-1-")]
    [InlineData($"{Trace}-{Parent}-1-05e3ac9a4f6e3b9")]
    [InlineData($"{Trace}-{Parent}-1-05e3ac9a4f6e3b90-")]
    [InlineData($"abc-{Parent}-1")]
    [InlineData($"{Trace}-0000000000000000-1")]
    [InlineData($"0000000000000000-{Parent}-1")]
    public void What_is_no_b3_is_no_context(string text) => Assert.False(TraceContext.TryRead(Head(("b3", text)), out _));

    [Theory]
    [InlineData("1", null, Sampling.Record)]
    [InlineData("true", null, Sampling.Record)]
    [InlineData("0", null, Sampling.Drop)]
    [InlineData("false", null, Sampling.Drop)]
    [InlineData(null, null, Sampling.Undecided)]
    [InlineData(null, "1", Sampling.Record)]
    [InlineData("0", "1", Sampling.Record)]
    public void Several_b3_fields_are_read(string? sampled, string? flags, object sampling)
    {
        Assert.True(TraceContext.TryRead(Head(("x-b3-traceid", Trace), ("x-b3-spanid", Parent), ("x-b3-sampled", sampled), ("x-b3-flags", flags)), out var context));
        Assert.Equal(((Sampling)sampling, TraceFormat.B3Multi, 0x00f067aa0ba902b7ul), (context.Sampling, context.Format, context.SpanId));
    }

    [Theory]
    [InlineData("b3", "0", Sampling.Drop)]
    [InlineData("b3", "1", Sampling.Record)]
    [InlineData("x-b3-sampled", "0", Sampling.Drop)]
    [InlineData("x-b3-flags", "1", Sampling.Record)]
    public void A_decision_without_a_trace_is_a_context(string name, string value, object sampling)
    {
        Assert.True(TraceContext.TryRead(Head((name, value)), out var context));
        Assert.Equal(((UInt128)0, (Sampling)sampling), (context.TraceId, context.Sampling));
    }

    [Fact]
    public void W3C_comes_before_b3_and_b3_where_w3c_is_broken()
    {
        Assert.True(TraceContext.TryRead(Head(("b3", $"{Trace}-{Parent}-0"), ("traceparent", $"00-{Trace}-{Parent}-01")), out var context));
        Assert.Equal(TraceFormat.W3C, context.Format);
        Assert.True(TraceContext.TryRead(Head(("b3", $"{Trace}-{Parent}-0"), ("traceparent", "nonsense")), out context));
        Assert.Equal(TraceFormat.B3Single, context.Format);
        Assert.False(TraceContext.TryRead(Head(("x-b3-spanid", Parent)), out _));
    }

    [Theory]
    [InlineData("traceparent", $"00-{Trace}-{Parent}-01", $"00-{Trace}-0000000000abcdef-01")]
    [InlineData("traceparent", $"00-{Trace}-{Parent}-ff", $"00-{Trace}-0000000000abcdef-03")]
    [InlineData("traceparent", $"cc-{Trace}-{Parent}-01-later", $"00-{Trace}-0000000000abcdef-01")]
    [InlineData("b3", $"{Trace}-{Parent}-d", $"{Trace}-0000000000abcdef-1-{Parent}")]
    [InlineData("b3", $"a3ce929d0e0e4736-{Parent}-1", $"a3ce929d0e0e4736-0000000000abcdef-1-{Parent}")]
    public void A_child_is_written_in_the_form_its_parent_came_in(string name, string value, string written)
    {
        var head = Head((name, value), ("tracestate", "vendor=1"));
        Assert.True(TraceContext.TryRead(head, out var context));
        (context with { SpanId = 0xabcdef }).WriteTo(head, context.SpanId);
        Assert.Equal(written, Value(head, name));
        Assert.Equal("vendor=1", Value(head, "tracestate"));
    }

    [Fact]
    public void A_child_is_written_in_several_b3_fields()
    {
        var head = Head(("x-b3-traceid", Trace), ("x-b3-spanid", Parent), ("x-b3-sampled", "1"));
        Assert.True(TraceContext.TryRead(head, out var context));
        (context with { SpanId = 0xabcdef }).WriteTo(head, context.SpanId);
        Assert.Equal((Trace, "0000000000abcdef", Parent, "1"), (Value(head, "x-b3-traceid"), Value(head, "x-b3-spanid"), Value(head, "x-b3-parentspanid"), Value(head, "x-b3-sampled")));
    }

    [Fact]
    public void Reading_and_writing_allocates_nothing()
    {
        var head = Head(("traceparent", $"00-{Trace}-{Parent}-01"));
        for (var i = 0; i < 3; i++) Pass();
        var before = GC.GetAllocatedBytesForCurrentThread();
        Pass();
        Assert.Equal(before, GC.GetAllocatedBytesForCurrentThread());

        void Pass()
        {
            Assert.True(TraceContext.TryRead(head, out var context));
            (context with { SpanId = context.SpanId + 1 }).WriteTo(head, context.SpanId);
        }
    }

    private static HeaderBlock Head(params (string Name, string? Value)[] fields)
    {
        var head = new HeaderBlock();
        foreach (var (name, value) in fields)
            if (value is not null) head.Add(Encoding.ASCII.GetBytes(name), Encoding.ASCII.GetBytes(value));
        return head;
    }

    private static string Value(HeaderBlock head, string name) => Encoding.ASCII.GetString(head.Value(head.Find(Encoding.ASCII.GetBytes(name))));
}
