using System.Runtime.InteropServices;
using Mesh.Spiffe.Files;
using Mesh.Testing;

namespace Mesh.Spiffe.Tests.Files;

public sealed class PrivateFileTests : IDisposable
{
    private readonly TemporaryDirectory _folder = new();

    [Fact]
    public void Is_readable_for_its_owner_only()
    {
        Assert.SkipUnless(!RuntimeInformation.IsOSPlatform(OSPlatform.Windows), "Windows has no file modes.");
        var path = _folder.File("key.pem");
        PrivateFile.Write(path, "secret");
        Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(path));
        Assert.True(PrivateFile.IsPrivate(path));
        PrivateFile.WritePublic(_folder.File("cert.pem"), "public");
        Assert.False(PrivateFile.IsPrivate(_folder.File("cert.pem")));
    }

    [Fact]
    public void Replaces_a_file_that_others_could_read_by_one_that_they_cannot()
    {
        Assert.SkipUnless(!RuntimeInformation.IsOSPlatform(OSPlatform.Windows), "Windows has no file modes.");
        var path = _folder.Write("key.pem", "old");
        File.SetUnixFileMode(path, File.GetUnixFileMode(path) | UnixFileMode.OtherRead);
        PrivateFile.Write(path, "new"u8);
        Assert.Equal("new", File.ReadAllText(path));
        Assert.True(PrivateFile.IsPrivate(path));
    }

    [Fact]
    public void Leaves_nothing_beside_it()
    {
        PrivateFile.Write(_folder.File("a"), "1");
        PrivateFile.Write(_folder.File("a"), "2");
        Directory.CreateDirectory(_folder.File("b"));
        // A folder cannot be replaced by a file: the write fails after the new file was made.
        Assert.ThrowsAny<Exception>(() => PrivateFile.Write(_folder.File("b"), "3"));
        Assert.Equal(["a", "b"], Directory.GetFileSystemEntries(_folder.Path).Select(Path.GetFileName).Order());
        Assert.Throws<DirectoryNotFoundException>(() => PrivateFile.Write(_folder.File("none/c"), "4"));
    }

    [Fact]
    public void A_reader_who_has_the_old_file_open_keeps_it_whole()
    {
        var path = _folder.Write("bundle.pem", "old");
        using var reader = new StreamReader(path);
        PrivateFile.WritePublic(path, "new and longer");
        Assert.Equal("old", reader.ReadToEnd());
        Assert.Equal("new and longer", File.ReadAllText(path));
    }

    public void Dispose() => _folder.Dispose();
}
