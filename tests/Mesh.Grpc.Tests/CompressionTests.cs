using System.IO.Compression;
using Google.Protobuf;
using Grpc.Core;
using Mesh.Grpc.Tests.Server;
using Mesh.Testing.Protocol;

namespace Mesh.Grpc.Tests;

public sealed class CompressionTests
{
    [Theory]
    [InlineData("gzip")]
    [InlineData("deflate")]
    public async Task Compressed_requests_and_replies_are_understood(string encoding)
    {
        await using var server = await ProbeServer.StartAsync(o => o.ResponseCompressionAlgorithm = encoding);
        var headers = new Metadata { { "grpc-internal-encoding-request", encoding } };
        var reply = await server.Client().UnaryAsync(new ProbeRequest { Text = new string('x', 100_000) }, headers);
        Assert.Equal(100_000, reply.Text.Length);

        using var call = server.Client().Duplex(headers);
        for (var i = 0; i < 3; i++)
        {
            await call.RequestStream.WriteAsync(new ProbeRequest { Text = new string('y', 50_000) });
            Assert.True(await call.ResponseStream.MoveNext());
            Assert.Equal(50_000, call.ResponseStream.Current.Text.Length);
        }
    }

    [Fact]
    public async Task A_reply_is_compressed_only_for_those_who_accept_it()
    {
        await using var server = await ProbeServer.StartAsync(o => o.ResponseCompressionAlgorithm = "gzip");
        var body = RawCall.Frame(new ProbeRequest { Text = new string('x', 10_000) });
        var plain = await new RawCall { Body = body }.SendAsync(server);
        Assert.Null(plain.Header("grpc-encoding"));
        Assert.Equal(0, plain.Body[0]);
        var packed = await new RawCall { Body = body }.With("grpc-accept-encoding", "br, gzip").SendAsync(server);
        Assert.Equal("gzip", packed.Header("grpc-encoding"));
        Assert.Equal("identity,gzip,deflate", packed.Header("grpc-accept-encoding"));
        Assert.Equal(1, packed.Body[0]);
        Assert.True(packed.Body.Length < 1000);
    }

    [Fact]
    public async Task An_uncompressed_message_in_a_compressed_stream_is_understood()
    {
        await using var server = await ProbeServer.StartAsync();
        var answer = await new RawCall { Body = RawCall.Frame(new ProbeRequest { Text = "x" }) }.With("grpc-encoding", "gzip").SendAsync(server);
        Assert.Equal(0, answer.Status);
    }

    [Fact]
    public async Task An_unknown_encoding_is_Unimplemented_and_the_known_ones_are_named()
    {
        await using var server = await ProbeServer.StartAsync();
        var answer = await new RawCall { Body = RawCall.Frame([1, 2], flag: 1) }.With("grpc-encoding", "br").SendAsync(server);
        Assert.Equal((int)StatusCode.Unimplemented, answer.Status);
        Assert.Equal("identity,gzip,deflate", answer.Header("grpc-accept-encoding"));
    }

    [Fact]
    public async Task Bytes_that_are_not_gzip_are_refused()
    {
        await using var server = await ProbeServer.StartAsync();
        var answer = await new RawCall { Body = RawCall.Frame([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12], flag: 1) }.With("grpc-encoding", "gzip").SendAsync(server);
        Assert.Equal((int)StatusCode.Internal, answer.Status);
        Assert.Empty(server.Errors);
    }

    [Theory]
    [InlineData("gzip")]
    [InlineData("deflate")]
    public async Task A_compressed_message_that_is_cut_short_is_refused_at_every_length(string encoding)
    {
        var packed = new MemoryStream();
        await using (Stream stream = encoding == "gzip" ? new GZipStream(packed, CompressionLevel.Fastest, leaveOpen: true) : new ZLibStream(packed, CompressionLevel.Fastest, leaveOpen: true))
            await stream.WriteAsync(new ProbeRequest { Text = "some words to be packed", Count = 7 }.ToByteArray());
        await using var server = await ProbeServer.StartAsync();
        for (var length = 1; length <= packed.Length; length++)
        {
            var answer = await new RawCall { Body = RawCall.Frame(packed.ToArray()[..length], flag: 1) }.With("grpc-encoding", encoding).SendAsync(server);
            Assert.Equal((length, length < packed.Length ? (int)StatusCode.Internal : 0), (length, answer.Status!.Value));
        }

        Assert.Empty(server.Errors);
    }

    [Fact]
    public async Task A_message_that_unpacks_to_more_than_the_limit_is_refused_without_unpacking_it_all()
    {
        // 256 MB of zeros in about 1 MB.
        var bomb = new MemoryStream();
        await using (var gzip = new GZipStream(bomb, CompressionLevel.Fastest, leaveOpen: true))
        {
            var zeros = new byte[1 << 20];
            for (var i = 0; i < 256; i++) await gzip.WriteAsync(zeros);
        }

        Assert.InRange(bomb.Length, 1, 4 << 20);
        await using var server = await ProbeServer.StartAsync();
        var before = GC.GetTotalAllocatedBytes();
        var answer = await new RawCall { Body = RawCall.Frame(bomb.ToArray(), flag: 1) }.With("grpc-encoding", "gzip").SendAsync(server);
        Assert.Equal((int)StatusCode.ResourceExhausted, answer.Status);
        Assert.InRange(GC.GetTotalAllocatedBytes() - before, 0, 64 << 20);
    }

    [Fact]
    public async Task NoCompress_sends_a_message_as_it_is()
    {
        var stream = new ProbeRequest { Text = new string('x', 10_000) };
        await using var server = await ProbeServer.StartAsync(o => o.ResponseCompressionAlgorithm = "gzip");
        server.Service.ReplyOptions = new WriteOptions(WriteFlags.NoCompress);
        var answer = await new RawCall { Body = RawCall.Frame(stream) }.With("grpc-accept-encoding", "gzip").SendAsync(server);
        Assert.Equal(0, answer.Body[0]);
        Assert.Equal(10_000, ProbeReply.Parser.ParseFrom(answer.Body.AsSpan(5)).Text.Length);
        Assert.Equal(10_000 + 3 + 5, answer.Body.Length);
    }

    [Fact]
    public async Task An_empty_message_is_not_compressed()
    {
        await using var server = await ProbeServer.StartAsync(o => o.ResponseCompressionAlgorithm = "gzip");
        var answer = await new RawCall { Body = RawCall.Frame(new ProbeRequest()) }.With("grpc-accept-encoding", "gzip").SendAsync(server);
        Assert.Equal([0, 0, 0, 0, 0], answer.Body);
        Assert.Equal(0, answer.Status);
    }
}
