using Grpc.Core;
using Mesh.Grpc.Tests.Server;
using Mesh.Testing;
using Mesh.Testing.Protocol;

namespace Mesh.Grpc.Tests;

public sealed class DeadlineTests
{
    private static readonly ProbeRequest Hang = new() { Hang = true };

    [Fact]
    public async Task A_call_ends_at_its_deadline_on_the_client()
    {
        await using var server = await ProbeServer.StartAsync();
        var time = new ManualTime();
        using var call = server.Client(o => o.TimeProvider = time).UnaryAsync(Hang, deadline: time.GetUtcNow().UtcDateTime.AddSeconds(5));
        await server.Service.Hanging.WaitAsync();
        time.Advance(TimeSpan.FromSeconds(5));
        var e = await Assert.ThrowsAsync<RpcException>(() => call.ResponseAsync);
        Assert.Equal(StatusCode.DeadlineExceeded, e.StatusCode);
        Assert.Equal(StatusCode.DeadlineExceeded, call.GetStatus().StatusCode);
        await server.Service.Left.WaitAsync();
        Assert.Empty(server.Errors);
    }

    [Fact]
    public async Task A_deadline_in_the_past_fails_without_a_request()
    {
        await using var server = await ProbeServer.StartAsync();
        var e = await Assert.ThrowsAsync<RpcException>(async () => await server.Client().UnaryAsync(Hang, deadline: new DateTime(2000, 1, 1, 0, 0, 0, DateTimeKind.Utc)));
        Assert.Equal(StatusCode.DeadlineExceeded, e.StatusCode);
        Assert.Equal(0, server.Service.Hanging.CurrentCount);
    }

    [Fact]
    public async Task The_server_ends_a_call_at_its_deadline_and_cancels_the_method()
    {
        var time = new ManualTime();
        await using var server = await ProbeServer.StartAsync(o => o.TimeProvider = time);
        var answer = new RawCall { Body = RawCall.Frame(Hang) }.With("grpc-timeout", "5S").SendAsync(server);
        await server.Service.Hanging.WaitAsync();
        time.Advance(TimeSpan.FromSeconds(4.9));
        Assert.False(answer.IsCompleted);
        time.Advance(TimeSpan.FromSeconds(0.1));
        Assert.Equal((int)StatusCode.DeadlineExceeded, (await answer).Status);
        await server.Service.Left.WaitAsync();
        Assert.Equal("/mesh.testing.v1.Probe/Unary", Assert.Single(server.Service.Cancelled));
        Assert.Empty(server.Errors);
    }

    [Fact]
    public async Task A_deadline_that_passes_while_the_call_begins_is_no_failure()
    {
        await using var server = await ProbeServer.StartAsync(o => o.TimeProvider = new ImpatientTime());
        var answer = await new RawCall { Path = "/mesh.testing.v1.Probe/Duplex", Body = RawCall.Frame(new ProbeRequest()) }.With("grpc-timeout", "1S").With("grpc-accept-encoding", "gzip").SendAsync(server);
        Assert.Equal((int)StatusCode.DeadlineExceeded, answer.Status);
        Assert.Empty(server.Errors);
    }

    [Fact]
    public async Task The_server_answers_at_the_deadline_even_if_the_method_does_not_listen()
    {
        var time = new ManualTime();
        await using var server = await ProbeServer.StartAsync(o => o.TimeProvider = time);
        var answer = new RawCall { Body = RawCall.Frame(new ProbeRequest { IgnoreCancellation = true }) }.With("grpc-timeout", "1S").SendAsync(server);
        await server.Service.Hanging.WaitAsync();
        time.Advance(TimeSpan.FromSeconds(1));
        Assert.Equal((int)StatusCode.DeadlineExceeded, (await answer).Status);
        Assert.Equal(0, server.Service.Left.CurrentCount);
        server.Service.Release.SetResult();
        await server.Service.Left.WaitAsync();
        Assert.Empty(server.Errors);
    }

    [Fact]
    public async Task The_server_ends_a_stream_that_waits_for_requests_at_its_deadline()
    {
        var time = new ManualTime();
        await using var server = await ProbeServer.StartAsync(o => o.TimeProvider = time);
        using var call = server.Client().Duplex(deadline: TimeProvider.System.GetUtcNow().UtcDateTime.AddHours(1));
        await call.RequestStream.WriteAsync(new ProbeRequest { Text = "a" });
        Assert.True(await call.ResponseStream.MoveNext());
        time.Advance(TimeSpan.FromHours(2));
        var e = await Assert.ThrowsAsync<RpcException>(() => call.ResponseStream.MoveNext());
        Assert.Equal(StatusCode.DeadlineExceeded, e.StatusCode);
        await server.Service.Left.WaitAsync();
    }

    [Theory]
    [InlineData("0n", StatusCode.DeadlineExceeded)]
    [InlineData("5", StatusCode.Internal)]
    [InlineData("S", StatusCode.Internal)]
    [InlineData("-5S", StatusCode.Internal)]
    [InlineData("123456789S", StatusCode.Internal)]
    [InlineData("5x", StatusCode.Internal)]
    public async Task A_timeout_that_is_over_or_malformed_is_refused_before_the_method_runs(string timeout, StatusCode status)
    {
        await using var server = await ProbeServer.StartAsync();
        var answer = await new RawCall { Body = RawCall.Frame(Hang) }.With("grpc-timeout", timeout).SendAsync(server);
        Assert.Equal((int)status, answer.Status);
        Assert.Equal(0, server.Service.Hanging.CurrentCount);
    }

    [Fact]
    public async Task A_call_that_ends_in_time_is_not_touched_by_its_deadline()
    {
        var time = new ManualTime();
        await using var server = await ProbeServer.StartAsync(o => o.TimeProvider = time);
        var answer = await new RawCall { Body = RawCall.Frame(new ProbeRequest { Text = "x" }) }.With("grpc-timeout", "1S").SendAsync(server);
        Assert.Equal(0, answer.Status);
        time.Advance(TimeSpan.FromMinutes(1));
        Assert.Equal(0, time.PendingTimers);
        Assert.Empty(server.Errors);
    }

    /// <summary>Every timer fires while it is being made.</summary>
    private sealed class ImpatientTime : TimeProvider
    {
        public override ITimer CreateTimer(TimerCallback callback, object? state, TimeSpan dueTime, TimeSpan period)
        {
            callback(state);
            return base.CreateTimer(_ => { }, null, Timeout.InfiniteTimeSpan, Timeout.InfiniteTimeSpan);
        }
    }
}
