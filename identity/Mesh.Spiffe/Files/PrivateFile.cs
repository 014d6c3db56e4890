namespace Mesh.Spiffe.Files;

/// <summary>Writing of files that hold secrets or that others watch: never half a file, and readable for the owner only.</summary>
public static class PrivateFile
{
    private const UnixFileMode OwnerOnly = UnixFileMode.UserRead | UnixFileMode.UserWrite;

    private const UnixFileMode Everyone = OwnerOnly | UnixFileMode.GroupRead | UnixFileMode.OtherRead;

    /// <summary>Writes with mode 0600, for private keys and state.</summary>
    /// <inheritdoc cref="WritePublic"/>
    public static void Write(string path, ReadOnlySpan<byte> content) => Replace(path, content, OwnerOnly);

    /// <inheritdoc cref="Write(string, ReadOnlySpan{byte})"/>
    public static void Write(string path, string content) => Write(path, System.Text.Encoding.UTF8.GetBytes(content));

    /// <summary>Writes with mode 0644, for certificates and bundles.</summary>
    /// <remarks>
    /// The content goes to a new file beside the target, to the disk, and then in one step to the target's name: a reader sees the old or
    /// the new content, also after a crash of the process. The folder's own entry is not forced to the disk (the base library cannot), so
    /// that after a power failure the old content may be back. The target's folder must exist.
    /// </remarks>
    /// <exception cref="IOException">The folder does not exist or the disk is full.</exception>
    /// <exception cref="UnauthorizedAccessException">The folder may not be written.</exception>
    public static void WritePublic(string path, ReadOnlySpan<byte> content) => Replace(path, content, Everyone);

    /// <inheritdoc cref="WritePublic(string, ReadOnlySpan{byte})"/>
    public static void WritePublic(string path, string content) => WritePublic(path, System.Text.Encoding.UTF8.GetBytes(content));

    /// <summary>
    /// True when neither group nor others may read the file. Mounted Kubernetes Secrets often fail this, so it is a reason to warn
    /// and none to refuse.
    /// </summary>
    public static bool IsPrivate(string path) =>
        OperatingSystem.IsWindows()
        || (File.GetUnixFileMode(path) & (UnixFileMode.GroupRead | UnixFileMode.GroupWrite | UnixFileMode.OtherRead | UnixFileMode.OtherWrite)) == 0;

    private static void Replace(string path, ReadOnlySpan<byte> content, UnixFileMode mode)
    {
        var temporary = $"{path}.{Path.GetRandomFileName()}.tmp";
        var options = new FileStreamOptions { Mode = FileMode.CreateNew, Access = FileAccess.Write, Share = FileShare.None };
        if (!OperatingSystem.IsWindows()) options.UnixCreateMode = mode;
        try
        {
            using (var file = new FileStream(temporary, options))
            {
                file.Write(content);
                file.Flush(flushToDisk: true);
            }

            File.Move(temporary, path, overwrite: true);
        }
        catch
        {
            File.Delete(temporary);
            throw;
        }
    }
}
