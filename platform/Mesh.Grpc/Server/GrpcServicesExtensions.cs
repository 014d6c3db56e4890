using Grpc.AspNetCore.Server;
using Mesh.Grpc.Server;
using Microsoft.AspNetCore.Server.Kestrel.Core;
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
        services.Configure<KestrelServerOptions>(kestrel =>
        {
            // Without pings a stream to a machine that lost its power stays open for hours.
            var http2 = kestrel.Limits.Http2;
            if (http2.KeepAlivePingDelay != TimeSpan.MaxValue) return;
            http2.KeepAlivePingDelay = options.KeepAlivePingDelay;
            http2.KeepAlivePingTimeout = options.KeepAlivePingTimeout;
        });
        return services;
    }
}
