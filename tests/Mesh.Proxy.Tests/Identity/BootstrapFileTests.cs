using Mesh.Proxy.Identity;
using Mesh.Spiffe;
using Mesh.Testing;

namespace Mesh.Proxy.Tests.Identity;

public sealed class BootstrapFileTests : IDisposable
{
    private readonly TemporaryDirectory _directory = new();
    private readonly TestAuthority _first = TestAuthority.CreateRoot();
    private readonly TestAuthority _second = TestAuthority.CreateRoot();
    private readonly BootstrapFile _file;

    public BootstrapFileTests() => _file = new BootstrapFile(_directory.File("ca.pem"), TrustDomain.Parse("example.org"));

    public void Dispose() => _directory.Dispose();

    [Fact]
    public void Content_is_news_once()
    {
        _directory.Write("ca.pem", _first.CertificatePem);
        Assert.True(_file.TryReadNew(out TrustBundle? bundle));
        Assert.Equal(_first.Certificate, Assert.Single(bundle!.X509Authorities));
        Assert.False(_file.TryReadNew(out _));
        Assert.Null(_file.Fault);
    }

    [Fact]
    public void Changed_content_is_news()
    {
        _directory.Write("ca.pem", _first.CertificatePem);
        _file.TryReadNew(out _);
        _directory.Write("ca.pem", _first.CertificatePem + _second.CertificatePem);
        Assert.True(_file.TryReadNew(out TrustBundle? bundle));
        Assert.Equal(2, bundle!.X509Authorities.Length);
    }

    [Fact]
    public void The_kubelets_swap_of_a_link_above_the_file_is_seen()
    {
        Directory.CreateDirectory(_directory.File("1"));
        Directory.CreateDirectory(_directory.File("2"));
        File.WriteAllText(Path.Combine(_directory.File("1"), "ca.pem"), _first.CertificatePem);
        File.WriteAllText(Path.Combine(_directory.File("2"), "ca.pem"), _second.CertificatePem);
        Directory.CreateSymbolicLink(_directory.File("..data"), "1");
        File.CreateSymbolicLink(_directory.File("ca.pem"), "..data/ca.pem");
        Assert.True(_file.TryReadNew(out _));

        Directory.Delete(_directory.File("..data"));
        Directory.CreateSymbolicLink(_directory.File("..data"), "2");
        Assert.True(_file.TryReadNew(out TrustBundle? bundle));
        Assert.Equal(_second.Certificate, Assert.Single(bundle!.X509Authorities));
    }

    [Fact]
    public void A_spiffe_bundle_is_read_as_well()
    {
        _directory.Write("ca.pem", "\n" + _first.Bundle.ToJson());
        Assert.True(_file.TryReadNew(out TrustBundle? bundle));
        Assert.Equal(_first.Certificate, Assert.Single(bundle!.X509Authorities));
    }

    [Theory]
    [InlineData("")]
    [InlineData("not a bundle")]
    [InlineData("{\"keys\":[]}")]
    [InlineData("{\"keys\":")]
    [InlineData("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")]
    public void Bad_content_is_no_news_and_says_why(string content)
    {
        _directory.Write("ca.pem", content);
        Assert.False(_file.TryReadNew(out TrustBundle? bundle));
        Assert.Null(bundle);
        Assert.False(string.IsNullOrEmpty(_file.Fault));
    }

    [Fact]
    public void A_missing_file_says_so_and_its_return_with_the_same_content_is_news()
    {
        _directory.Write("ca.pem", _first.CertificatePem);
        Assert.True(_file.TryReadNew(out _));
        File.Delete(_directory.File("ca.pem"));
        Assert.False(_file.TryReadNew(out _));
        Assert.Contains("ca.pem", _file.Fault, StringComparison.Ordinal);
        _directory.Write("ca.pem", _first.CertificatePem);
        Assert.True(_file.TryReadNew(out _));
        Assert.Null(_file.Fault);
    }

    [Fact]
    public void A_file_of_any_size_costs_no_more_than_its_bound()
    {
        using (FileStream file = File.Create(_directory.File("ca.pem"))) file.SetLength(1L << 33);
        Assert.False(_file.TryReadNew(out _));
        Assert.Equal("it is larger than 1 MiB", _file.Fault);
    }
}
