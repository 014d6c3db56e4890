using System.Net;
using Google.Protobuf.WellKnownTypes;
using Google.Rpc;
using Grpc.Core;
using Mesh.Grpc.Tests.Server;
using Mesh.Testing.Protocol;
using Status = Grpc.Core.Status;

namespace Mesh.Grpc.Tests;

public sealed class StatusTests
{
    [Theory]
    [InlineData(StatusCode.PermissionDenied, "not yours")]
    [InlineData(StatusCode.Unauthenticated, "")]
    [InlineData(StatusCode.InvalidArgument, "100 % Übermut\nzweite Zeile 🙂")]
    public async Task The_status_a_method_chooses_arrives_with_its_sentence_and_trailers(StatusCode code, string sentence)
    {
        await using var server = await ProbeServer.StartAsync();
        var e = await Assert.ThrowsAsync<RpcException>(async () => await server.Client().UnaryAsync(new ProbeRequest { FailWith = (int)code, FailMessage = sentence }));
        Assert.Equal(code, e.StatusCode);
        Assert.Equal(sentence, e.Status.Detail);
        Assert.Equal("because", e.Trailers.GetValue("why"));
        Assert.Empty(server.Errors);
    }

    [Fact]
    public async Task A_status_after_some_messages_arrives_after_them()
    {
        await using var server = await ProbeServer.StartAsync();
        using var call = server.Client().ServerStream(new ProbeRequest { Count = 2, FailWith = 9, FailMessage = "no more" });
        Assert.True(await call.ResponseStream.MoveNext());
        Assert.True(await call.ResponseStream.MoveNext());
        var e = await Assert.ThrowsAsync<RpcException>(() => call.ResponseStream.MoveNext());
        Assert.Equal(StatusCode.FailedPrecondition, e.StatusCode);
        Assert.Equal("because", call.GetTrailers().GetValue("why"));
        // It stays that way.
        Assert.Equal(StatusCode.FailedPrecondition, (await Assert.ThrowsAsync<RpcException>(() => call.ResponseStream.MoveNext())).StatusCode);
    }

    [Fact]
    public async Task An_unexpected_exception_is_Unknown_with_a_fixed_sentence_and_is_logged_once()
    {
        await using var server = await ProbeServer.StartAsync();
        var e = await Assert.ThrowsAsync<RpcException>(async () => await server.Client().UnaryAsync(new ProbeRequest { Crash = true }));
        Assert.Equal(new Status(StatusCode.Unknown, "The method failed."), e.Status with { DebugException = null });
        Assert.Contains("the inside story", Assert.Single(server.Errors), StringComparison.Ordinal);
    }

    [Fact]
    public async Task Detailed_errors_show_the_exception()
    {
        await using var server = await ProbeServer.StartAsync(o => o.EnableDetailedErrors = true);
        var e = await Assert.ThrowsAsync<RpcException>(async () => await server.Client().UnaryAsync(new ProbeRequest { Crash = true }));
        Assert.Contains("the inside story", e.Status.Detail, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_method_that_is_not_written_is_Unimplemented()
    {
        await using var server = await ProbeServer.StartAsync();
        var e = await Assert.ThrowsAsync<RpcException>(async () => await server.Client().NotWrittenAsync(new ProbeRequest()));
        Assert.Equal(StatusCode.Unimplemented, e.StatusCode);
    }

    [Theory]
    [InlineData("/mesh.testing.v1.Probe/Nothing")]
    [InlineData("/no.such.Service/Unary")]
    public async Task A_method_that_does_not_exist_is_Unimplemented(string path)
    {
        await using var server = await ProbeServer.StartAsync();
        var answer = await new RawCall { Path = path, Body = RawCall.Frame([]) }.SendAsync(server);
        Assert.Equal(HttpStatusCode.OK, answer.Code);
        Assert.Equal((int)StatusCode.Unimplemented, answer.Status);
    }

    [Fact]
    public async Task A_failure_before_any_message_is_trailers_only()
    {
        await using var server = await ProbeServer.StartAsync();
        var answer = await new RawCall { Body = RawCall.Frame(new ProbeRequest { FailWith = 5, FailMessage = "gone" }) }.SendAsync(server);
        Assert.Equal("5", answer.Header("grpc-status"));
        Assert.Equal("gone", answer.Header("grpc-message"));
        Assert.Equal("because", answer.Header("why"));
        Assert.Null(answer.Trailer("grpc-status"));
        Assert.Empty(answer.Body);
    }

    [Fact]
    public async Task A_reply_has_its_status_in_the_trailers()
    {
        await using var server = await ProbeServer.StartAsync();
        var answer = await new RawCall { Body = RawCall.Frame(new ProbeRequest { Text = "x" }) }.SendAsync(server);
        Assert.Null(answer.Header("grpc-status"));
        Assert.Equal("0", answer.Trailer("grpc-status"));
        Assert.Equal(RawCall.Frame(new ProbeReply { Text = "x" }), answer.Body);
    }

    [Fact]
    public async Task Details_of_a_status_arrive()
    {
        var status = new Google.Rpc.Status { Code = (int)StatusCode.InvalidArgument, Message = "two faults" };
        status.Details.Add(Any.Pack(new ErrorInfo { Reason = "BAD_CSR", Domain = "mesh" }));
        status.Details.Add(Any.Pack(new BadRequest { FieldViolations = { new BadRequest.Types.FieldViolation { Field = "csr", Description = "not DER" } } }));
        await using var server = await ProbeServer.StartAsync();
        server.Service.Failure = status.ToRpcException();

        var e = await Assert.ThrowsAsync<RpcException>(async () => await server.Client().UnaryAsync(new ProbeRequest { FailWithDetails = true }));
        Assert.Equal(new Status(StatusCode.InvalidArgument, "two faults"), e.Status with { DebugException = null });
        Assert.Equal(status, e.GetRpcStatus());
        Assert.Equal("not DER", e.GetRpcStatus()!.GetDetail<BadRequest>()!.FieldViolations[0].Description);
        Assert.Null(e.GetRpcStatus()!.GetDetail<RetryInfo>());
    }

    [Fact]
    public async Task Details_that_cannot_be_read_leave_the_status()
    {
        await using var server = await ProbeServer.StartAsync();
        server.Service.Failure = new RpcException(new Status(StatusCode.Aborted, "x"), new Metadata { { "grpc-status-details-bin", new byte[] { 0xff, 0xff } } });
        var e = await Assert.ThrowsAsync<RpcException>(async () => await server.Client().UnaryAsync(new ProbeRequest { FailWithDetails = true }));
        Assert.Equal(StatusCode.Aborted, e.StatusCode);
        Assert.Null(e.GetRpcStatus());
    }

    [Fact]
    public void A_failure_without_details_has_none() => Assert.Null(new RpcException(new Status(StatusCode.Aborted, "x")).GetRpcStatus());
}
