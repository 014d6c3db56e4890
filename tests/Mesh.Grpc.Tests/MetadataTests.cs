using Grpc.Core;
using Mesh.Grpc.Tests.Server;
using Mesh.Grpc.Wire;
using Mesh.Testing.Protocol;

namespace Mesh.Grpc.Tests;

public sealed class MetadataTests
{
    [Fact]
    public async Task Text_and_binary_metadata_travel_both_ways()
    {
        await using var server = await ProbeServer.StartAsync();
        var headers = new Metadata
        {
            { "echo-text", "plain words, with commas" },
            { "ECHO-Upper", "case" },
            { "echo-data-bin", new byte[] { 0, 1, 2, 254, 255 } },
            { "echo-empty-bin", Array.Empty<byte>() },
            { "echo-twice", "first" },
            { "echo-twice", "second" },
            { "want-header", "in the headers" },
        };
        using var call = server.Client().UnaryAsync(new ProbeRequest(), headers);
        Assert.Equal("in the headers", (await call.ResponseHeadersAsync).GetValue("given-header"));
        await call;
        var trailers = call.GetTrailers();
        Assert.Equal("plain words, with commas", trailers.GetValue("echo-text"));
        Assert.Equal("case", trailers.GetValue("echo-upper"));
        Assert.Equal(new byte[] { 0, 1, 2, 254, 255 }, trailers.GetValueBytes("echo-data-bin"));
        Assert.Equal([], trailers.GetValueBytes("echo-empty-bin")!);
        // HTTP allows it to join equal fields, and HttpClient does.
        Assert.Equal("first, second", string.Join(", ", trailers.GetAll("echo-twice").Select(e => e.Value)));
    }

    [Fact]
    public async Task Fields_of_the_protocol_are_not_metadata()
    {
        await using var server = await ProbeServer.StartAsync();
        // None of these may reach the wire from here.
        var headers = new Metadata { { "grpc-timeout", "1n" }, { "content-type", "text/plain" }, { "grpc-encoding", "br" }, { "te", "gzip" } };
        await server.Client().UnaryAsync(new ProbeRequest(), headers);
    }

    [Theory]
    [InlineData("AAEC/v8=", new byte[] { 0, 1, 2, 254, 255 })]
    [InlineData("AAEC/v8", new byte[] { 0, 1, 2, 254, 255 })]
    [InlineData("", new byte[0])]
    public void Base64_is_read_with_padding_and_without(string value, byte[] expected)
    {
        var metadata = new Metadata();
        MetadataWire.Add(metadata, "x-bin", value);
        Assert.Equal(expected, metadata.GetValueBytes("x-bin"));
    }

    [Fact]
    public void Joined_binary_values_are_taken_apart_and_bad_ones_left_out()
    {
        var metadata = new Metadata();
        MetadataWire.Add(metadata, "x-bin", "AA==, ###, AQ");
        Assert.Equal([[0], [1]], metadata.Select(e => e.ValueBytes));
    }

    [Theory]
    [InlineData("")]
    [InlineData("a b")]
    [InlineData("a:b")]
    [InlineData("ä")]
    public void A_key_outside_the_alphabet_is_refused(string key) => Assert.Throws<ArgumentException>(() => new Metadata { { key, "x" } });

    [Fact]
    public void Text_under_a_binary_key_and_bytes_under_a_text_key_are_refused()
    {
        Assert.Throws<ArgumentException>(() => new Metadata { { "x-bin", "text" } });
        Assert.Throws<ArgumentException>(() => new Metadata { { "x", new byte[1] } });
    }

    [Theory]
    [InlineData("a\r\nb")]
    [InlineData("ü")]
    public void A_value_outside_ASCII_is_refused(string value) => Assert.Throws<ArgumentException>(() => new Metadata { { "x", value } });

    [Fact]
    public void The_empty_metadata_stays_empty() => Assert.Throws<InvalidOperationException>(() => Metadata.Empty.Add("a", "b"));

    [Fact]
    public void Values_do_not_print() => Assert.DoesNotContain("secret", new Metadata.Entry("authorization", "secret").ToString(), StringComparison.Ordinal);
}
