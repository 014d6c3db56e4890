namespace Mesh.Kubernetes.Configuration;

/// <summary>Text that is given in place or read from a file each time, because files in pods change under way.</summary>
internal sealed class PemSource
{
    private readonly string? _text;

    private PemSource(string? text, string? path) => (_text, FilePath) = (text, path);

    internal string? FilePath { get; }

    internal static PemSource FromText(string text) => new(text, null);

    internal static PemSource FromFile(string path) => new(null, path);

    /// <exception cref="IOException">The file cannot be read.</exception>
    /// <exception cref="UnauthorizedAccessException">The file may not be read.</exception>
    internal string Read() => _text ?? File.ReadAllText(FilePath!);

    // The text may be a private key.
    public override string ToString() => FilePath ?? "(in place)";
}
