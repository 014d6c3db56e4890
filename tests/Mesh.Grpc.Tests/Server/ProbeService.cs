using System.Collections.Concurrent;
using Google.Protobuf;
using Google.Protobuf.WellKnownTypes;
using Google.Rpc;
using Grpc.Core;
using Mesh.Testing.Protocol;
using Status = Grpc.Core.Status;

namespace Mesh.Grpc.Tests.Server;

/// <summary>A service that does what each request asks of it.</summary>
internal sealed class ProbeService : Probe.ProbeBase
{
    /// <summary>One entry per call that saw its token fire, in order.</summary>
    public ConcurrentQueue<string> Cancelled { get; } = new();

    /// <summary>Released for each call that has begun to hang.</summary>
    public SemaphoreSlim Hanging { get; } = new(0);

    /// <summary>Released for each hanging call that has ended.</summary>
    public SemaphoreSlim Left { get; } = new(0);

    /// <summary>Lets the calls go that ignore cancellation.</summary>
    public TaskCompletionSource Release { get; } = new(TaskCreationOptions.RunContinuationsAsynchronously);

    /// <summary>What `fail_with_details` ends with.</summary>
    public RpcException Failure { get; set; } = Details();

    /// <summary>Put on every unary call; null: left alone.</summary>
    public WriteOptions? ReplyOptions { get; set; }

    /// <summary>Written first to every server stream; null: nothing is.</summary>
    public SharedMessage<ProbeReply>? Shared { get; set; }

    public SeenCall? LastCall { get; private set; }

    public override async Task<ProbeReply> Unary(ProbeRequest request, ServerCallContext context)
    {
        LastCall = new SeenCall(context.Method, context.Host, context.Peer, context.Deadline);
        context.WriteOptions = ReplyOptions;
        foreach (var entry in context.RequestHeaders)
            if (entry.Key.StartsWith("echo-", StringComparison.Ordinal)) context.ResponseTrailers.Add(entry);
        if (context.RequestHeaders.GetValue("want-header") is { } wanted) await context.WriteResponseHeadersAsync(new Metadata { { "given-header", wanted } });
        await ActAsync(request, context);
        return Reply(request, 0);
    }

    public override async Task ServerStream(ProbeRequest request, IServerStreamWriter<ProbeReply> responseStream, ServerCallContext context)
    {
        if (Shared is not null) await responseStream.WriteAsync(Shared, context.CancellationToken);
        for (var i = 0; i < request.Count; i++) await responseStream.WriteAsync(Reply(request, i), context.CancellationToken);
        await ActAsync(request, context);
    }

    public override async Task<ProbeReply> ClientStream(IAsyncStreamReader<ProbeRequest> requestStream, ServerCallContext context)
    {
        var texts = new List<string>();
        await foreach (var request in requestStream.ReadAllAsync(CancellationToken.None))
        {
            await ActAsync(request, context);
            texts.Add(request.Text);
        }

        return new ProbeReply { Text = string.Join(',', texts), Index = texts.Count };
    }

    public override async Task Duplex(IAsyncStreamReader<ProbeRequest> requestStream, IServerStreamWriter<ProbeReply> responseStream, ServerCallContext context)
    {
        var index = 0;
        while (await MoveAsync(requestStream, context))
        {
            await ActAsync(requestStream.Current, context);
            await responseStream.WriteAsync(Reply(requestStream.Current, index++));
        }
    }

    private async Task<bool> MoveAsync(IAsyncStreamReader<ProbeRequest> stream, ServerCallContext context)
    {
        try
        {
            return await stream.MoveNext();
        }
        catch (OperationCanceledException)
        {
            Cancelled.Enqueue(context.Method);
            Left.Release();
            throw;
        }
    }

    private async Task ActAsync(ProbeRequest request, ServerCallContext context)
    {
        if (request.Crash) throw new InvalidDataException("the inside story");
        if (request.FailWithDetails) throw Failure;
        if (request.IgnoreCancellation)
        {
            Hanging.Release();
            await Release.Task;
            Left.Release();
        }

        if (request.Hang)
        {
            using var registration = context.CancellationToken.UnsafeRegister(_ => Cancelled.Enqueue(context.Method), null);
            Hanging.Release();
            try
            {
                await Task.Delay(Timeout.Infinite, context.CancellationToken);
            }
            finally
            {
                Left.Release();
            }
        }

        if (request.FailWith != 0) throw new RpcException(new Status((StatusCode)request.FailWith, request.FailMessage), new Metadata { { "why", "because" } });
    }

    private static ProbeReply Reply(ProbeRequest request, int index) => new()
    {
        Text = request.Text,
        Index = index,
        Payload = request.ReplySize > 0 ? ByteString.CopyFrom(new byte[request.ReplySize]) : request.Payload,
    };

    private static RpcException Details()
    {
        var status = new Google.Rpc.Status { Code = (int)StatusCode.FailedPrecondition, Message = "with details" };
        status.Details.Add(Any.Pack(new ErrorInfo { Reason = "NOT_READY", Domain = "mesh" }));
        return status.ToRpcException();
    }
}

/// <summary>What a method saw of its call.</summary>
internal sealed record SeenCall(string Method, string Host, string Peer, DateTime Deadline);
