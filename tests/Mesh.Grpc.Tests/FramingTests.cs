using Grpc.Core;
using Mesh.Grpc.Tests.Server;
using Mesh.Testing.Protocol;

namespace Mesh.Grpc.Tests;

/// <summary>Request bodies that break the rules, against the server.</summary>
public sealed class FramingTests
{
    public static TheoryData<string, byte[], StatusCode> Bodies => new()
    {
        { "no message", [], StatusCode.Internal },
        { "half a header", [0, 0], StatusCode.Internal },
        { "half a message", [0, 0, 0, 0, 9, 1, 2], StatusCode.Internal },
        { "two messages", [0, 0, 0, 0, 0, 0, 0, 0, 0, 0], StatusCode.Internal },
        { "a message and some bytes", [0, 0, 0, 0, 0, 0], StatusCode.Internal },
        { "a flag that does not exist", [2, 0, 0, 0, 0], StatusCode.Internal },
        { "compressed without an encoding", [1, 0, 0, 0, 0], StatusCode.Internal },
        { "not protobuf", [0, 0, 0, 0, 2, 0xff, 0xff], StatusCode.Internal },
        // The header alone: nothing of the announced size is waited for, or reserved.
        { "4 GB announced", [0, 0xff, 0xff, 0xff, 0xff], StatusCode.ResourceExhausted },
        { "one byte over 4 MiB announced", [0, 0, 0x40, 0, 1], StatusCode.ResourceExhausted },
    };

    [Theory]
    [MemberData(nameof(Bodies))]
    public async Task A_broken_unary_request_is_refused(string what, byte[] body, StatusCode expected)
    {
        await using var server = await ProbeServer.StartAsync();
        var answer = await new RawCall { Body = body }.SendAsync(server);
        Assert.True((int)expected == answer.Status, $"{what}: {answer.Status} {answer.Message}");
        Assert.Empty(server.Errors);
        Assert.Equal("still here", (await server.Client().UnaryAsync(new ProbeRequest { Text = "still here" })).Text);
    }

    [Fact]
    public async Task A_request_stream_may_be_empty_but_not_end_inside_a_message()
    {
        await using var server = await ProbeServer.StartAsync();
        var empty = await new RawCall { Path = "/mesh.testing.v1.Probe/ClientStream" }.SendAsync(server);
        Assert.Equal(0, empty.Status);
        var broken = await new RawCall { Path = "/mesh.testing.v1.Probe/ClientStream", Body = [.. RawCall.Frame(new ProbeRequest()), 0, 0, 0, 0, 4, 1] }.SendAsync(server);
        Assert.Equal((int)StatusCode.Internal, broken.Status);
    }

    [Fact]
    public async Task A_client_that_sends_byte_by_byte_is_understood()
    {
        await using var server = await ProbeServer.StartAsync();
        var body = RawCall.Frame(new ProbeRequest { Text = "slow" });
        using var http = new HttpClient();
        using var request = new HttpRequestMessage(HttpMethod.Post, new Uri(server.Address, "/mesh.testing.v1.Probe/Unary"))
        {
            Version = new Version(2, 0),
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Content = new ByteByByteContent(body),
        };
        using var response = await http.SendAsync(request);
        Assert.Equal(RawCall.Frame(new ProbeReply { Text = "slow" }), await response.Content.ReadAsByteArrayAsync());
        Assert.Equal("0", string.Concat(response.TrailingHeaders.GetValues("grpc-status")));
    }

    [Fact]
    public async Task Random_bodies_are_refused_or_understood_and_nothing_else()
    {
        await using var server = await ProbeServer.StartAsync();
        var random = new Random(20260102);
        for (var i = 0; i < 300; i++)
        {
            var body = new byte[random.Next(40)];
            random.NextBytes(body);
            if (body.Length > 0) body[0] = (byte)random.Next(2);
            if (body.Length > 4) (body[1], body[2], body[3], body[4]) = (0, 0, 0, (byte)Math.Max(0, body.Length - 5 - random.Next(2)));
            // No request may hang, crash or fail by asking for it.
            var path = "/mesh.testing.v1.Probe/" + (random.Next(2) == 0 ? "NotWritten" : "Unary");
            var answer = await new RawCall { Path = path, Body = body }.With("grpc-encoding", random.Next(2) == 0 ? "gzip" : "identity").With("grpc-timeout", "2S").SendAsync(server);
            Assert.NotNull(answer.Status);
        }

        Assert.Equal([], server.Errors.Where(e => !e.Contains("the inside story", StringComparison.Ordinal)));
    }

    private sealed class ByteByByteContent : HttpContent
    {
        private readonly byte[] _body;

        public ByteByByteContent(byte[] body)
        {
            _body = body;
            Headers.ContentType = new("application/grpc");
        }

        protected override async Task SerializeToStreamAsync(Stream stream, System.Net.TransportContext? context)
        {
            for (var i = 0; i < _body.Length; i++)
            {
                await stream.WriteAsync(_body.AsMemory(i, 1));
                await stream.FlushAsync();
            }
        }

        protected override bool TryComputeLength(out long length)
        {
            length = 0;
            return false;
        }
    }
}
