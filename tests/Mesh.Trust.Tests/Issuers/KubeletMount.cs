namespace Mesh.Trust.Tests.Issuers;

/// <summary>
/// A directory written the way kubelet writes a mounted Secret or ConfigMap: each update goes to a new directory, the link ..data is
/// exchanged in one step, and the files are links through it.
/// </summary>
internal sealed class KubeletMount(string directory)
{
    private int _generation;

    public string Directory { get; } = directory;

    public void Update(params (string Name, string Content)[] files)
    {
        System.IO.Directory.CreateDirectory(Directory);
        var before = System.IO.Directory.Exists(Path.Combine(Directory, "..data")) ? $"..{_generation}" : null;
        var data = $"..{++_generation}";
        System.IO.Directory.CreateDirectory(Path.Combine(Directory, data));
        foreach (var (name, content) in files)
        {
            File.WriteAllText(Path.Combine(Directory, data, name), content);
            var link = Path.Combine(Directory, name);
            if (!File.Exists(link)) File.CreateSymbolicLink(link, Path.Combine("..data", name));
        }

        var fresh = Path.Combine(Directory, "..data_tmp");
        System.IO.Directory.CreateSymbolicLink(fresh, data);
        // rename(2) over the old link; the framework's Move would refuse to replace a link to a directory.
        if (rename(fresh, Path.Combine(Directory, "..data")) != 0) throw new IOException("rename failed");
        if (before is not null) System.IO.Directory.Delete(Path.Combine(Directory, before), recursive: true);
    }

    [System.Runtime.InteropServices.DllImport("libc", SetLastError = true)]
    private static extern int rename(string from, string to);
}
