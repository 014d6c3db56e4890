using System.Text.RegularExpressions;
using Mesh.Identity.Settings;

namespace Mesh.Identity.Tests;

/// <summary>What docs/identity-service.md says exists, exists.</summary>
public sealed class DocumentationTests
{
    private static string Read(params string[] path)
    {
        var root = new DirectoryInfo(AppContext.BaseDirectory);
        while (!File.Exists(Path.Combine(root.FullName, "Mesh.sln"))) root = root.Parent!;
        return File.ReadAllText(Path.Combine([root.FullName, .. path]));
    }

    [Fact]
    public void Every_setting_in_the_guide_is_read_and_every_one_read_is_in_the_guide()
    {
        var documented = Regex.Matches(Read("docs", "identity-service.md"), "MESH_IDENTITY_[A-Z_]+").Select(m => m.Value).Distinct().Order(StringComparer.Ordinal).ToArray();
        // A value that no setting accepts, so that each key is known as either a fault of its own or no fault, but never as unknown.
        IdentitySettings.TryRead(documented.ToDictionary(k => k, _ => "?"), out _, out var faults);
        Assert.DoesNotContain(faults, f => f.Sentence.Contains("is not a setting", StringComparison.Ordinal));

        var read = Regex.Matches(Read("identity", "Mesh.Identity", "Settings", "IdentitySettings.cs"), "(?:Text|Required|Count|Duration|Endpoint|Switch|Choice)\\(\"([A-Z_]+)\"")
            .Select(m => "MESH_IDENTITY_" + m.Groups[1].Value).Distinct().Order(StringComparer.Ordinal);
        Assert.Equal(documented, read);
    }

    [Fact]
    public async Task Every_metric_in_the_guide_is_on_the_page()
    {
        await using var identity = await RunningIdentity.StartAsync();
        var (_, page) = await identity.AdminAsync("/metrics");
        var guide = Read("docs", "identity-service.md");
        Assert.All(Regex.Matches(guide, "mesh_identity_[a-z_]+").Select(m => m.Value).Distinct(), name => Assert.Contains($"# TYPE {name} ", page, StringComparison.Ordinal));
    }
}
