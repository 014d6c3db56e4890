using Grpc.Core;
using Grpc.Net.Client;
using Mesh.Grpc.Tests.Server;
using Mesh.Testing.Protocol;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http.Features;

namespace Mesh.Grpc.Tests;

public sealed class CancellationTests
{
    [Fact]
    public async Task Cancelling_a_call_reaches_the_method()
    {
        await using var server = await ProbeServer.StartAsync();
        using var cancel = new CancellationTokenSource();
        using var call = server.Client().UnaryAsync(new ProbeRequest { Hang = true }, cancellationToken: cancel.Token);
        await server.Service.Hanging.WaitAsync();
        await cancel.CancelAsync();
        var e = await Assert.ThrowsAsync<RpcException>(() => call.ResponseAsync);
        Assert.Equal(StatusCode.Cancelled, e.StatusCode);
        await server.Service.Left.WaitAsync();
        Assert.Single(server.Service.Cancelled);
        Assert.Empty(server.Errors);
    }

    [Fact]
    public async Task Disposing_a_duplex_call_reaches_the_method()
    {
        await using var server = await ProbeServer.StartAsync();
        using (var call = server.Client().Duplex())
        {
            await call.RequestStream.WriteAsync(new ProbeRequest { Text = "a" });
            Assert.True(await call.ResponseStream.MoveNext());
        }

        await server.Service.Left.WaitAsync();
        Assert.Single(server.Service.Cancelled);
        Assert.Empty(server.Errors);
    }

    [Fact]
    public async Task Disposing_the_channel_cancels_its_calls()
    {
        await using var server = await ProbeServer.StartAsync();
        var channel = server.Channel();
        var call = new Probe.ProbeClient(channel).UnaryAsync(new ProbeRequest { Hang = true });
        await server.Service.Hanging.WaitAsync();
        channel.Dispose();
        Assert.Equal(StatusCode.Cancelled, (await Assert.ThrowsAsync<RpcException>(() => call.ResponseAsync)).StatusCode);
        await server.Service.Left.WaitAsync();
    }

    [Fact]
    public async Task A_cancelled_read_ends_the_call()
    {
        await using var server = await ProbeServer.StartAsync();
        using var call = server.Client().Duplex();
        using var cancel = new CancellationTokenSource();
        await call.RequestStream.WriteAsync(new ProbeRequest { Text = "a" });
        Assert.True(await call.ResponseStream.MoveNext(cancel.Token));
        var read = call.ResponseStream.MoveNext(cancel.Token);
        await cancel.CancelAsync();
        Assert.Equal(StatusCode.Cancelled, (await Assert.ThrowsAsync<RpcException>(() => read)).StatusCode);
        await server.Service.Left.WaitAsync();
    }

    [Fact]
    public async Task A_token_cancelled_before_the_call_fails_it_at_once()
    {
        await using var server = await ProbeServer.StartAsync();
        var e = await Assert.ThrowsAsync<RpcException>(async () => await server.Client().UnaryAsync(new ProbeRequest(), cancellationToken: new CancellationToken(true)));
        Assert.Equal(StatusCode.Cancelled, e.StatusCode);
    }

    [Fact]
    public async Task A_server_that_is_not_there_is_Unavailable()
    {
        Uri address;
        await using (var server = await ProbeServer.StartAsync()) address = server.Address;
        using var channel = GrpcChannel.ForAddress(address);
        var client = new Probe.ProbeClient(channel);
        Assert.Equal(StatusCode.Unavailable, (await Assert.ThrowsAsync<RpcException>(async () => await client.UnaryAsync(new ProbeRequest()))).StatusCode);
        using var call = client.Duplex();
        Assert.Equal(StatusCode.Unavailable, (await Assert.ThrowsAsync<RpcException>(() => call.RequestStream.WriteAsync(new ProbeRequest()))).StatusCode);
        Assert.Equal(StatusCode.Unavailable, (await Assert.ThrowsAsync<RpcException>(() => call.ResponseStream.MoveNext())).StatusCode);
        Assert.Equal(StatusCode.Unavailable, (await Assert.ThrowsAsync<RpcException>(() => call.ResponseHeadersAsync)).StatusCode);
    }

    [Fact]
    public async Task A_channel_finds_its_server_again_after_a_restart()
    {
        var first = await ProbeServer.StartAsync();
        using var channel = first.Channel();
        var client = new Probe.ProbeClient(channel);
        await client.UnaryAsync(new ProbeRequest());
        await first.DisposeAsync();
        Assert.Equal(StatusCode.Unavailable, (await Assert.ThrowsAsync<RpcException>(async () => await client.UnaryAsync(new ProbeRequest()))).StatusCode);
        await using var second = await ProbeServer.StartAsync(port: first.Address.Port);
        Assert.Equal("again", (await client.UnaryAsync(new ProbeRequest { Text = "again" })).Text);
    }

    [Fact]
    public async Task A_connection_that_breaks_in_a_call_is_Unavailable()
    {
        await using var server = await ProbeServer.StartAsync(map: app => app.Use(async (http, next) =>
        {
            if (http.Request.Headers.ContainsKey("cut")) http.Features.GetRequiredFeature<Microsoft.AspNetCore.Connections.Features.IConnectionLifetimeFeature>().Abort();
            await next(http);
        }));
        var e = await Assert.ThrowsAsync<RpcException>(async () => await server.Client().UnaryAsync(new ProbeRequest(), new Metadata { { "cut", "1" } }));
        Assert.Equal(StatusCode.Unavailable, e.StatusCode);
        Assert.Empty(server.Errors);
    }

    [Fact]
    public async Task A_server_that_stops_ends_its_streams_with_Unavailable_and_waits_for_unary_calls()
    {
        var server = await ProbeServer.StartAsync();
        var client = server.Client();
        using var stream = client.Duplex();
        await stream.RequestStream.WriteAsync(new ProbeRequest { Text = "a" });
        Assert.True(await stream.ResponseStream.MoveNext());
        var unary = client.UnaryAsync(new ProbeRequest { IgnoreCancellation = true, Text = "done" });
        await server.Service.Hanging.WaitAsync();

        var stopping = server.StopAsync();
        Assert.Equal(StatusCode.Unavailable, (await Assert.ThrowsAsync<RpcException>(() => stream.ResponseStream.MoveNext())).StatusCode);
        server.Service.Release.SetResult();
        Assert.Equal("done", (await unary).Text);
        await stopping;
        Assert.Empty(server.Errors);
        await server.DisposeAsync();
    }
}
