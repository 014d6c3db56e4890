using Mesh.Spiffe;
using Mesh.Testing;
using Mesh.Trust.Issuers;
using Mesh.Trust.Issuing;

namespace Mesh.Trust.Tests;

public sealed class TrustDirectoryTests : IDisposable
{
    private static readonly TrustDomain Domain = TrustDomain.Parse("example.org");
    private readonly TemporaryDirectory _folder = new();
    private readonly ManualTime _time = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void What_init_writes_passes_the_gate()
    {
        var made = Init(_folder.File("trust"));
        Assert.True(IssuerMaterial.TryRead(made.IssuerPath, out var material, out _));
        var bundle = TrustBundle.ParsePem(Domain, File.ReadAllText(made.AnchorsPath));
        var examination = IssuerGate.Examine(material, bundle, IssuancePolicy.Default, AnchorRule.SelfSigned, _time);
        Assert.Null(examination.Problem);
        Assert.Empty(examination.Remarks);
        Assert.Equal(made.Issuer, examination.Issuer!.Certificate);
        Assert.Equal(made.Root, examination.Issuer.Anchor);
        var json = TrustBundle.ParseJson(Domain, File.ReadAllText(Path.Combine(made.DirectoryPath, TrustDirectory.Bundle)));
        Assert.True(json.HasSameAuthorities(bundle));
        Assert.True(json.Sequence > 0);
    }

    [Fact]
    public void Private_keys_are_for_their_owner_only()
    {
        var made = Init(_folder.File("trust"));
        foreach (var key in new[] { Path.Combine(made.DirectoryPath, TrustDirectory.RootKey), Path.Combine(made.IssuerPath, "tls.key") })
        {
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite, File.GetUnixFileMode(key));
            using var read = Trust.Keys.SigningKey.FromPem(File.ReadAllText(key));
        }

        foreach (var folder in new[] { made.DirectoryPath, made.IssuerPath })
            Assert.Equal(UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute, File.GetUnixFileMode(folder));
    }

    [Theory]
    [InlineData("root.key")]
    [InlineData("root.crt")]
    [InlineData("issuer/tls.crt")]
    [InlineData("ca-bundle.crt")]
    [InlineData("bundle.json")]
    public void Nothing_is_ever_overwritten(string existing)
    {
        Directory.CreateDirectory(_folder.File("issuer"));
        _folder.Write(existing, "precious");
        if (!existing.StartsWith("issuer", StringComparison.Ordinal)) Directory.Delete(_folder.File("issuer"));
        var refused = Assert.Throws<TrustDirectoryExistsException>(() => Init(_folder.Path));
        Assert.Contains(existing.Split('/')[0], refused.Message, StringComparison.Ordinal);
        Assert.Equal("precious", File.ReadAllText(_folder.File(existing)));
        Assert.Single(Directory.GetFileSystemEntries(_folder.Path));
    }

    [Fact]
    public void A_directory_with_other_things_in_it_is_used()
    {
        _folder.Write("notes.txt", "mine");
        Init(_folder.Path);
        Assert.Equal("mine", File.ReadAllText(_folder.File("notes.txt")));
    }

    [Fact]
    public async Task Of_many_inits_at_once_one_wins()
    {
        var path = _folder.File("trust");
        var outcomes = await Task.WhenAll(Enumerable.Range(0, 8).Select(_ => Task.Run(() =>
        {
            try
            {
                return Init(path);
            }
            catch (TrustDirectoryExistsException)
            {
                return null;
            }
        })));
        var made = Assert.Single(outcomes, o => o is not null)!;
        Assert.Equal(made.Root, Certificate.ParsePem(File.ReadAllText(made.AnchorsPath)).Single());
    }

    private TrustDirectory Init(string path) => TrustDirectory.Init(path, AuthorityProfile.Root(Domain), AuthorityProfile.Issuer(Domain), _time);
}
