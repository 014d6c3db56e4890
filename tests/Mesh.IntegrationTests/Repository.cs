namespace Mesh.IntegrationTests;

/// <summary>The checkout the tests were built from.</summary>
internal static class Repository
{
    public static string Root { get; } = FindRoot();

    /// <summary>The product's project files, not the tests'.</summary>
    public static IEnumerable<string> SourceProjects() =>
        new[] { "identity", "trust", "proxy", "destination", "platform" }
            .SelectMany(folder => Directory.GetFiles(Path.Combine(Root, folder), "*.csproj", SearchOption.AllDirectories));

    private static string FindRoot()
    {
        for (var directory = new DirectoryInfo(AppContext.BaseDirectory); directory is not null; directory = directory.Parent)
            if (File.Exists(Path.Combine(directory.FullName, "Mesh.sln"))) return directory.FullName;
        throw new InvalidOperationException("The tests run from a build output inside the checkout; no Mesh.sln was found above " + AppContext.BaseDirectory);
    }
}
