using Grpc.AspNetCore.Server;
using Microsoft.Extensions.Logging;

namespace Mesh.Grpc.Server;

/// <summary>What every call of a server shares.</summary>
/// <param name="Options">The options of the services.</param>
/// <param name="Logger">Where methods that fail are reported.</param>
/// <param name="Stopping">Fires when the server begins to stop.</param>
internal sealed record CallSurroundings(GrpcServiceOptions Options, ILogger Logger, CancellationToken Stopping);
