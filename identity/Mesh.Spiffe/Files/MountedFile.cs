using System.Text;

namespace Mesh.Spiffe.Files;

/// <summary>Files as platforms mount them: behind a link that is exchanged, and perhaps much larger than they should be.</summary>
public static class MountedFile
{
    /// <summary>Larger files are refused: a bundle of a hundred anchors has 100 KiB.</summary>
    public const int MaxLength = 1024 * 1024;

    /// <summary>
    /// The directory to read from. kubelet puts each update into a new directory and points the link <c>..data</c> at it.
    /// </summary>
    public static string Resolve(string directory)
    {
        var data = Path.Combine(directory, "..data");
        try
        {
            return Directory.ResolveLinkTarget(data, returnFinalTarget: true)?.FullName ?? directory;
        }
        catch (IOException)
        {
            // No ..data: a plain directory.
            return directory;
        }
    }

    /// <exception cref="IOException">The file is missing, cannot be read or is larger than <see cref="MaxLength"/>.</exception>
    public static string ReadText(string path) => ReadText(path, out _);

    /// <param name="written">When the content was last written; of the file behind any links.</param>
    /// <exception cref="IOException">The file is missing, cannot be read or is larger than <see cref="MaxLength"/>.</exception>
    public static string ReadText(string path, out DateTimeOffset written)
    {
        using var file = File.OpenHandle(path);
        written = File.GetLastWriteTimeUtc(file);
        var length = RandomAccess.GetLength(file);
        if (length > MaxLength) throw new IOException($"{path} is larger than {MaxLength} bytes");
        var bytes = new byte[length];
        var read = 0;
        while (read < bytes.Length)
        {
            var n = RandomAccess.Read(file, bytes.AsSpan(read), read);
            if (n == 0) break;
            read += n;
        }

        return Encoding.UTF8.GetString(bytes, 0, read);
    }
}
