using Mesh.Grpc.Reflection;
using Mesh.Grpc.Server;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;

namespace Microsoft.AspNetCore.Builder;

/// <summary>Mapping of server reflection.</summary>
public static class GrpcReflectionEndpointRouteBuilderExtensions
{
    /// <summary>Maps server reflection, v1 and v1alpha, over the services mapped so far and later.</summary>
    /// <exception cref="InvalidOperationException">The services were not added with <c>AddGrpc</c>.</exception>
    public static IEndpointConventionBuilder MapGrpcReflectionService(this IEndpointRouteBuilder builder)
    {
        ArgumentNullException.ThrowIfNull(builder);
        var catalog = builder.ServiceProvider.GetService<ServiceCatalog>() ?? throw new InvalidOperationException("Call AddGrpc on the service collection first.");
        var service = new ReflectionService(catalog);
        return new EndpointConventions([builder.MapGrpcService(service), builder.MapGrpcService(service.AlphaDefinition())]);
    }
}
