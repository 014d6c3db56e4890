using System.Reflection;
using Grpc.AspNetCore.Server;
using Grpc.Core;
using Mesh.Grpc.Server;
using Microsoft.AspNetCore.Http;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using ServiceDescriptor = Google.Protobuf.Reflection.ServiceDescriptor;

namespace Microsoft.AspNetCore.Builder;

/// <summary>Mapping of gRPC services to routes.</summary>
public static class GrpcEndpointRouteBuilderExtensions
{
    /// <summary>
    /// Maps every method of a service. One instance serves all calls: the one registered as a singleton, or one made now with what its
    /// constructor asks for.
    /// </summary>
    /// <exception cref="InvalidOperationException">The services were not added with <c>AddGrpc</c>, or the type is no gRPC service.</exception>
    public static IEndpointConventionBuilder MapGrpcService<TService>(this IEndpointRouteBuilder builder) where TService : class
    {
        ArgumentNullException.ThrowIfNull(builder);
        return builder.MapGrpcService(ActivatorUtilities.GetServiceOrCreateInstance<TService>(builder.ServiceProvider));
    }

    /// <summary>Maps every method of a service that exists already.</summary>
    /// <exception cref="InvalidOperationException">The services were not added with <c>AddGrpc</c>, or the type is no gRPC service.</exception>
    public static IEndpointConventionBuilder MapGrpcService<TService>(this IEndpointRouteBuilder builder, TService service) where TService : class
    {
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentNullException.ThrowIfNull(service);
        var (bind, descriptor) = FindBinding(service.GetType());
        return Map(builder, descriptor, binder => bind.Invoke(null, [binder, service]));
    }

    /// <summary>Maps the methods of a service bound by hand; reflection does not list it.</summary>
    public static IEndpointConventionBuilder MapGrpcService(this IEndpointRouteBuilder builder, ServerServiceDefinition definition)
    {
        ArgumentNullException.ThrowIfNull(builder);
        ArgumentNullException.ThrowIfNull(definition);
        return Map(builder, descriptor: null, definition.BindService);
    }

    private static EndpointConventions Map(IEndpointRouteBuilder builder, ServiceDescriptor? descriptor, Action<ServiceBinderBase> bind)
    {
        var catalog = builder.ServiceProvider.GetService<ServiceCatalog>() ?? throw new InvalidOperationException("Call AddGrpc on the service collection first.");
        var surroundings = new CallSurroundings(
            builder.ServiceProvider.GetRequiredService<GrpcServiceOptions>(),
            builder.ServiceProvider.GetRequiredService<ILoggerFactory>().CreateLogger("Mesh.Grpc.Server"),
            builder.ServiceProvider.GetService<IHostApplicationLifetime>()?.ApplicationStopping ?? CancellationToken.None);
        var binder = new EndpointBinder(builder, surroundings);
        bind(binder);
        if (descriptor is not null) catalog.Add(descriptor);
        if (!catalog.HasFallback)
        {
            catalog.HasFallback = true;
            builder.Map("/{service}/{method}", Admission.RefuseUnknownAsync)
                .WithDisplayName("gRPC method that is not there")
                .Add(endpoint => ((RouteEndpointBuilder)endpoint).Order = int.MaxValue);
        }

        return new EndpointConventions(binder.Endpoints);
    }

    private static (MethodInfo Bind, ServiceDescriptor? Descriptor) FindBinding(Type service)
    {
        for (var type = service; type is not null; type = type.BaseType)
        {
            if (type.GetCustomAttribute<BindServiceMethodAttribute>(inherit: false) is not { } attribute) continue;
            var bind = attribute.BindType.GetMethod(attribute.BindMethodName, [typeof(ServiceBinderBase), type]);
            if (bind is null) break;
            return (bind, attribute.BindType.GetProperty("Descriptor")?.GetValue(null) as ServiceDescriptor);
        }

        throw new InvalidOperationException($"{service.Name} is not derived from a generated gRPC service base.");
    }
}
