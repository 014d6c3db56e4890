using Grpc.Core;
using Microsoft.AspNetCore.Builder;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;

namespace Mesh.Grpc.Server;

/// <summary>Makes a route of every method a service binds.</summary>
internal sealed class EndpointBinder(IEndpointRouteBuilder routes, CallSurroundings surroundings) : ServiceBinderBase
{
    private static readonly string[] Post = [HttpMethods.Post];

    public List<IEndpointConventionBuilder> Endpoints { get; } = [];

    public override void AddMethod<TRequest, TResponse>(Method<TRequest, TResponse> method, UnaryServerMethod<TRequest, TResponse>? handler) =>
        Map(method, new UnaryEndpoint<TRequest, TResponse>(method, handler!, surroundings));

    public override void AddMethod<TRequest, TResponse>(Method<TRequest, TResponse> method, ClientStreamingServerMethod<TRequest, TResponse>? handler) =>
        Map(method, new ClientStreamingEndpoint<TRequest, TResponse>(method, handler!, surroundings));

    public override void AddMethod<TRequest, TResponse>(Method<TRequest, TResponse> method, ServerStreamingServerMethod<TRequest, TResponse>? handler) =>
        Map(method, new ServerStreamingEndpoint<TRequest, TResponse>(method, handler!, surroundings));

    public override void AddMethod<TRequest, TResponse>(Method<TRequest, TResponse> method, DuplexStreamingServerMethod<TRequest, TResponse>? handler) =>
        Map(method, new DuplexEndpoint<TRequest, TResponse>(method, handler!, surroundings));

    private void Map(IMethod method, MethodEndpoint endpoint) =>
        Endpoints.Add(routes.MapMethods(method.FullName, Post, endpoint.HandleAsync).WithDisplayName("gRPC " + method.FullName));
}
