using Grpc.Core;
using Mesh.Grpc.Tests.Server;
using Mesh.Testing.Protocol;

namespace Mesh.Grpc.Tests;

/// <summary>The four kinds of call, our client to our server.</summary>
public sealed class CallKindTests
{
    [Fact]
    public async Task A_unary_call_brings_the_reply()
    {
        await using var server = await ProbeServer.StartAsync();
        var reply = await server.Client().UnaryAsync(new ProbeRequest { Text = "hello" });
        Assert.Equal("hello", reply.Text);
        Assert.Empty(server.Errors);
    }

    [Fact]
    public async Task A_blocking_unary_call_brings_the_reply()
    {
        await using var server = await ProbeServer.StartAsync();
        var reply = await Task.Run(() => server.Client().Unary(new ProbeRequest { Text = "hello" }));
        Assert.Equal("hello", reply.Text);
    }

    [Fact]
    public async Task A_server_stream_brings_every_reply_in_order_and_then_the_status()
    {
        await using var server = await ProbeServer.StartAsync();
        using var call = server.Client().ServerStream(new ProbeRequest { Text = "x", Count = 1000 });
        var index = 0;
        await foreach (var reply in call.ResponseStream.ReadAllAsync()) Assert.Equal(index++, reply.Index);
        Assert.Equal(1000, index);
        Assert.Equal(StatusCode.OK, call.GetStatus().StatusCode);
    }

    [Fact]
    public async Task A_client_stream_brings_one_reply_after_its_end()
    {
        await using var server = await ProbeServer.StartAsync();
        using var call = server.Client().ClientStream();
        foreach (var text in new[] { "a", "b", "c" }) await call.RequestStream.WriteAsync(new ProbeRequest { Text = text });
        await call.RequestStream.CompleteAsync();
        Assert.Equal("a,b,c", (await call).Text);
    }

    [Fact]
    public async Task A_duplex_call_answers_each_request_before_the_next_is_sent()
    {
        await using var server = await ProbeServer.StartAsync();
        using var call = server.Client().Duplex();
        for (var i = 0; i < 100; i++)
        {
            await call.RequestStream.WriteAsync(new ProbeRequest { Text = $"{i}" });
            Assert.True(await call.ResponseStream.MoveNext());
            Assert.Equal($"{i}", call.ResponseStream.Current.Text);
        }

        await call.RequestStream.CompleteAsync();
        Assert.False(await call.ResponseStream.MoveNext());
        Assert.Equal(StatusCode.OK, call.GetStatus().StatusCode);
    }

    [Fact]
    public async Task Many_calls_share_one_connection_at_once()
    {
        await using var server = await ProbeServer.StartAsync();
        var client = server.Client();
        var replies = await Task.WhenAll(Enumerable.Range(0, 500).Select(i => client.UnaryAsync(new ProbeRequest { Text = $"{i}" }).ResponseAsync));
        Assert.Equal(Enumerable.Range(0, 500).Select(i => $"{i}"), replies.Select(r => r.Text));
    }

    [Fact]
    public async Task A_stream_without_messages_has_only_a_status()
    {
        await using var server = await ProbeServer.StartAsync();
        using var call = server.Client().ServerStream(new ProbeRequest { Count = 0 });
        Assert.False(await call.ResponseStream.MoveNext());
        Assert.Equal(StatusCode.OK, call.GetStatus().StatusCode);
    }

    [Fact]
    public async Task Three_megabytes_travel_both_ways()
    {
        await using var server = await ProbeServer.StartAsync();
        var payload = new byte[3 << 20];
        Random.Shared.NextBytes(payload);
        var reply = await server.Client().UnaryAsync(new ProbeRequest { Payload = Google.Protobuf.ByteString.CopyFrom(payload) });
        Assert.Equal(payload, reply.Payload.ToByteArray());
    }
}
