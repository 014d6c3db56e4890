using System.Runtime.InteropServices;
using Mesh.IntegrationTests;
using Mesh.Testing;

[assembly: AssemblyFixture(typeof(PublishedProxy))]

namespace Mesh.IntegrationTests;

/// <summary>The proxy as it ships (self-contained, trimmed, compiled ahead), published once by the first test that wants it.</summary>
public sealed class PublishedProxy : IDisposable
{
    private readonly Lazy<Task<string>> _directory;
    private string? _made;

    public PublishedProxy() => _directory = new Lazy<Task<string>>(PublishAsync);

    /// <summary>The directory it lies in.</summary>
    public Task<string> Directory => _directory.Value;

    /// <summary>The path of the executable.</summary>
    public async Task<string> ProgramAsync() => Path.Combine(await Directory, "Mesh.Proxy");

    /// <summary>Copies it to <paramref name="directory"/>, which must not exist, and gives the path of the executable there.</summary>
    public async Task<string> CopyToAsync(string directory)
    {
        System.IO.Directory.CreateDirectory(directory);
        foreach (var file in System.IO.Directory.GetFiles(await Directory)) File.Copy(file, Path.Combine(directory, Path.GetFileName(file)));
        return Path.Combine(directory, "Mesh.Proxy");
    }

    public void Dispose()
    {
        if (_made is not null) System.IO.Directory.Delete(_made, recursive: true);
    }

    // Outside the checkout's own outputs, which other tests run from.
    private async Task<string> PublishAsync()
    {
        _made = System.IO.Directory.CreateTempSubdirectory("mesh-published-").FullName;
        var (built, output) = (Path.Combine(_made, "build"), Path.Combine(_made, "proxy"));
        var publish = await ProgramRun.OfAsync(
            "dotnet",
            [
                "publish", Path.Combine(Repository.Root, "proxy", "Mesh.Proxy", "Mesh.Proxy.csproj"), "-c", "Release", "-r", RuntimeInformation.RuntimeIdentifier,
                "--self-contained", "--artifacts-path", built, "-o", output, "--nologo", "-v", "quiet", "-nodeReuse:false",
            ],
            seconds: 600);
        Assert.True(publish.ExitCode == 0, publish.Output + publish.Errors);
        System.IO.Directory.Delete(built, recursive: true);
        return output;
    }
}
