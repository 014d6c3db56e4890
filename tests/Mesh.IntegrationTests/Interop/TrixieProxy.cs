using System.Runtime.InteropServices;
using Mesh.Testing;

namespace Mesh.IntegrationTests.Interop;

/// <summary>The proxy as it ships, published once into the trixie root by the first test that wants it.</summary>
public sealed class TrixieProxy : IDisposable
{
    private readonly Lazy<Task<string>> _program;
    private TrixieRoom? _room;

    public TrixieProxy() => _program = new Lazy<Task<string>>(PublishAsync);

    /// <summary>The path of the executable, as this machine knows it.</summary>
    public Task<string> Program => _program.Value;

    public void Dispose() => _room?.Dispose();

    // With everything it needs of .NET, since the root has none. Outside the checkout's own outputs, which other tests run from.
    private async Task<string> PublishAsync()
    {
        _room = new TrixieRoom();
        var built = _room.File("build");
        var publish = await ProgramRun.OfAsync(
            "dotnet",
            [
                "publish", Path.Combine(Repository.Root, "proxy", "Mesh.Proxy", "Mesh.Proxy.csproj"), "-c", "Release", "-r", RuntimeInformation.RuntimeIdentifier,
                "--self-contained", "--artifacts-path", built, "-o", _room.File("proxy"), "--nologo", "-v", "quiet", "-nodeReuse:false",
            ],
            seconds: 600);
        Assert.True(publish.ExitCode == 0, publish.Output + publish.Errors);
        Directory.Delete(built, recursive: true);
        return Path.Combine(_room.File("proxy"), "Mesh.Proxy");
    }
}
