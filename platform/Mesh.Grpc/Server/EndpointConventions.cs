using Microsoft.AspNetCore.Builder;

namespace Mesh.Grpc.Server;

/// <summary>Applies what is said of a service to each of its endpoints.</summary>
internal sealed class EndpointConventions(IReadOnlyList<IEndpointConventionBuilder> endpoints) : IEndpointConventionBuilder
{
    public void Add(Action<EndpointBuilder> convention)
    {
        foreach (var endpoint in endpoints) endpoint.Add(convention);
    }

    public void Finally(Action<EndpointBuilder> finallyConvention)
    {
        foreach (var endpoint in endpoints) endpoint.Finally(finallyConvention);
    }
}
