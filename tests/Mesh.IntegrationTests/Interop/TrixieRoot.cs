namespace Mesh.IntegrationTests.Interop;

/// <summary>The Debian trixie root that tests/interop/trixie/make-root.sh makes.</summary>
internal static class TrixieRoot
{
    public static string Directory { get; } = Path.Combine(
        Environment.GetEnvironmentVariable("MESH_TEST_TOOLS")
            ?? Path.Combine(
                Environment.GetEnvironmentVariable("XDG_CACHE_HOME") ?? Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".cache"),
                "mesh-tests"),
        "trixie");

    public static bool IsThere => File.Exists(Path.Combine(Directory, "usr/bin/openssl"));

    /// <summary>The path by which a program inside the root knows a file that lies in it.</summary>
    public static string Inside(string path)
    {
        if (!path.StartsWith(Directory + "/", StringComparison.Ordinal)) throw new ArgumentException($"{path} does not lie in {Directory}", nameof(path));
        return path[Directory.Length..];
    }
}
