using System.Security.Cryptography;
using Mesh.Testing;

namespace Mesh.Spiffe.Tests;

public sealed class X509SvidTests
{
    private static readonly TestAuthority Root = TestAuthority.CreateRoot();
    private static readonly TestAuthority Issuer = Root.CreateIntermediate();

    [Theory]
    [InlineData(TestKey.P256)]
    [InlineData(TestKey.P384)]
    [InlineData(TestKey.Rsa2048)]
    public void Reads_what_it_writes(TestKey key)
    {
        using var svid = Issuer.CreateSvid("spiffe://example.org/web", o => o with { Key = key });
        using var again = X509Svid.FromPem(svid.ChainToPem(), svid.KeyToPem());
        Assert.Equal(svid.Id, again.Id);
        Assert.Equal(svid.Chain, again.Chain);
        Assert.Equal(svid.ExportPkcs8PrivateKey(), again.ExportPkcs8PrivateKey());
    }

    [Fact]
    public void Reads_the_older_forms_of_private_keys()
    {
        var ec = Issuer.CreateLeaf("spiffe://example.org/web");
        using var fromSec1 = X509Svid.FromPem(Pem(ec), ((ECDsa)ec.Key).ExportECPrivateKeyPem());
        var rsa = Issuer.CreateLeaf("spiffe://example.org/web", o => o with { Key = TestKey.Rsa2048 });
        using var fromPkcs1 = X509Svid.FromPem(Pem(rsa), ((RSA)rsa.Key).ExportRSAPrivateKeyPem());
        Assert.Equal(fromSec1.Id, fromPkcs1.Id);
    }

    [Fact]
    public void Neither_prints_nor_shows_its_key()
    {
        using var svid = Issuer.CreateSvid("spiffe://example.org/web", o => o with { NotAfter = new DateTimeOffset(2030, 1, 2, 3, 4, 5, TimeSpan.Zero) });
        Assert.Equal($"spiffe://example.org/web (serial {svid.Leaf.SerialText}, until 2030-01-02T03:04:05Z)", svid.ToString());
        Assert.Equal(svid.ToString(), $"{svid}");
        // Whatever a logger or serializer that walks public properties would find.
        var readable = typeof(X509Svid).GetProperties().Select(p => p.PropertyType).ToArray();
        Assert.All(readable, t => Assert.Contains(t, new[] { typeof(SpiffeId), typeof(Certificate), typeof(System.Collections.Immutable.ImmutableArray<Certificate>) }));
        Assert.Empty(typeof(X509Svid).GetFields());
    }

    [Fact]
    public void Leaves_the_root_out_of_the_chain()
    {
        var leaf = Issuer.CreateLeaf("spiffe://example.org/web");
        using var svid = X509Svid.Create([.. leaf.Chain, Root.Certificate], leaf.Key);
        Assert.Equal(leaf.Chain, svid.Chain);
    }

    [Fact]
    public void Is_not_made_of_parts_that_do_not_fit()
    {
        var leaf = Issuer.CreateLeaf("spiffe://example.org/web");
        AssertRefused(SvidFault.NoCertificate, new IssuedCertificate(leaf.Certificate, [], leaf.Key));
        AssertRefused(SvidFault.NoCertificate, new IssuedCertificate(leaf.Certificate, default, leaf.Key));
        AssertRefused(SvidFault.KeyMismatch, leaf with { Key = Issuer.CreateLeaf("spiffe://example.org/web").Key });
        AssertRefused(SvidFault.KeyMismatch, leaf with { Key = Issuer.CreateLeaf("spiffe://example.org/web", o => o with { Key = TestKey.Rsa2048 }).Key });
        AssertRefused(SvidFault.RootPath, new IssuedCertificate(Issuer.Certificate, [Issuer.Certificate], Issuer.Key));
        AssertRefused(SvidFault.LeafIsCa, Issuer.CreateLeaf("spiffe://example.org/web", o => o with { IsCa = true }));
        AssertRefused(SvidFault.NoUriName, Issuer.CreateLeaf("spiffe://example.org/web", o => o with { UriNames = [], DnsNames = ["a"] }));
        AssertRefused(SvidFault.ChainTooLong, leaf with { Chain = [.. Enumerable.Repeat(leaf.Certificate, 10)] });

        static void AssertRefused(SvidFault expected, IssuedCertificate parts)
        {
            Assert.False(X509Svid.TryCreate(parts.Chain, parts.Key, out var svid, out var fault));
            Assert.Null(svid);
            Assert.Equal(expected, fault);
            Assert.Equal(expected.Sentence(), Assert.Throws<FormatException>(() => X509Svid.Create(parts.Chain, parts.Key)).Message);
            // A refused key is still its owner's.
            Assert.NotEmpty(parts.Key.ExportSubjectPublicKeyInfo());
        }
    }

    [Theory]
    [InlineData("")]
    [InlineData("garbage-that-might-be-a-secret")]
    [InlineData("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")]
    public void A_private_key_that_cannot_be_read_is_not_quoted(string key)
    {
        var leaf = Issuer.CreateLeaf("spiffe://example.org/web");
        var e = Assert.Throws<FormatException>(() => X509Svid.FromPem(Pem(leaf), key));
        Assert.Equal("The private key cannot be read, or it is of another kind than the certificate's.", e.Message);
        Assert.Null(e.InnerException);
    }

    [Fact]
    public void A_private_key_of_another_certificate_is_refused_from_PEM()
    {
        var leaf = Issuer.CreateLeaf("spiffe://example.org/web");
        var other = Issuer.CreateLeaf("spiffe://example.org/web");
        Assert.Equal(SvidFault.KeyMismatch.Sentence(), Assert.Throws<FormatException>(() => X509Svid.FromPem(Pem(leaf), other.Key.ExportPkcs8PrivateKeyPem())).Message);
    }

    [Fact]
    public void Gives_the_platform_leaf_key_and_intermediates()
    {
        using var svid = Root.CreateIntermediate().CreateIntermediate().CreateSvid("spiffe://example.org/web");
        var context = svid.ToSslContext();
        Assert.Same(context, svid.ToSslContext());
        Assert.Equal(svid.Leaf.Der.ToArray(), context.TargetCertificate.RawData);
        Assert.True(context.TargetCertificate.HasPrivateKey);
        Assert.Equal(svid.Chain.Skip(1).Select(c => c.Sha256.ToUpperInvariant()), context.IntermediateCertificates.Select(c => c.GetCertHashString(HashAlgorithmName.SHA256)));
    }

    [Fact]
    public void Is_of_no_use_after_its_end()
    {
        var svid = Issuer.CreateSvid("spiffe://example.org/web");
        svid.Dispose();
        svid.Dispose();
        Assert.Throws<ObjectDisposedException>(() => svid.ToSslContext());
        Assert.Throws<ObjectDisposedException>(() => svid.ExportPkcs8PrivateKey());
    }

    private static string Pem(IssuedCertificate leaf) => string.Concat(leaf.Chain.Select(c => c.ToPem()));
}
