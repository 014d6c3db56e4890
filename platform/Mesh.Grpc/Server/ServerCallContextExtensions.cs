using Mesh.Grpc.Server;
using Microsoft.AspNetCore.Http;

namespace Grpc.Core;

/// <summary>What lies under a call.</summary>
public static class ServerCallContextExtensions
{
    /// <summary>The HTTP request of a call: its connection, its TLS state.</summary>
    /// <exception cref="InvalidOperationException">The call did not come over HTTP.</exception>
    public static HttpContext GetHttpContext(this ServerCallContext serverCallContext) =>
        serverCallContext is HttpServerCallContext http ? http.Http : throw new InvalidOperationException("The call did not come over HTTP.");
}
