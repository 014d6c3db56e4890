using Grpc.Core;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Http.Features;
using Microsoft.AspNetCore.Server.Kestrel.Core.Features;

namespace Mesh.Grpc.Server;

/// <summary>Answers the requests for one method: the root of every call, where its exceptions end.</summary>
internal abstract partial class MethodEndpoint(IMethod method, CallSurroundings surroundings)
{
    public Task HandleAsync(HttpContext http)
    {
        if (!Admission.IsGrpc(http)) return Task.CompletedTask;
        if (method.Type is MethodType.Unary or MethodType.ServerStreaming)
        {
            if (surroundings.Options.MaxReceiveMessageSize is not { } limit || limit > 1 << 20) LiftBodySize(http);
        }
        else
        {
            // A stream of requests has no size and may be silent for hours.
            LiftBodySize(http);
            http.Features.Get<IHttpMinRequestBodyDataRateFeature>()?.MinDataRate = null;
        }

        return RunAsync(new HttpServerCallContext(http, method, surroundings));
    }

    protected abstract Task InvokeAsync(HttpServerCallContext call);

    // The limit on messages takes its place.
    private static void LiftBodySize(HttpContext http)
    {
        if (http.Features.Get<IHttpMaxRequestBodySizeFeature>() is { IsReadOnly: false } feature) feature.MaxRequestBodySize = null;
    }

    private async Task RunAsync(HttpServerCallContext call)
    {
        Status status;
        try
        {
            call.Begin();
            await InvokeAsync(call);
            status = call.Status;
        }
        catch (RpcException e)
        {
            Log.MethodRefused(surroundings.Logger, method.FullName, e.StatusCode, e.Status.Detail);
            status = e.Status;
            foreach (var entry in e.Trailers) call.ResponseTrailers.Add(entry);
        }
        // A method whose call was ended under it meets closed streams and disposed objects: consequences, not failures.
        catch (Exception e) when (call.InterruptedBy is not null)
        {
            status = call.InterruptedBy.Value;
            Log.MethodCancelled(surroundings.Logger, method.FullName, status.StatusCode, e);
        }
        catch (Exception e)
        {
            Log.MethodFailed(surroundings.Logger, method.FullName, e);
            status = new Status(StatusCode.Unknown, surroundings.Options.EnableDetailedErrors == true ? $"The method failed. {e.GetType().Name}: {e.Message}" : "The method failed.", e);
        }

        await call.EndAsync(status);
    }
}

internal sealed class UnaryEndpoint<TRequest, TResponse>(Method<TRequest, TResponse> method, UnaryServerMethod<TRequest, TResponse> handler, CallSurroundings surroundings)
    : MethodEndpoint(method, surroundings)
    where TRequest : class where TResponse : class
{
    protected override async Task InvokeAsync(HttpServerCallContext call)
    {
        var request = await call.ReadSingleAsync(method.RequestMarshaller);
        var response = await handler(request, call) ?? throw new InvalidOperationException("The method returned null.");
        // A status other than OK stands alone.
        if (call.Status.StatusCode == StatusCode.OK) call.WriteSingle(method.ResponseMarshaller, response);
    }
}

internal sealed class ClientStreamingEndpoint<TRequest, TResponse>(Method<TRequest, TResponse> method, ClientStreamingServerMethod<TRequest, TResponse> handler, CallSurroundings surroundings)
    : MethodEndpoint(method, surroundings)
    where TRequest : class where TResponse : class
{
    protected override async Task InvokeAsync(HttpServerCallContext call)
    {
        var response = await handler(new RequestStream<TRequest>(call, method.RequestMarshaller), call) ?? throw new InvalidOperationException("The method returned null.");
        if (call.Status.StatusCode == StatusCode.OK) call.WriteSingle(method.ResponseMarshaller, response);
    }
}

internal sealed class ServerStreamingEndpoint<TRequest, TResponse>(Method<TRequest, TResponse> method, ServerStreamingServerMethod<TRequest, TResponse> handler, CallSurroundings surroundings)
    : MethodEndpoint(method, surroundings)
    where TRequest : class where TResponse : class
{
    protected override async Task InvokeAsync(HttpServerCallContext call)
    {
        var request = await call.ReadSingleAsync(method.RequestMarshaller);
        await handler(request, new ResponseStream<TResponse>(call, method.ResponseMarshaller), call);
    }
}

internal sealed class DuplexEndpoint<TRequest, TResponse>(Method<TRequest, TResponse> method, DuplexStreamingServerMethod<TRequest, TResponse> handler, CallSurroundings surroundings)
    : MethodEndpoint(method, surroundings)
    where TRequest : class where TResponse : class
{
    protected override Task InvokeAsync(HttpServerCallContext call) =>
        handler(new RequestStream<TRequest>(call, method.RequestMarshaller), new ResponseStream<TResponse>(call, method.ResponseMarshaller), call);
}
