using System.Xml.Linq;

namespace Mesh.IntegrationTests;

/// <summary>The arrows of the design: which project may know which.</summary>
public sealed class ReferenceArrowsTests
{
    private static readonly Dictionary<string, string[]> Allowed = new()
    {
        ["Mesh.Spiffe"] = [],
        ["Mesh.Trust"] = ["Mesh.Spiffe"],
        ["Mesh.Grpc"] = [],
        ["Mesh.Kubernetes"] = [],
        ["Mesh.Identity"] = ["Mesh.Trust", "Mesh.Spiffe", "Mesh.Grpc", "Mesh.Kubernetes"],
        ["Mesh.Destination"] = ["Mesh.Spiffe", "Mesh.Grpc", "Mesh.Kubernetes"],
        ["Mesh.Proxy"] = ["Mesh.Spiffe"],
        ["Mesh.Cli"] = ["Mesh.Trust", "Mesh.Identity", "Mesh.Destination", "Mesh.Proxy", "Mesh.Spiffe", "Mesh.Grpc", "Mesh.Kubernetes"],
    };

    [Fact]
    public void Every_project_references_only_what_the_design_allows()
    {
        var seen = new HashSet<string>();
        foreach (var file in Repository.SourceProjects())
        {
            var name = Path.GetFileNameWithoutExtension(file);
            Assert.True(Allowed.ContainsKey(name), $"{name} has no row in the table of arrows");
            seen.Add(name);
            var references = XDocument.Load(file).Descendants("ProjectReference")
                .Select(r => Path.GetFileNameWithoutExtension(r.Attribute("Include")!.Value.Replace('\\', '/')));
            foreach (var reference in references) Assert.True(Allowed[name].Contains(reference), $"{name} may not reference {reference}");
        }

        Assert.Equal(Allowed.Keys.Order(), seen.Order());
    }

    [Fact]
    public void The_standard_and_the_proxy_use_no_framework_beyond_the_base_library()
    {
        foreach (var name in new[] { "Mesh.Spiffe", "Mesh.Proxy", "Mesh.Trust" })
        {
            var project = XDocument.Load(Repository.SourceProjects().Single(p => Path.GetFileNameWithoutExtension(p) == name));
            Assert.Empty(project.Descendants("FrameworkReference"));
            Assert.Equal("Microsoft.NET.Sdk", project.Root!.Attribute("Sdk")!.Value);
        }
    }

    [Fact]
    public void Every_source_and_test_project_is_in_the_solution()
    {
        var solution = File.ReadAllText(Path.Combine(Repository.Root, "Mesh.sln"));
        foreach (var file in Repository.SourceProjects().Concat(Directory.GetFiles(Path.Combine(Repository.Root, "tests"), "*.csproj", SearchOption.AllDirectories)))
            Assert.Contains($"\"{Path.GetFileNameWithoutExtension(file)}\"", solution, StringComparison.Ordinal);
    }
}
