using Mesh.Spiffe.Files;

namespace Mesh.Identity.Tokens;

/// <summary>A JWKS in a file: embedded mode, and clusters whose keys another program puts in place. Watched, and polled because watches get lost.</summary>
public sealed class JwksFile : TokenKeySource
{
    private readonly string _path;

    public JwksFile(string path, TimeSpan? pollInterval = null) : base(path, pollInterval ?? TimeSpan.FromSeconds(5)) => _path = Path.GetFullPath(path);

    internal override async Task<ReadOnlyMemory<byte>> ReadAsync(CancellationToken ct)
    {
        try
        {
            await using var file = new FileStream(_path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete, 4096, FileOptions.Asynchronous);
            return await BoundedDocument.ReadAsync(file, Description, ct);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new TokenKeysException($"{Description}: {LogText.Clean(e.Message)}", e);
        }
    }

    internal override async Task WatchAsync(Action changed, TimeProvider time, CancellationToken ct)
    {
        using var watch = new DirectoryWatch(Path.GetDirectoryName(_path)!, RefreshInterval, time);
        while (true)
        {
            await watch.WaitAsync(ct);
            changed();
        }
    }
}
