using System.Collections.Concurrent;
using Google.Protobuf;
using Grpc.Core;
using Mesh.Grpc.Tests.Server;
using Mesh.Testing.Protocol;
using Microsoft.AspNetCore.Builder;

namespace Mesh.Grpc.Tests;

/// <summary>How methods write their responses, and clients their requests.</summary>
public sealed class StreamWritingTests
{
    [Fact]
    public async Task A_second_write_while_one_waits_is_refused()
    {
        var writer = new WritingService(async stream =>
        {
            // The client does not read: some write waits for its window.
            var large = new ProbeReply { Payload = ByteString.CopyFrom(new byte[1 << 20]) };
            Task waiting;
            do waiting = stream.WriteAsync(large);
            while (waiting.IsCompletedSuccessfully);
            var refused = await Assert.ThrowsAsync<InvalidOperationException>(() => stream.WriteAsync(large));
            Assert.Contains("another write", refused.Message, StringComparison.Ordinal);
            return waiting;
        });
        await using var server = await writer.StartAsync();
        using (writer.Call(server)) await writer.Done.Task.WaitAsync(TimeSpan.FromSeconds(30));
        Assert.Empty(server.Errors);
    }

    [Fact]
    public async Task Buffered_messages_leave_with_the_next_flush()
    {
        var writer = new WritingService(async stream =>
        {
            stream.WriteOptions = new WriteOptions(WriteFlags.BufferHint);
            for (var i = 0; i < 10; i++) await stream.WriteAsync(new ProbeReply { Index = i });
            return Task.CompletedTask;
        });
        await using var server = await writer.StartAsync();
        using var call = writer.Call(server);
        var replies = new List<int>();
        await foreach (var reply in call.ResponseStream.ReadAllAsync()) replies.Add(reply.Index);
        Assert.Equal(Enumerable.Range(0, 10), replies);
    }

    [Fact]
    public async Task A_status_waits_for_a_write_that_nobody_waited_for()
    {
        var writer = new WritingService(stream =>
        {
            _ = stream.WriteAsync(new ProbeReply { Payload = ByteString.CopyFrom(new byte[3 << 20]) });
            return Task.FromResult(Task.CompletedTask);
        });
        await using var server = await writer.StartAsync();
        using var call = writer.Call(server);
        Assert.True(await call.ResponseStream.MoveNext());
        Assert.Equal(3 << 20, call.ResponseStream.Current.Payload.Length);
        Assert.False(await call.ResponseStream.MoveNext());
        Assert.Equal(StatusCode.OK, call.GetStatus().StatusCode);
    }

    [Fact]
    public async Task A_write_after_the_end_of_the_call_is_refused()
    {
        IServerStreamWriter<ProbeReply>? kept = null;
        var writer = new WritingService(stream =>
        {
            kept = stream;
            return Task.FromResult(Task.CompletedTask);
        });
        await using var server = await writer.StartAsync();
        using var call = writer.Call(server);
        Assert.False(await call.ResponseStream.MoveNext());
        await writer.Done.Task;
        await Assert.ThrowsAsync<InvalidOperationException>(() => kept!.WriteAsync(new ProbeReply()));
    }

    [Fact]
    public async Task A_shared_message_goes_through_writers_that_are_not_ours()
    {
        var other = new ListWriter();
        await other.WriteAsync(new SharedMessage<ProbeReply>(new ProbeReply { Text = "x" }), CancellationToken.None);
        Assert.Equal("x", Assert.Single(other.Written).Text);
    }

    [Fact]
    public async Task A_client_writes_one_request_at_a_time_and_none_after_the_last()
    {
        await using var server = await ProbeServer.StartAsync();
        using var call = server.Client().ClientStream();
        await call.RequestStream.WriteAsync(new ProbeRequest { Text = "a" });
        await call.RequestStream.CompleteAsync();
        await Assert.ThrowsAsync<InvalidOperationException>(() => call.RequestStream.WriteAsync(new ProbeRequest()));
        Assert.Equal("a", (await call).Text);
    }

    [Fact]
    public async Task A_client_that_writes_to_a_call_that_failed_learns_its_status()
    {
        await using var server = await ProbeServer.StartAsync();
        using var call = server.Client().ClientStream();
        await call.RequestStream.WriteAsync(new ProbeRequest { FailWith = (int)StatusCode.OutOfRange });
        Assert.Equal(StatusCode.OutOfRange, (await Assert.ThrowsAsync<RpcException>(async () => await call)).StatusCode);
        Assert.Equal(StatusCode.OutOfRange, (await Assert.ThrowsAsync<RpcException>(() => call.RequestStream.WriteAsync(new ProbeRequest()))).StatusCode);
    }

    /// <summary>A server stream that a test writes by hand. What the test returns is left behind when the method returns.</summary>
    private sealed class WritingService(Func<IServerStreamWriter<ProbeReply>, Task<Task>> write)
    {
        public TaskCompletionSource Done { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

        private static Method<ProbeRequest, ProbeReply> Method { get; } = new(
            MethodType.ServerStreaming,
            "by.hand.Writing",
            "Write",
            Marshallers.Create(m => m.ToByteArray(), ProbeRequest.Parser.ParseFrom),
            Marshallers.Create(m => m.ToByteArray(), ProbeReply.Parser.ParseFrom));

        public Task<ProbeServer> StartAsync() => ProbeServer.StartAsync(map: app => app.MapGrpcService(
            ServerServiceDefinition.CreateBuilder().AddMethod(Method, WriteAsync).Build()));

        public AsyncServerStreamingCall<ProbeReply> Call(ProbeServer server) =>
            server.Channel().CreateCallInvoker().AsyncServerStreamingCall(Method, null, default, new ProbeRequest());

        private async Task WriteAsync(ProbeRequest request, IServerStreamWriter<ProbeReply> stream, ServerCallContext context)
        {
            try
            {
                _ = await write(stream);
            }
            catch (Exception e)
            {
                Done.SetException(e);
                throw;
            }

            Done.SetResult();
        }
    }

    private sealed class ListWriter : IServerStreamWriter<ProbeReply>
    {
        public ConcurrentQueue<ProbeReply> Written { get; } = new();

        public WriteOptions? WriteOptions { get; set; }

        public Task WriteAsync(ProbeReply message)
        {
            Written.Enqueue(message);
            return Task.CompletedTask;
        }
    }
}
