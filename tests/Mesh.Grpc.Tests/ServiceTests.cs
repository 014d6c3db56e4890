using Google.Protobuf.Reflection;
using Grpc.Core;
using Grpc.Health.V1;
using Grpc.HealthCheck;
using Grpc.Reflection.V1;
using Mesh.Grpc.Tests.Server;
using Mesh.Testing.Protocol;
using Microsoft.AspNetCore.Builder;
using ServingStatus = Grpc.Health.V1.HealthCheckResponse.Types.ServingStatus;

namespace Mesh.Grpc.Tests;

/// <summary>The services that come with the library.</summary>
public sealed class ServiceTests
{
    [Fact]
    public async Task Health_says_what_was_said_of_each_service()
    {
        var health = new HealthServiceImpl();
        await using var server = await ProbeServer.StartAsync(map: app => app.MapGrpcService(health));
        var client = new Health.HealthClient(server.Channel());
        Assert.Equal(StatusCode.NotFound, (await Assert.ThrowsAsync<RpcException>(async () => await client.CheckAsync(new HealthCheckRequest()))).StatusCode);
        health.SetStatus("", ServingStatus.Serving);
        health.SetStatus("a", ServingStatus.NotServing);
        Assert.Equal(ServingStatus.Serving, (await client.CheckAsync(new HealthCheckRequest())).Status);
        Assert.Equal(ServingStatus.NotServing, (await client.CheckAsync(new HealthCheckRequest { Service = "a" })).Status);
        Assert.Equal(2, (await client.ListAsync(new HealthListRequest())).Statuses.Count);
        health.ClearStatus("a");
        Assert.Equal(StatusCode.NotFound, (await Assert.ThrowsAsync<RpcException>(async () => await client.CheckAsync(new HealthCheckRequest { Service = "a" }))).StatusCode);
    }

    [Fact]
    public async Task A_watch_tells_the_present_status_and_every_change()
    {
        var health = new HealthServiceImpl();
        await using var server = await ProbeServer.StartAsync(map: app => app.MapGrpcService(health));
        using var watch = new Health.HealthClient(server.Channel()).Watch(new HealthCheckRequest { Service = "a" });
        Assert.Equal(ServingStatus.ServiceUnknown, await NextAsync());
        health.SetStatus("a", ServingStatus.Serving);
        Assert.Equal(ServingStatus.Serving, await NextAsync());
        // Neither of these is a change of a.
        health.SetStatus("a", ServingStatus.Serving);
        health.SetStatus("b", ServingStatus.NotServing);
        health.Shutdown();
        Assert.Equal(ServingStatus.NotServing, await NextAsync());
        health.SetStatus("a", ServingStatus.Serving);
        Assert.Equal(ServingStatus.NotServing, (await new Health.HealthClient(server.Channel()).CheckAsync(new HealthCheckRequest { Service = "a" })).Status);

        async Task<ServingStatus> NextAsync()
        {
            Assert.True(await watch.ResponseStream.MoveNext());
            return watch.ResponseStream.Current.Status;
        }
    }

    [Fact]
    public async Task Reflection_lists_the_services_and_gives_their_files()
    {
        await using var server = await ProbeServer.StartAsync(map: app => app.MapGrpcReflectionService());
        using var call = new ServerReflection.ServerReflectionClient(server.Channel()).ServerReflectionInfo();

        var list = await AskAsync(new ServerReflectionRequest { ListServices = "*" });
        Assert.Equal(["grpc.reflection.v1.ServerReflection", "mesh.testing.v1.Probe"], list.ListServicesResponse.Service.Select(s => s.Name).Order());

        foreach (var symbol in new[] { "mesh.testing.v1.Probe", "mesh.testing.v1.Probe.Unary", "mesh.testing.v1.ProbeReply", "mesh.testing.v1.ProbeReply.text" })
        {
            var file = await AskAsync(new ServerReflectionRequest { FileContainingSymbol = symbol });
            Assert.Equal("testing.proto", FileDescriptorProto.Parser.ParseFrom(Assert.Single(file.FileDescriptorResponse.FileDescriptorProto)).Name);
        }

        var byName = await AskAsync(new ServerReflectionRequest { FileByFilename = "testing.proto", Host = "here" });
        Assert.Equal(TestingReflection.Descriptor.SerializedData, byName.FileDescriptorResponse.FileDescriptorProto[0]);
        Assert.Equal("here", byName.ValidHost);
        Assert.Equal("testing.proto", byName.OriginalRequest.FileByFilename);

        Assert.Equal((int)StatusCode.NotFound, (await AskAsync(new ServerReflectionRequest { FileContainingSymbol = "no.such.Thing" })).ErrorResponse.ErrorCode);
        Assert.Equal((int)StatusCode.NotFound, (await AskAsync(new ServerReflectionRequest { FileByFilename = "no.proto" })).ErrorResponse.ErrorCode);
        Assert.Equal((int)StatusCode.NotFound, (await AskAsync(new ServerReflectionRequest { FileContainingExtension = new ExtensionRequest { ContainingType = "x", ExtensionNumber = 1 } })).ErrorResponse.ErrorCode);
        Assert.Empty((await AskAsync(new ServerReflectionRequest { AllExtensionNumbersOfType = "mesh.testing.v1.ProbeReply" })).AllExtensionNumbersResponse.ExtensionNumber);
        Assert.Equal((int)StatusCode.InvalidArgument, (await AskAsync(new ServerReflectionRequest())).ErrorResponse.ErrorCode);
        await call.RequestStream.CompleteAsync();
        Assert.False(await call.ResponseStream.MoveNext());

        async Task<ServerReflectionResponse> AskAsync(ServerReflectionRequest request)
        {
            await call.RequestStream.WriteAsync(request);
            Assert.True(await call.ResponseStream.MoveNext());
            return call.ResponseStream.Current;
        }
    }

    [Fact]
    public async Task Reflection_answers_to_its_older_name()
    {
        await using var server = await ProbeServer.StartAsync(map: app => app.MapGrpcReflectionService());
        var answer = await new RawCall
        {
            Path = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
            Body = RawCall.Frame(new ServerReflectionRequest { ListServices = "" }),
        }.SendAsync(server);
        Assert.Equal(0, answer.Status);
        Assert.NotEmpty(ServerReflectionResponse.Parser.ParseFrom(answer.Body.AsSpan(5)).ListServicesResponse.Service);
    }

    [Fact]
    public async Task A_shared_message_is_serialised_once_for_many_streams()
    {
        var shared = new SharedMessage<ProbeReply>(new ProbeReply { Text = "for all" });
        await using var server = await ProbeServer.StartAsync();
        server.Service.Shared = shared;
        var client = server.Client();
        await Task.WhenAll(Enumerable.Range(0, 20).Select(async _ =>
        {
            using var call = client.ServerStream(new ProbeRequest());
            Assert.True(await call.ResponseStream.MoveNext());
            Assert.Equal("for all", call.ResponseStream.Current.Text);
            Assert.False(await call.ResponseStream.MoveNext());
        }));
        Assert.True(shared.Frame.Span == shared.Frame.Span, "the bytes are kept");
        Assert.Equal(RawCall.Frame(shared.Value), shared.Frame.ToArray());
    }

    [Fact]
    public async Task A_service_that_was_not_generated_is_refused_at_start()
    {
        var e = await Assert.ThrowsAsync<InvalidOperationException>(() => ProbeServer.StartAsync(map: app => app.MapGrpcService(new object())));
        Assert.Contains("not derived from a generated gRPC service base", e.Message, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Services_without_AddGrpc_are_refused_at_start()
    {
        await using var app = WebApplication.CreateSlimBuilder().Build();
        Assert.Throws<InvalidOperationException>(() => app.MapGrpcService(new HealthServiceImpl()));
    }

    [Fact]
    public async Task The_context_tells_who_calls_and_until_when()
    {
        await using var server = await ProbeServer.StartAsync();
        var deadline = TimeProvider.System.GetUtcNow().UtcDateTime.AddMinutes(5);
        await server.Client().UnaryAsync(new ProbeRequest(), deadline: deadline);
        var seen = server.Service.LastCall!;
        Assert.StartsWith("ipv4:127.0.0.1:", seen.Peer, StringComparison.Ordinal);
        Assert.Equal("/mesh.testing.v1.Probe/Unary", seen.Method);
        Assert.Equal(server.Address.Authority, seen.Host);
        Assert.InRange(seen.Deadline, deadline.AddSeconds(-30), deadline.AddSeconds(30));
        await server.Client().UnaryAsync(new ProbeRequest());
        Assert.Equal(DateTime.MaxValue, server.Service.LastCall!.Deadline);
    }
}
