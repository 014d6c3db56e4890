using Google.Protobuf;
using Grpc.Core;
using Mesh.Grpc.Tests.Server;
using Mesh.Testing.Protocol;

namespace Mesh.Grpc.Tests;

public sealed class SizeTests
{
    private static readonly ProbeRequest Large = new() { Payload = ByteString.CopyFrom(new byte[5 << 20]) };

    [Fact]
    public async Task A_server_refuses_a_message_over_its_limit()
    {
        await using var server = await ProbeServer.StartAsync();
        Assert.Equal(StatusCode.ResourceExhausted, (await Assert.ThrowsAsync<RpcException>(async () => await server.Client().UnaryAsync(Large))).StatusCode);
        using var call = server.Client().ClientStream();
        Assert.Equal(StatusCode.ResourceExhausted, (await Assert.ThrowsAsync<RpcException>(async () =>
        {
            await call.RequestStream.WriteAsync(Large);
            await call.RequestStream.CompleteAsync();
            await call;
        })).StatusCode);
        Assert.Empty(server.Errors);
    }

    [Fact]
    public async Task A_client_refuses_a_message_over_its_limit()
    {
        await using var server = await ProbeServer.StartAsync();
        var e = await Assert.ThrowsAsync<RpcException>(async () => await server.Client().UnaryAsync(new ProbeRequest { ReplySize = 5 << 20 }));
        Assert.Equal(StatusCode.ResourceExhausted, e.StatusCode);
    }

    [Fact]
    public async Task A_message_over_the_limit_of_its_sender_is_not_sent()
    {
        await using var server = await ProbeServer.StartAsync(o => o.MaxSendMessageSize = 1000);
        var client = server.Client(o => o.MaxSendMessageSize = 2000);
        Assert.Equal(StatusCode.ResourceExhausted, (await Assert.ThrowsAsync<RpcException>(async () => await client.UnaryAsync(new ProbeRequest { Payload = ByteString.CopyFrom(new byte[2000]) }))).StatusCode);
        Assert.Equal(StatusCode.ResourceExhausted, (await Assert.ThrowsAsync<RpcException>(async () => await client.UnaryAsync(new ProbeRequest { ReplySize = 1000 }))).StatusCode);
        Assert.Equal(900, (await client.UnaryAsync(new ProbeRequest { ReplySize = 900 })).Payload.Length);
        Assert.Empty(server.Errors);
    }

    [Fact]
    public async Task Limits_can_be_raised_and_lifted()
    {
        await using var server = await ProbeServer.StartAsync(o => o.MaxReceiveMessageSize = null);
        var client = server.Client(o => o.MaxReceiveMessageSize = 64 << 20);
        var reply = await client.UnaryAsync(new ProbeRequest { Payload = ByteString.CopyFrom(new byte[40 << 20]) });
        Assert.Equal(40 << 20, reply.Payload.Length);
    }
}
