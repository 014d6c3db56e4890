using Mesh.Testing;
using Mesh.Trust.Issuers;

namespace Mesh.Trust.Tests.Issuers;

public sealed class IssuerMaterialTests : IDisposable
{
    private readonly TemporaryDirectory _folder = new();
    private readonly TestAuthority _issuer = TestAuthority.CreateRoot().CreateIntermediate();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void The_layout_of_a_kubernetes_Secret_is_read()
    {
        _folder.Write("tls.crt", _issuer.CertificatePem);
        _folder.Write("tls.key", _issuer.KeyPem);
        _folder.Write("ca.crt", _issuer.Root.CertificatePem);
        var material = Read();
        Assert.Equal([_issuer.Certificate], material.Certificates);
        Assert.Equal([_issuer.Root.Certificate], material.Companions);
    }

    [Theory]
    [InlineData("")]
    [InlineData("not PEM")]
    public void An_odd_ca_crt_is_no_obstacle(string content)
    {
        _folder.Write("tls.crt", _issuer.CertificatePem);
        _folder.Write("tls.key", _issuer.KeyPem);
        _folder.Write("ca.crt", content);
        Assert.Empty(Read().Companions);
    }

    [Fact]
    public void The_layout_of_a_Linkerd_Secret_is_read()
    {
        _folder.Write("crt.pem", _issuer.CertificatePem + _issuer.Root.CertificatePem);
        _folder.Write("key.pem", _issuer.KeyPem);
        Assert.Equal([_issuer.Certificate, _issuer.Root.Certificate], Read().Certificates);
    }

    [Fact]
    public void What_is_missing_or_odd_is_said()
    {
        Assert.Equal(IssuerFault.Missing, Fault());
        _folder.Write("crt.pem", _issuer.CertificatePem);
        Assert.Equal(IssuerFault.Unreadable, Fault());
        _folder.Write("key.pem", "nothing");
        Assert.Equal(IssuerFault.BadKey, Fault());
        _folder.Write("key.pem", _issuer.KeyPem);
        _folder.Write("crt.pem", "nothing");
        Assert.Equal(IssuerFault.BadCertificates, Fault());
        _folder.Write("crt.pem", new string('x', 1024 * 1024 + 1));
        Assert.Equal(IssuerFault.Unreadable, Fault());
        _folder.Write("tls.crt", _issuer.CertificatePem);
        Assert.Equal(IssuerFault.MixedLayouts, Fault());
    }

    [Fact]
    public void A_directory_that_is_not_there_is_a_missing_issuer()
    {
        Assert.False(IssuerMaterial.TryRead(_folder.File("nowhere"), out _, out var problem));
        Assert.Equal(IssuerFault.Missing, problem.Fault);
    }

    [Fact]
    public void Neither_files_nor_material_print_the_key()
    {
        _folder.Write("crt.pem", _issuer.CertificatePem);
        _folder.Write("key.pem", _issuer.KeyPem);
        Assert.True(IssuerFiles.TryRead(_folder.Path, out var files, out _));
        var secret = _issuer.KeyPem.Split('\n')[1];
        Assert.DoesNotContain(secret, $"{files} {files.Digest()} {Read()}", StringComparison.Ordinal);
    }

    private IssuerMaterial Read()
    {
        Assert.True(IssuerMaterial.TryRead(_folder.Path, out var material, out var problem), problem?.ToString());
        return material;
    }

    private IssuerFault Fault()
    {
        Assert.False(IssuerMaterial.TryRead(_folder.Path, out _, out var problem));
        return problem.Fault;
    }
}
