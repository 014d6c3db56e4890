using System.Diagnostics;
using Google.Protobuf;
using Google.Rpc;
using Grpc.Core;
using Grpc.Net.Client;
using Mesh.Testing;
using Mesh.Testing.Protocol;

namespace Mesh.Grpc.Tests.Interop;

/// <summary>Our client, their servers.</summary>
public abstract class TheirServerTests(TheirServerTests.Running server)
{
    private Probe.ProbeClient Client { get; } = new(server.ChannelOrSkip());

    [Fact]
    public async Task A_unary_call() => Assert.Equal("hello", (await Client.UnaryAsync(new ProbeRequest { Text = "hello" })).Text);

    [Fact]
    public async Task A_server_stream()
    {
        using var call = Client.ServerStream(new ProbeRequest { Count = 500 });
        var index = 0;
        await foreach (var reply in call.ResponseStream.ReadAllAsync()) Assert.Equal(index++, reply.Index);
        Assert.Equal(500, index);
    }

    [Fact]
    public async Task A_client_stream()
    {
        using var call = Client.ClientStream();
        foreach (var text in new[] { "a", "b", "c" }) await call.RequestStream.WriteAsync(new ProbeRequest { Text = text });
        await call.RequestStream.CompleteAsync();
        Assert.Equal("a,b,c", (await call).Text);
    }

    [Fact]
    public async Task A_duplex_call()
    {
        using var call = Client.Duplex();
        for (var i = 0; i < 50; i++)
        {
            await call.RequestStream.WriteAsync(new ProbeRequest { Text = $"{i}" });
            Assert.True(await call.ResponseStream.MoveNext());
            Assert.Equal($"{i}", call.ResponseStream.Current.Text);
        }

        await call.RequestStream.CompleteAsync();
        Assert.False(await call.ResponseStream.MoveNext());
    }

    [Fact]
    public async Task A_deadline()
    {
        var e = await Assert.ThrowsAsync<RpcException>(async () =>
            await Client.UnaryAsync(new ProbeRequest { Hang = true }, deadline: TimeProvider.System.GetUtcNow().UtcDateTime.AddMilliseconds(300)));
        Assert.Equal(StatusCode.DeadlineExceeded, e.StatusCode);
        await server.CancelledAsync();
    }

    [Fact]
    public async Task A_cancellation()
    {
        using (var call = Client.Duplex())
        {
            await call.RequestStream.WriteAsync(new ProbeRequest { Text = "a" });
            Assert.True(await call.ResponseStream.MoveNext());
        }

        await server.CancelledAsync();
    }

    [Fact]
    public async Task Headers_and_trailers()
    {
        var headers = new Metadata { { "echo-text", "plain words" }, { "echo-data-bin", new byte[] { 0, 1, 254, 255 } }, { "want-header", "early" } };
        using var call = Client.UnaryAsync(new ProbeRequest(), headers);
        Assert.Equal("early", (await call.ResponseHeadersAsync).GetValue("given-header"));
        await call;
        Assert.Equal("plain words", call.GetTrailers().GetValue("echo-text"));
        Assert.Equal(new byte[] { 0, 1, 254, 255 }, call.GetTrailers().GetValueBytes("echo-data-bin"));
    }

    [Fact]
    public async Task A_status()
    {
        var e = await Assert.ThrowsAsync<RpcException>(async () => await Client.UnaryAsync(new ProbeRequest { FailWith = 7, FailMessage = "nicht für dich: 100 %" }));
        Assert.Equal(StatusCode.PermissionDenied, e.StatusCode);
        Assert.Equal("nicht für dich: 100 %", e.Status.Detail);
        Assert.Equal("because", e.Trailers.GetValue("why"));
    }

    [Fact]
    public async Task A_status_after_messages()
    {
        using var call = Client.ServerStream(new ProbeRequest { Count = 1, FailWith = 10, FailMessage = "enough" });
        Assert.True(await call.ResponseStream.MoveNext());
        Assert.Equal(StatusCode.Aborted, (await Assert.ThrowsAsync<RpcException>(() => call.ResponseStream.MoveNext())).StatusCode);
    }

    [Fact]
    public async Task Details_of_a_status()
    {
        var e = await Assert.ThrowsAsync<RpcException>(async () => await Client.UnaryAsync(new ProbeRequest { FailWithDetails = true }));
        Assert.Equal(StatusCode.FailedPrecondition, e.StatusCode);
        Assert.Equal("NOT_READY", e.GetRpcStatus()!.GetDetail<ErrorInfo>()!.Reason);
    }

    [Fact]
    public async Task A_method_that_does_not_exist() =>
        Assert.Equal(StatusCode.Unimplemented, (await Assert.ThrowsAsync<RpcException>(async () => await Client.NotWrittenAsync(new ProbeRequest()))).StatusCode);

    [Fact]
    public async Task Three_megabytes()
    {
        var payload = new byte[3 << 20];
        Random.Shared.NextBytes(payload);
        Assert.Equal(payload, (await Client.UnaryAsync(new ProbeRequest { Payload = ByteString.CopyFrom(payload) })).Payload.ToByteArray());
    }

    [Fact]
    public async Task Gzip_both_ways()
    {
        var reply = await Client.UnaryAsync(new ProbeRequest { Text = new string('x', 200_000) }, new Metadata { { "grpc-internal-encoding-request", "gzip" } });
        Assert.Equal(200_000, reply.Text.Length);
    }

    [Fact]
    public async Task A_message_that_is_too_large_for_them() =>
        Assert.Equal(StatusCode.ResourceExhausted, (await Assert.ThrowsAsync<RpcException>(async () => await Client.UnaryAsync(new ProbeRequest { Payload = ByteString.CopyFrom(new byte[5 << 20]) }))).StatusCode);

    [Fact]
    public async Task A_message_that_is_too_large_for_us() =>
        Assert.Equal(StatusCode.ResourceExhausted, (await Assert.ThrowsAsync<RpcException>(async () => await Client.UnaryAsync(new ProbeRequest { ReplySize = 5 << 20 }))).StatusCode);

    /// <summary>The server of a stack in another process, where it is installed.</summary>
    public abstract class Running : IAsyncLifetime
    {
        private readonly Stack _stack;
        private readonly TemporaryDirectory _directory = new();
        private readonly SemaphoreSlim _cancelled = new(0);
        private Process? _process;
        private GrpcChannel? _channel;
        private Task _output = Task.CompletedTask;

        private protected Running(Stack stack) => _stack = stack;

        public async ValueTask InitializeAsync()
        {
            if (_stack.Missing is not null) return;
            Stack.WriteDescriptors(_directory.File("descriptors"));
            _process = _stack.Start("server", _directory.File("descriptors"));
            var line = await _process.StandardOutput.ReadLineAsync();
            if (line is null || !line.StartsWith("LISTENING ", StringComparison.Ordinal))
                throw new InvalidOperationException($"{_stack.Name} did not start: {await _process.StandardError.ReadToEndAsync()}");
            _output = ReadAsync(_process.StandardOutput);
            _channel = GrpcChannel.ForAddress("http://127.0.0.1:" + line["LISTENING ".Length..]);
        }

        public GrpcChannel ChannelOrSkip()
        {
            Assert.SkipUnless(_stack.Missing is null, $"{_stack.Name}: {_stack.Missing}");
            return _channel!;
        }

        /// <summary>Waits until the server has noticed a cancelled call.</summary>
        public Task CancelledAsync() => _cancelled.WaitAsync();

        public async ValueTask DisposeAsync()
        {
            _channel?.Dispose();
            if (_process is not null)
            {
                _process.Kill(entireProcessTree: true);
                await _process.WaitForExitAsync();
                await _output;
                _process.Dispose();
            }

            _cancelled.Dispose();
            _directory.Dispose();
            GC.SuppressFinalize(this);
        }

        private async Task ReadAsync(StreamReader output)
        {
            while (await output.ReadLineAsync() is { } line)
                if (line == "CANCELLED") _cancelled.Release();
        }
    }
}

/// <summary>Our client, the server of @grpc/grpc-js.</summary>
public sealed class GrpcJsServerTests(GrpcJsServerTests.NodeServer server) : TheirServerTests(server), IClassFixture<GrpcJsServerTests.NodeServer>
{
    public sealed class NodeServer() : Running(Stack.Node);
}

/// <summary>Our client, the server of python3-grpcio.</summary>
public sealed class PythonServerTests(PythonServerTests.PythonServer server) : TheirServerTests(server), IClassFixture<PythonServerTests.PythonServer>
{
    public sealed class PythonServer() : Running(Stack.Python);
}
