using Grpc.AspNetCore.Server;
using Mesh.Grpc.Server;
using Microsoft.Extensions.DependencyInjection.Extensions;

namespace Microsoft.Extensions.DependencyInjection;

/// <summary>Registration of gRPC.</summary>
public static class GrpcServicesExtensions
{
    /// <summary>Adds what <c>MapGrpcService</c> needs.</summary>
    public static IServiceCollection AddGrpc(this IServiceCollection services, Action<GrpcServiceOptions>? configure = null)
    {
        ArgumentNullException.ThrowIfNull(services);
        var options = new GrpcServiceOptions();
        configure?.Invoke(options);
        services.AddRouting();
        services.TryAddSingleton<ServiceCatalog>();
        services.Replace(ServiceDescriptor.Singleton(options));
        return services;
    }
}
