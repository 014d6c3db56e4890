using Mesh.Proxy.Http.Hpack;

namespace Mesh.Proxy.Tests.Http.Hpack;

public sealed class HuffmanTests
{
    [Theory]
    // Codes of different lengths from RFC 7541 appendix B, with their padding.
    [InlineData("07", '0')]
    [InlineData("1f", 'a')]
    [InlineData("5b", '-')]
    [InlineData("b9", ':')]
    [InlineData("f8", '&')]
    [InlineData("fe3f", '!')]
    [InlineData("ff7f", '+')]
    [InlineData("ffaf", '#')]
    [InlineData("ffc7", '\0')]
    [InlineData("fff3", '^')]
    [InlineData("fff9", '<')]
    [InlineData("fffe1f", '\\')]
    [InlineData("fffffff3", '\n')]
    [InlineData("fffffbbf", 255)]
    public void Codes_of_appendix_b(string hex, int symbol)
    {
        var encoded = Convert.FromHexString(hex);
        var decoded = new byte[Huffman.MaxDecoded(encoded.Length)];
        Assert.True(Huffman.TryDecode(encoded, decoded, out var written));
        Assert.Equal((1, symbol), (written, decoded[0]));
        var again = new byte[Huffman.EncodedLength(decoded.AsSpan(0, 1))];
        Huffman.Encode(decoded.AsSpan(0, 1), again);
        Assert.Equal(hex, Convert.ToHexStringLower(again));
    }

    [Theory]
    [InlineData("")]
    [InlineData("1c")] // 'a', then padding that is not all ones
    [InlineData("1fff")] // 'a', then eleven bits of padding
    [InlineData("ff")] // eight bits of padding
    [InlineData("fe")]
    [InlineData("ffffffff")] // the end-of-string symbol
    [InlineData("1fffffffff")]
    public void Padding_of_section_5_2(string hex)
    {
        var encoded = Convert.FromHexString(hex);
        Assert.Equal(hex.Length == 0, Huffman.TryDecode(encoded, new byte[Huffman.MaxDecoded(encoded.Length)], out _));
    }

    [Fact]
    public void All_bytes_and_random_texts_come_back()
    {
        var random = new Random(5);
        RoundTrip([.. Enumerable.Range(0, 256).Select(i => (byte)i)]);
        for (var round = 0; round < 5_000; round++)
        {
            var text = new byte[random.Next(80)];
            if (round % 2 == 0) random.NextBytes(text);
            else foreach (ref var character in text.AsSpan()) character = (byte)random.Next(32, 127);
            RoundTrip(text);
        }
    }

    [Fact]
    public void No_bytes_break_it()
    {
        var random = new Random(6);
        for (var round = 0; round < 50_000; round++)
        {
            var encoded = new byte[random.Next(24)];
            random.NextBytes(encoded);
            // Long codes are rare in random bits.
            for (var i = random.Next(5); i > 0 && encoded.Length > 0; i--) encoded[random.Next(encoded.Length)] = 0xff;
            Fuzz(encoded);
        }
    }

    /// <summary>The fuzz target: what is decoded encodes to the same bytes, as there is one code for each text.</summary>
    internal static void Fuzz(byte[] encoded)
    {
        var decoded = new byte[Huffman.MaxDecoded(encoded.Length)];
        if (!Huffman.TryDecode(encoded, decoded, out var written)) return;
        var again = new byte[Huffman.EncodedLength(decoded.AsSpan(0, written))];
        Huffman.Encode(decoded.AsSpan(0, written), again);
        Assert.Equal(encoded, again);
    }

    private static void RoundTrip(byte[] text)
    {
        var encoded = new byte[Huffman.EncodedLength(text)];
        Huffman.Encode(text, encoded);
        var decoded = new byte[Huffman.MaxDecoded(encoded.Length)];
        Assert.True(Huffman.TryDecode(encoded, decoded, out var written));
        Assert.Equal(text, decoded[..written]);
    }
}
