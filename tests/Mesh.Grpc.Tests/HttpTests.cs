using System.Net;
using Grpc.Core;
using Grpc.Net.Client;
using Mesh.Grpc.Tests.Server;
using Mesh.Testing.Protocol;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Hosting;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Server.Kestrel.Core;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Options;

namespace Mesh.Grpc.Tests;

/// <summary>What is not gRPC, on either side.</summary>
public sealed class HttpTests
{
    [Theory]
    [InlineData("application/grpc", HttpStatusCode.OK)]
    [InlineData("application/grpc+proto", HttpStatusCode.OK)]
    [InlineData("application/grpc; charset=utf-8", HttpStatusCode.OK)]
    [InlineData("application/grpc+json", HttpStatusCode.UnsupportedMediaType)]
    [InlineData("application/grpc-web", HttpStatusCode.UnsupportedMediaType)]
    [InlineData("application/json", HttpStatusCode.UnsupportedMediaType)]
    public async Task Only_gRPC_content_reaches_a_method(string contentType, HttpStatusCode expected)
    {
        await using var server = await ProbeServer.StartAsync();
        var answer = await new RawCall { ContentType = contentType, Body = RawCall.Frame(new ProbeRequest()) }.SendAsync(server);
        Assert.Equal(expected, answer.Code);
        Assert.Equal(expected == HttpStatusCode.OK ? 0 : null, answer.Status);
    }

    [Fact]
    public async Task A_get_finds_nothing()
    {
        await using var server = await ProbeServer.StartAsync();
        Assert.Equal(HttpStatusCode.NotFound, (await new RawCall { Method = HttpMethod.Get }.SendAsync(server)).Code);
    }

    [Fact]
    public async Task Requests_beside_gRPC_keep_their_answers()
    {
        await using var server = await ProbeServer.StartAsync(map: app => app.MapGet("/a/b", () => "other"));
        Assert.Equal(HttpStatusCode.OK, (await new RawCall { Method = HttpMethod.Get, Path = "/a/b" }.SendAsync(server)).Code);
        Assert.Equal(HttpStatusCode.NotFound, (await new RawCall { Method = HttpMethod.Get, Path = "/a/c" }.SendAsync(server)).Code);
        Assert.Equal(HttpStatusCode.NotFound, (await new RawCall { Path = "/a/c", ContentType = "text/plain" }.SendAsync(server)).Code);
    }

    [Fact]
    public async Task Http_1_is_asked_to_upgrade()
    {
        await using var server = await ProbeServer.StartAsync(protocols: HttpProtocols.Http1);
        var answer = await new RawCall { Version = HttpVersion.Version11, Body = RawCall.Frame(new ProbeRequest()) }.SendAsync(server);
        Assert.Equal(HttpStatusCode.UpgradeRequired, answer.Code);
    }

    [Theory]
    [InlineData(400, StatusCode.Internal)]
    [InlineData(401, StatusCode.Unauthenticated)]
    [InlineData(403, StatusCode.PermissionDenied)]
    [InlineData(404, StatusCode.Unimplemented)]
    [InlineData(429, StatusCode.Unavailable)]
    [InlineData(502, StatusCode.Unavailable)]
    [InlineData(503, StatusCode.Unavailable)]
    [InlineData(504, StatusCode.Unavailable)]
    [InlineData(500, StatusCode.Unknown)]
    [InlineData(200, StatusCode.Unknown)]
    public async Task An_answer_that_is_not_gRPC_maps_to_a_status(int http, StatusCode expected)
    {
        await using var server = await ProbeServer.StartAsync(map: app => app.Use(async (HttpContext context, RequestDelegate _) =>
        {
            context.Response.StatusCode = http;
            await context.Response.WriteAsync("plain words");
        }));
        var e = await Assert.ThrowsAsync<RpcException>(async () => await server.Client().UnaryAsync(new ProbeRequest()));
        Assert.Equal(expected, e.StatusCode);
    }

    [Fact]
    public async Task A_response_that_ends_without_a_status_is_Unknown()
    {
        await using var server = await ProbeServer.StartAsync(map: app => app.Use(async (HttpContext context, RequestDelegate _) =>
        {
            context.Response.ContentType = "application/grpc";
            await context.Response.BodyWriter.WriteAsync(RawCall.Frame(new ProbeReply()));
        }));
        Assert.Equal(StatusCode.Unknown, (await Assert.ThrowsAsync<RpcException>(async () => await server.Client().UnaryAsync(new ProbeRequest()))).StatusCode);
    }

    [Theory]
    [InlineData(new byte[] { 7, 0, 0, 0, 0 })]
    [InlineData(new byte[] { 0, 0, 0, 0, 9, 1 })]
    [InlineData(new byte[] { 0, 0, 0, 0, 1, 0xff })]
    [InlineData(new byte[] { 1, 0, 0, 0, 0 })]
    [InlineData(new byte[] { 0, 0, 0, 0, 0, 0, 0, 0, 0, 0 })]
    [InlineData(new byte[0])]
    public async Task A_broken_response_is_Internal(byte[] body)
    {
        await using var server = await ProbeServer.StartAsync(map: app => app.Use(async (HttpContext context, RequestDelegate _) =>
        {
            context.Response.ContentType = "application/grpc";
            await context.Response.BodyWriter.WriteAsync(body);
            context.Response.AppendTrailer("grpc-status", "0");
        }));
        Assert.Equal(StatusCode.Internal, (await Assert.ThrowsAsync<RpcException>(async () => await server.Client().UnaryAsync(new ProbeRequest()))).StatusCode);
    }

    [Fact]
    public async Task Every_connection_is_pinged_unless_the_host_says_otherwise()
    {
        await using var server = await ProbeServer.StartAsync(o => o.KeepAlivePingDelay = TimeSpan.FromSeconds(7));
        var limits = server.Services.GetRequiredService<IOptions<KestrelServerOptions>>().Value.Limits.Http2;
        Assert.Equal(TimeSpan.FromSeconds(7), limits.KeepAlivePingDelay);

        await using var other = await ProbeServer.StartAsync(build: b => b.WebHost.ConfigureKestrel(k => k.Limits.Http2.KeepAlivePingDelay = TimeSpan.FromSeconds(9)));
        Assert.Equal(TimeSpan.FromSeconds(9), other.Services.GetRequiredService<IOptions<KestrelServerOptions>>().Value.Limits.Http2.KeepAlivePingDelay);
    }

    [Fact]
    public void A_channel_wants_an_http_address() => Assert.Throws<ArgumentException>(() => GrpcChannel.ForAddress("unix:///x"));
}
