namespace Mesh.Identity.Tokens;

/// <summary>
/// Calls back when something happens in a file's directory: writes, renames, and the swap of the <c>..data</c> link by which
/// Kubernetes updates mounted ConfigMaps and Secrets. A hint only: whoever uses it polls as well.
/// </summary>
internal sealed class FileWatch : IDisposable
{
    private readonly FileSystemWatcher _watcher;

    private FileWatch(string directory, Action changed)
    {
        _watcher = new FileSystemWatcher(directory) { NotifyFilter = NotifyFilters.FileName | NotifyFilters.DirectoryName | NotifyFilters.LastWrite | NotifyFilters.Size };
        _watcher.Changed += (_, _) => changed();
        _watcher.Created += (_, _) => changed();
        _watcher.Deleted += (_, _) => changed();
        _watcher.Renamed += (_, _) => changed();
        _watcher.Error += (_, _) => changed();
        _watcher.EnableRaisingEvents = true;
    }

    /// <summary>Null when the directory does not exist or the system has no watches left; polling has to do then.</summary>
    internal static FileWatch? TryStart(string path, Action changed)
    {
        try
        {
            return new FileWatch(Path.GetDirectoryName(path)!, changed);
        }
        catch (Exception e) when (e is IOException or ArgumentException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    public void Dispose() => _watcher.Dispose();
}
