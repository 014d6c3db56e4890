using System.Reflection.Metadata;
using System.Reflection.PortableExecutable;
using Mesh.Cli.Demo;
using Mesh.Spiffe;

namespace Mesh.IntegrationTests;

/// <summary>What is true of the built proxy must be true of the published one, which the trimmer has rewritten.</summary>
public sealed class PublishedProxyTests(PublishedProxy published)
{
    // What the trimmer leaves of a method that nothing reaches: it throws, or returns a constant.
    private const int LongestStub = 11;

    [Fact]
    public async Task Trimming_keeps_every_handler_of_an_exception_in_our_code()
    {
        // Seen once: the release of a lock, in the finally of an asynchronous method, was gone from the published program.
        var directory = await published.Directory;
        foreach (var assembly in new[] { "Mesh.Proxy.dll", "Mesh.Spiffe.dll" })
        {
            var built = Handlers(Path.Combine(AppContext.BaseDirectory, assembly));
            var shipped = Handlers(Path.Combine(directory, assembly));
            Assert.Contains(shipped, m => m.Value.Handlers > 0);
            Assert.Empty(shipped.Where(m => m.Value.Bytes > LongestStub && built.TryGetValue(m.Key, out var before) && before.Handlers != m.Value.Handlers).Select(m => m.Key));
        }
    }

    [Fact]
    public async Task The_published_proxy_answers_every_scrape_and_ends_when_it_is_asked_to()
    {
        var ct = TestContext.Current.CancellationToken;
        var directory = Directory.CreateTempSubdirectory("mesh-test-").FullName;
        try
        {
            await using var mesh = await EmbeddedMesh.StartAsync(directory, TrustDomain.Parse("test.mesh"), TimeSpan.FromMinutes(10), TimeProvider.System, ct);
            var proxy = await mesh.StartProxyAsync(new ProxyPlan("proxy", "test", "server") { Inbound = EmbeddedMesh.FreeAddress(), Command = [await published.ProgramAsync()] }, ct);
            using var http = new HttpClient();
            await Parallel.ForEachAsync(Enumerable.Range(0, 300), ct, async (i, token) =>
            {
                using var answer = await http.GetAsync(new Uri($"http://{proxy.Admin}/{(i % 3) switch { 0 => "metrics", 1 => "ready", _ => "live" }}"), token);
                Assert.True(answer.IsSuccessStatusCode);
            });
            using var asked = await http.PostAsync(new Uri($"http://{proxy.Admin}/shutdown"), null, ct);
            Assert.True(asked.IsSuccessStatusCode);
            await proxy.Process!.Exited.WaitAsync(ct);
            Assert.Equal("ended with exit code 0", proxy.Process.Ending);
        }
        finally
        {
            Directory.Delete(directory, recursive: true);
        }
    }

    private static Dictionary<string, (int Handlers, int Bytes)> Handlers(string path)
    {
        using var file = new PEReader(File.OpenRead(path));
        var metadata = file.GetMetadataReader();
        var methods = new Dictionary<string, (int, int)>();
        foreach (var handle in metadata.MethodDefinitions)
        {
            var method = metadata.GetMethodDefinition(handle);
            if (method.RelativeVirtualAddress == 0) continue;
            var body = file.GetMethodBody(method.RelativeVirtualAddress);
            // Overloads share a name here; of several the last stands for all, in both files the same as long as none is removed.
            methods[$"{NameOf(metadata, method.GetDeclaringType())}.{metadata.GetString(method.Name)}({method.GetParameters().Count})"] = (body.ExceptionRegions.Length, body.GetILBytes()!.Length);
        }

        return methods;
    }

    private static string NameOf(MetadataReader metadata, TypeDefinitionHandle handle)
    {
        var type = metadata.GetTypeDefinition(handle);
        var outer = type.GetDeclaringType();
        return outer.IsNil ? $"{metadata.GetString(type.Namespace)}.{metadata.GetString(type.Name)}" : $"{NameOf(metadata, outer)}+{metadata.GetString(type.Name)}";
    }
}
