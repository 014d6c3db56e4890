using System.Text.Json;
using Grpc.HealthCheck;
using Mesh.Grpc.Tests.Server;
using Mesh.Testing;
using Microsoft.AspNetCore.Builder;
using ServingStatus = Grpc.Health.V1.HealthCheckResponse.Types.ServingStatus;

namespace Mesh.Grpc.Tests.Interop;

/// <summary>Their clients, our server. One run of each client; every check it makes is a test here.</summary>
public sealed class TheirClientTests(TheirClientTests.Runs runs) : IClassFixture<TheirClientTests.Runs>
{
    public static TheoryData<string> Checks =>
    [
        "unary", "server_stream", "client_stream", "duplex", "deadline_exceeded", "cancellation", "trailers", "error_status", "error_details", "crash_is_unknown",
        "unimplemented", "three_megabytes", "gzip", "deflate", "too_large", "health", "reflection",
    ];

    [Theory]
    [MemberData(nameof(Checks))]
    public Task Grpc_js(string check) => CheckAsync(Stack.Node, check);

    [Theory]
    [MemberData(nameof(Checks))]
    public Task Python_grpcio(string check) => CheckAsync(Stack.Python, check);

    private async Task CheckAsync(Stack stack, string check)
    {
        Assert.SkipUnless(stack.Missing is null, $"{stack.Name}, {check}: {stack.Missing}");
        var results = await runs.OfAsync(stack);
        Assert.True(results.ContainsKey(check), $"{stack.Name} made no check of this name; it ended with {results[""]}");
        Assert.True(results[check] is null, results[check]);
    }

    /// <summary>What each client found.</summary>
    public sealed class Runs
    {
        private readonly Lazy<Task<Dictionary<string, string?>>> _node = new(() => RunAsync(Stack.Node));
        private readonly Lazy<Task<Dictionary<string, string?>>> _python = new(() => RunAsync(Stack.Python));

        /// <summary>By check, why it failed; null when it did not.</summary>
        internal Task<Dictionary<string, string?>> OfAsync(Stack stack) => stack == Stack.Node ? _node.Value : _python.Value;

        private static async Task<Dictionary<string, string?>> RunAsync(Stack stack)
        {
            var health = new HealthServiceImpl();
            health.SetStatus("mesh.testing.v1.Probe", ServingStatus.Serving);
            await using var server = await ProbeServer.StartAsync(
                o => o.ResponseCompressionAlgorithm = "gzip",
                app =>
                {
                    app.MapGrpcService(health);
                    app.MapGrpcReflectionService();
                });
            using var directory = new TemporaryDirectory();
            Stack.WriteDescriptors(directory.File("descriptors"));
            using var client = stack.Start("client", server.Address.Authority, directory.File("descriptors"));
            var errors = client.StandardError.ReadToEndAsync();
            var results = new Dictionary<string, string?>();
            while (await client.StandardOutput.ReadLineAsync() is { } line)
            {
                using var result = JsonDocument.Parse(line);
                results[result.RootElement.GetProperty("name").GetString()!] =
                    result.RootElement.GetProperty("ok").GetBoolean() ? null : result.RootElement.GetProperty("why").GetString();
            }

            await client.WaitForExitAsync();
            results[""] = $"exit code {client.ExitCode}: {await errors}";
            if (results.Count == 1) throw new InvalidOperationException($"{stack.Name} printed no result; {results[""]}");
            // Both hanging calls (a deadline, a cancellation) must have reached the method, and left it.
            await server.Service.Left.WaitAsync();
            await server.Service.Left.WaitAsync();
            // The crash, once; nothing else.
            var logged = server.Errors.ToList();
            if (logged.Count != 1) results["crash_is_unknown"] = "The server logged: " + string.Join("; ", logged);
            return results;
        }
    }
}
