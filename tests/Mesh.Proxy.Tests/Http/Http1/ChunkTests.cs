using System.Text;
using Mesh.Proxy.Http;
using Mesh.Proxy.Http.Http1;

namespace Mesh.Proxy.Tests.Http.Http1;

public sealed class ChunkTests
{
    [Fact]
    public void Chunks_become_one_slice_and_trailers_are_fields()
    {
        var buffer = Encoding.ASCII.GetBytes("4\r\nWiki\r\n00B\r\npedia in\r\n \r\n0\r\nX-Sum: 1\r\n\r\nnext");
        var trailers = new HeaderBlock();
        Assert.Equal(BodyStatus.Complete, new ChunkedDecoder().Decode(buffer, trailers, out var consumed, out var data));
        Assert.Equal("Wikipedia in\r\n ", Encoding.ASCII.GetString(buffer.AsSpan(data)));
        Assert.Equal("x-sum: 1\n", trailers.Text());
        Assert.Equal(buffer.Length - 4, consumed);
    }

    [Theory]
    [InlineData("5;a=b\r\nhello\r\n", Http1Fault.ChunkExtension)]
    [InlineData("5 \r\nhello\r\n", Http1Fault.BadChunkSize)]
    [InlineData(" 5\r\nhello\r\n", Http1Fault.BadChunkSize)]
    [InlineData("\r\n", Http1Fault.BadChunkSize)]
    [InlineData("0x5\r\n", Http1Fault.BadChunkSize)]
    [InlineData("+5\r\n", Http1Fault.BadChunkSize)]
    [InlineData("-1\r\n", Http1Fault.BadChunkSize)]
    [InlineData("g\r\n", Http1Fault.BadChunkSize)]
    [InlineData("5\nhello\r\n", Http1Fault.BareLineFeed)]
    [InlineData("5\rhello\r\n", Http1Fault.BareCarriageReturn)]
    [InlineData("8000000000000000\r\n", Http1Fault.BadChunkSize)] // 2^63
    [InlineData("00000000000000005\r\n", Http1Fault.BadChunkSize)] // 17 digits
    [InlineData("5\r\nhello!\r\n", Http1Fault.MissingChunkEnd)]
    [InlineData("5\r\nhello\n", Http1Fault.MissingChunkEnd)]
    [InlineData("5\r\nhello\r0", Http1Fault.MissingChunkEnd)]
    [InlineData("0\r\nContent-Length: 5\r\n\r\n", Http1Fault.TrailerNotAllowed)]
    [InlineData("0\r\nTransfer-Encoding: chunked\r\n\r\n", Http1Fault.TrailerNotAllowed)]
    [InlineData("0\r\nHost: a\r\n\r\n", Http1Fault.TrailerNotAllowed)]
    [InlineData("0\r\nX : a\r\n\r\n", Http1Fault.SpaceBeforeColon)]
    [InlineData("0\r\nX: a\n\r\n", Http1Fault.BareLineFeed)]
    public void Bad_chunks_are_refused(string text, object fault)
    {
        var decoder = new ChunkedDecoder();
        Assert.Equal(BodyStatus.Refused, decoder.Decode(Encoding.ASCII.GetBytes(text), new HeaderBlock(), out _, out _));
        Assert.Equal(fault, decoder.Fault);
    }

    [Fact]
    public void Sizes_below_2_to_63_are_taken()
    {
        var decoder = new ChunkedDecoder();
        Assert.Equal(BodyStatus.NeedMore, decoder.Decode("7fffffffffffffff\r\nabc"u8.ToArray(), new HeaderBlock(), out var consumed, out var data));
        Assert.Equal((21, 18..21), (consumed, data));
    }

    [Fact]
    public void Trailers_are_bounded()
    {
        var decoder = new ChunkedDecoder();
        Assert.Equal(BodyStatus.Refused, decoder.Decode(Encoding.ASCII.GetBytes("0\r\nX: " + new string('x', HttpLimits.MaxTrailers)), new HeaderBlock(), out _, out _));
        Assert.Equal(Http1Fault.TrailersTooLong, decoder.Fault);
    }

    [Fact]
    public void Prefix_touches_the_data_behind_it()
    {
        Span<byte> room = stackalloc byte[ChunkWriter.MaxPrefix];
        Assert.Equal(3, ChunkWriter.WritePrefixBefore(room, 10));
        Assert.Equal("a\r\n", Encoding.ASCII.GetString(room[^3..]));
        Assert.Equal(10, ChunkWriter.WritePrefixBefore(room, int.MaxValue));
        Assert.Equal("7fffffff\r\n", Encoding.ASCII.GetString(room));
        Assert.Throws<ArgumentOutOfRangeException>(() => ChunkWriter.WritePrefixBefore(new byte[ChunkWriter.MaxPrefix], 0));
    }

    [Fact]
    public void Any_body_comes_back_however_it_is_cut()
    {
        var random = new Random(17);
        for (var round = 0; round < 2_000; round++) Fuzz(random);
    }

    /// <summary>The fuzz target: a random body in random chunks, read in random pieces.</summary>
    internal static void Fuzz(Random random)
    {
        var body = new byte[random.Next(400)];
        random.NextBytes(body);
        using var wire = new MemoryStream();
        Span<byte> prefix = stackalloc byte[ChunkWriter.MaxPrefix];
        for (var at = 0; at < body.Length;)
        {
            var size = random.Next(1, Math.Min(60, body.Length - at) + 1);
            wire.Write(prefix[^ChunkWriter.WritePrefixBefore(prefix, size)..]);
            wire.Write(body.AsSpan(at, size));
            wire.Write(ChunkWriter.End);
            at += size;
        }

        var trailers = new HeaderBlock();
        for (var i = random.Next(3); i > 0; i--) trailers.Add("x-t"u8, body.Length > 4 ? "v"u8 : "w w"u8);
        var end = new byte[trailers.ListSize + 8];
        Assert.True(ChunkWriter.TryWriteEnd(trailers, end, out var written));
        Assert.False(ChunkWriter.TryWriteEnd(trailers, end.AsSpan(0, written - 1), out _));
        wire.Write(end.AsSpan(0, written));

        var bytes = wire.ToArray();
        var decoder = new ChunkedDecoder();
        var got = new HeaderBlock();
        using var decoded = new MemoryStream();
        int start = 0, stop = 0;
        var status = BodyStatus.NeedMore;
        while (status == BodyStatus.NeedMore)
        {
            Assert.True(stop < bytes.Length);
            stop = Math.Min(bytes.Length, stop + random.Next(1, 100));
            var piece = bytes[start..stop];
            status = decoder.Decode(piece, got, out var consumed, out var data);
            decoded.Write(piece.AsSpan(data));
            start += consumed;
        }

        Assert.Equal(BodyStatus.Complete, status);
        Assert.Equal(bytes.Length, start);
        Assert.Equal(body, decoded.ToArray());
        Assert.Equal(trailers.Text(), got.Text());
    }
}
