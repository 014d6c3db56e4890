using System.Text;
using Mesh.Proxy.Http;
using Mesh.Proxy.Http.Http1;

namespace Mesh.Proxy.Tests.Http.Http1;

/// <summary>Parses a text as one head: at once and byte by byte, which must come to the same.</summary>
internal static class Heads
{
    public static (Http1Fault Fault, RequestHead Head, string Fields, string Behind) Request(string text)
    {
        var bytes = Encoding.Latin1.GetBytes(text);
        var block = new HeaderBlock();
        var parser = new RequestHeadParser();
        var status = parser.Parse(bytes, block, out var consumed);
        Assert.NotEqual(HeadStatus.NeedMore, status);
        var drips = new HeaderBlock();
        var dripParser = new RequestHeadParser();
        var (dripStatus, dripConsumed) = Drip(bytes, (byte[] input, out int taken) => dripParser.Parse(input, drips, out taken));
        Assert.Equal((status, parser.Fault), (dripStatus, dripParser.Fault));
        if (status == HeadStatus.Complete)
        {
            Assert.Equal(consumed, dripConsumed);
            Assert.Equal(parser.Head, dripParser.Head);
            Assert.Equal(block.Text(), drips.Text());
        }

        return (parser.Fault, parser.Head, block.Text(), text[consumed..]);
    }

    public static (Http1Fault Fault, ResponseHead Head, string Fields, string Behind) Response(string text, RequestMethod request = RequestMethod.Get)
    {
        var bytes = Encoding.Latin1.GetBytes(text);
        var block = new HeaderBlock();
        var parser = new ResponseHeadParser();
        var status = parser.Parse(bytes, request, block, out var consumed);
        Assert.NotEqual(HeadStatus.NeedMore, status);
        var drips = new HeaderBlock();
        var dripParser = new ResponseHeadParser();
        var (dripStatus, dripConsumed) = Drip(bytes, (byte[] input, out int taken) => dripParser.Parse(input, request, drips, out taken));
        Assert.Equal((status, parser.Fault), (dripStatus, dripParser.Fault));
        if (status == HeadStatus.Complete)
        {
            Assert.Equal(consumed, dripConsumed);
            Assert.Equal(parser.Head, dripParser.Head);
            Assert.Equal(block.Text(), drips.Text());
        }

        return (parser.Fault, parser.Head, block.Text(), text[consumed..]);
    }

    private delegate HeadStatus Step(byte[] input, out int consumed);

    private static (HeadStatus Status, int Consumed) Drip(byte[] bytes, Step step)
    {
        var start = 0;
        for (var end = 1; end <= bytes.Length; end++)
        {
            var status = step(bytes[start..end], out var consumed);
            start += consumed;
            if (status != HeadStatus.NeedMore) return (status, start);
        }

        return (HeadStatus.NeedMore, start);
    }
}
