namespace Mesh.Spiffe.Tests;

/// <summary>The certificates in certs-dev/bad, by file name.</summary>
internal static class BadCertificates
{
    private static readonly string Folder = Path.Combine(AppContext.BaseDirectory, "bad");

    public static string Read(string name) => File.ReadAllText(Path.Combine(Folder, name));

    public static Certificate ReadCertificate(string name) => Certificate.ParsePem(Read(name + ".pem")).Single();

    public static IEnumerable<string> Names() => Directory.GetFiles(Folder, "*.pem").Select(f => Path.GetFileNameWithoutExtension(f)).Order();
}
