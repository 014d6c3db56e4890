using System.Collections.Immutable;
using Google.Protobuf.Reflection;

namespace Mesh.Grpc.Server;

/// <summary>The services that are mapped, for those who describe them to others.</summary>
internal sealed class ServiceCatalog
{
    private ImmutableArray<ServiceDescriptor> _services = [];

    /// <summary>Mapped services, in order of mapping.</summary>
    public ImmutableArray<ServiceDescriptor> Services => _services;

    /// <summary>Whether calls of unknown services have their answer.</summary>
    public bool HasFallback { get; set; }

    public void Add(ServiceDescriptor service)
    {
        if (!_services.Contains(service)) _services = _services.Add(service);
    }
}
