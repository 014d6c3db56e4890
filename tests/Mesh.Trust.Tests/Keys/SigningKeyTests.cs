using System.Security.Cryptography;
using Mesh.Trust.Keys;

namespace Mesh.Trust.Tests.Keys;

public sealed class SigningKeyTests
{
    public static TheoryData<KeyAlgorithm> Algorithms => new(Enum.GetValues<KeyAlgorithm>());

    [Theory]
    [MemberData(nameof(Algorithms))]
    public void A_key_written_and_read_back_is_the_same(KeyAlgorithm algorithm)
    {
        using var key = SigningKey.Create(algorithm);
        using var again = SigningKey.FromPem(key.ExportPem());
        Assert.Equal(algorithm, again.Algorithm);
        Assert.Equal(key.SubjectPublicKeyInfo.ToArray(), again.SubjectPublicKeyInfo.ToArray());
        Assert.Equal(key.KeyId.ToArray(), again.KeyId.ToArray());
    }

    [Fact]
    public void All_forms_that_Secrets_hold_are_read()
    {
        using var ec = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var rsa = RSA.Create(2048);
        foreach (var pem in new[] { ec.ExportPkcs8PrivateKeyPem(), ec.ExportECPrivateKeyPem(), rsa.ExportPkcs8PrivateKeyPem(), rsa.ExportRSAPrivateKeyPem() })
        {
            using var key = SigningKey.FromPem(pem);
            Assert.Equal(pem.StartsWith("-----BEGIN RSA", StringComparison.Ordinal) || key.Algorithm == KeyAlgorithm.Rsa2048, key.Algorithm == KeyAlgorithm.Rsa2048);
        }

        // `openssl ecparam -genkey` writes the curve before the key.
        using var after = SigningKey.FromPem("-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n" + ec.ExportECPrivateKeyPem());
        Assert.Equal(KeyAlgorithm.EcP256, after.Algorithm);
    }

    [Fact]
    public void What_is_no_usable_key_is_refused_by_name()
    {
        using var ec = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        using var p521 = ECDsa.Create(ECCurve.NamedCurves.nistP521);
        using var small = RSA.Create(1024);
        Assert.Equal(SigningKeyFault.NotFound, Fault(""));
        Assert.Equal(SigningKeyFault.NotFound, Fault(ec.ExportSubjectPublicKeyInfoPem()));
        Assert.Equal(SigningKeyFault.TooLong, Fault(new string('a', SigningKey.MaxPemLength + 1)));
        Assert.Equal(SigningKeyFault.Encrypted, Fault(ec.ExportEncryptedPkcs8PrivateKeyPem("secret", new PbeParameters(PbeEncryptionAlgorithm.Aes256Cbc, HashAlgorithmName.SHA256, 1000))));
        Assert.Equal(SigningKeyFault.Malformed, Fault("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"));
        Assert.Equal(SigningKeyFault.Unsupported, Fault(p521.ExportPkcs8PrivateKeyPem()));
        Assert.Equal(SigningKeyFault.Unsupported, Fault(small.ExportPkcs8PrivateKeyPem()));
        Assert.Throws<FormatException>(() => SigningKey.FromPem(""));
    }

    [Fact]
    public void A_disposed_key_signs_no_more()
    {
        var key = SigningKey.Create(KeyAlgorithm.EcP256);
        key.Sign("data"u8, new byte[100]);
        key.Dispose();
        Assert.Throws<ObjectDisposedException>(() => key.Sign("data"u8, new byte[100]));
    }

    [Fact]
    public void Every_fault_has_a_sentence_of_its_own() =>
        Assert.Equal(Enum.GetValues<SigningKeyFault>().Length, Enum.GetValues<SigningKeyFault>().Select(f => f.Sentence()).Distinct().Count());

    private static SigningKeyFault Fault(string pem)
    {
        Assert.Null(SigningKey.ReadPem(pem, out var fault));
        return fault;
    }
}
