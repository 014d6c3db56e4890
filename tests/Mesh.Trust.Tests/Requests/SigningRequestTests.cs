using System.Formats.Asn1;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Mesh.Trust.Keys;
using Mesh.Trust.Requests;

namespace Mesh.Trust.Tests.Requests;

public sealed class SigningRequestTests
{
    private const string LinkerdName = "web.shop.serviceaccount.identity.mesh.example.org";

    public static TheoryData<string, KeyAlgorithm> Keys => new()
    {
        { "P-256", KeyAlgorithm.EcP256 },
        { "P-384", KeyAlgorithm.EcP384 },
        { "2048", KeyAlgorithm.Rsa2048 },
        { "3072", KeyAlgorithm.Rsa3072 },
        { "4096", KeyAlgorithm.Rsa4096 },
    };

    [Theory]
    [MemberData(nameof(Keys))]
    public void A_request_of_the_framework_is_read_and_its_signature_verified(string kind, KeyAlgorithm algorithm)
    {
        using var key = NewKey(kind);
        var request = Read(Encode(key, "CN=" + LinkerdName, san => san.AddDnsName(LinkerdName)));
        Assert.Equal(algorithm, request.Key.Algorithm);
        Assert.Equal(key.ExportSubjectPublicKeyInfo(), request.Key.SubjectPublicKeyInfo.ToArray());
        Assert.Equal([LinkerdName], request.DnsNames);
        Assert.Equal([LinkerdName], request.CommonNames);
        Assert.Empty(request.UriNames);
        Assert.False(request.HasOtherNames);
        Assert.False(request.HasOtherSubject);
    }

    [Fact]
    public void A_request_of_BouncyCastle_is_read()
    {
        var generator = new Org.BouncyCastle.Crypto.Generators.ECKeyPairGenerator();
        generator.Init(new Org.BouncyCastle.Crypto.Parameters.ECKeyGenerationParameters(Org.BouncyCastle.Asn1.X9.X962NamedCurves.GetOid("prime256v1"), new Org.BouncyCastle.Security.SecureRandom()));
        var pair = generator.GenerateKeyPair();
        var request = new Org.BouncyCastle.Pkcs.Pkcs10CertificationRequest("SHA256withECDSA", new Org.BouncyCastle.Asn1.X509.X509Name("CN=web"), pair.Public, null, pair.Private);
        Assert.Equal(KeyAlgorithm.EcP256, Read(request.GetDerEncoded()).Key.Algorithm);
    }

    [Theory]
    [InlineData("-sha256")]
    [InlineData("-sha384")]
    [InlineData("-sha512")]
    public async Task A_request_of_OpenSSL_is_read(string hash)
    {
        var openssl = Programs.Require("openssl");
        using var folder = new Mesh.Testing.TemporaryDirectory();
        var (code, output) = await Programs.RunAsync(openssl, "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", hash, "-keyout", folder.File("key.pem"),
            "-outform", "DER", "-out", folder.File("csr.der"), "-subj", "/CN=web/O=Acme", "-addext", "subjectAltName=URI:spiffe://example.org/ns/shop/sa/web,DNS:web.example.org,IP:10.0.0.1,email:a@b.c");
        Assert.True(code == 0, output);
        var request = Read(await File.ReadAllBytesAsync(folder.File("csr.der")));
        Assert.Equal(["spiffe://example.org/ns/shop/sa/web"], request.UriNames);
        Assert.Equal(["web.example.org"], request.DnsNames);
        Assert.Equal(["web"], request.CommonNames);
        Assert.True(request.HasOtherNames);
        Assert.True(request.HasOtherSubject);
    }

    [Fact]
    public void Without_names_and_without_attributes_a_request_is_read()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var request = Read(new CertificateRequest("", key, HashAlgorithmName.SHA256).CreateSigningRequest());
        Assert.Empty(request.DnsNames);
        Assert.Empty(request.CommonNames);
        // RFC 2986 wants [0] even when it is empty; some leave it out.
        Read(Custom(key, writeAttributes: null));
    }

    [Theory]
    [InlineData("P-256")]
    [InlineData("P-384")]
    [InlineData("2048")]
    public void A_signature_by_another_key_is_no_proof_of_possession(string kind)
    {
        using var key = NewKey(kind);
        using var other = NewKey(kind);
        var request = key switch
        {
            ECDsa ec => new CertificateRequest("", ec, HashAlgorithmName.SHA256),
            _ => new CertificateRequest("", (RSA)key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1),
        };
        var generator = other switch
        {
            ECDsa ec => X509SignatureGenerator.CreateForECDsa(ec),
            _ => X509SignatureGenerator.CreateForRSA((RSA)other, RSASignaturePadding.Pkcs1),
        };
        Assert.Equal(SigningRequestFault.BadSignature, Fault(request.CreateSigningRequest(generator)));
    }

    [Fact]
    public void Every_bit_of_what_was_signed_counts()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var good = Encode(key, "CN=web", san => san.AddDnsName("web.example.org"));
        Read(good);
        for (var i = 0; i < good.Length; i++)
        {
            var bad = good.ToArray();
            bad[i] ^= 1;
            Assert.False(SigningRequest.TryParse(bad, out _, out _), $"byte {i}");
        }
    }

    [Theory]
    [InlineData("P-521")]
    [InlineData("secp256k1")]
    [InlineData("brainpoolP256r1")]
    [InlineData("1024")]
    [InlineData("2056")]
    public void Other_keys_are_refused(string kind)
    {
        using var key = NewKey(kind);
        Assert.Equal(SigningRequestFault.UnsupportedKey, Fault(Encode(key, "", null)));
    }

    [Fact]
    public void A_point_that_is_not_on_the_curve_is_refused_by_OpenSSL_and_by_the_framework_alike()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var spki = key.ExportSubjectPublicKeyInfo();
        spki[^1] ^= 1;
        Assert.True(SubjectKey.TryRead(spki, out var subject));
        var data = "data"u8;
        var signature = key.SignData(data, HashAlgorithmName.SHA256, DSASignatureFormat.Rfc3279DerSequence);
        Assert.Equal(SigningRequestFault.BadSignature, subject.Verify(SignatureAlgorithms.EcdsaSha256, data, signature));
        Assert.False(subject.VerifyEcWithFramework(SHA256.HashData(data), signature));
        // The failure leaves nothing behind that the next verification would trip over.
        Assert.Equal(SigningRequestFault.None, SubjectKey.Of(key).Verify(SignatureAlgorithms.EcdsaSha256, data, signature));
    }

    [Theory]
    [InlineData("P-256")]
    [InlineData("P-384")]
    public void OpenSSL_and_the_framework_agree_about_signatures(string kind)
    {
        using var key = (ECDsa)NewKey(kind);
        using var other = (ECDsa)NewKey(kind);
        var random = new Random(20260101);
        for (var i = 0; i < 50; i++)
        {
            var data = new byte[random.Next(200)];
            random.NextBytes(data);
            var signature = (i % 3 == 0 ? other : key).SignData(data, HashAlgorithmName.SHA256, DSASignatureFormat.Rfc3279DerSequence);
            if (i % 5 == 0) signature[random.Next(signature.Length)] ^= 1;
            var subject = SubjectKey.Of(key);
            var expected = subject.VerifyEcWithFramework(SHA256.HashData(data), signature);
            Assert.Equal(expected, subject.Verify(SignatureAlgorithms.EcdsaSha256, data, signature) == SigningRequestFault.None);
        }
    }

    [Fact]
    public void Compressed_points_and_points_at_infinity_are_refused()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var spki = key.ExportSubjectPublicKeyInfo();
        var hybrid = spki.ToArray();
        hybrid[26] = 0x06;
        Assert.False(SubjectKey.TryRead(hybrid, out _));
        Assert.False(SubjectKey.TryRead(spki.AsMemory(0, 27 + 32), out _));
        Assert.False(SubjectKey.TryRead((byte[])[0x30, 0x19, .. spki.AsSpan(2, 21), 0x03, 0x02, 0x00, 0x00], out _));
    }

    [Fact]
    public void RSA_keys_with_a_small_or_even_exponent_or_too_long_a_modulus_are_refused()
    {
        using var rsa = RSA.Create(2048);
        var parameters = rsa.ExportParameters(false);
        foreach (var exponent in new byte[][] { [3], [1, 0, 0], [1], [1, 0, 1, 0, 1, 1] })
        {
            Assert.False(SubjectKey.TryRead(RsaInfo(parameters.Modulus!, exponent), out _));
        }

        Assert.True(SubjectKey.TryRead(RsaInfo(parameters.Modulus!, [1, 0, 1]), out _));
        // 8192 bits: too much work for whoever verifies.
        Assert.False(SubjectKey.TryRead(RsaInfo([0x80, .. new byte[1022], 1], [1, 0, 1]), out _));
    }

    [Fact]
    public void Signature_algorithms_that_do_not_fit_are_refused()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        const string ecdsaWithSha1 = "1.2.840.10045.4.1";
        Assert.Equal(SigningRequestFault.UnsupportedSignature, Fault(Custom(key, null, signatureAlgorithm: ecdsaWithSha1)));
        Assert.Equal(SigningRequestFault.UnsupportedSignature, Fault(Custom(key, null, signatureAlgorithm: SignatureAlgorithms.RsaSha256)));
        Assert.Equal(SigningRequestFault.BadSignature, Fault(Custom(key, null, signatureAlgorithm: SignatureAlgorithms.EcdsaSha384)));
        using var rsa = RSA.Create(2048);
        Assert.Equal(SigningRequestFault.UnsupportedSignature, SubjectKey.Of(rsa).Verify(SignatureAlgorithms.EcdsaSha256, "data"u8, new byte[256]));
    }

    [Fact]
    public void Only_version_1_is_read()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        Assert.Equal(SigningRequestFault.UnsupportedVersion, Fault(Custom(key, null, version: 1)));
    }

    [Fact]
    public void The_same_extension_twice_is_refused()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        Assert.Equal(SigningRequestFault.RepeatedExtension, Fault(Custom(key, w => WriteExtensionRequest(w, AlternativeNames(1), AlternativeNames(1)))));
        Assert.Equal(SigningRequestFault.RepeatedExtension, Fault(Custom(key, w =>
        {
            WriteExtensionRequest(w, AlternativeNames(1));
            WriteExtensionRequest(w, AlternativeNames(1));
        })));
        Read(Custom(key, w => WriteExtensionRequest(w, AlternativeNames(1))));
    }

    [Fact]
    public void The_number_of_names_is_bounded()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        Assert.Equal(16, Read(Custom(key, w => WriteExtensionRequest(w, AlternativeNames(16)))).DnsNames.Length);
        Assert.Equal(SigningRequestFault.TooManyNames, Fault(Custom(key, w => WriteExtensionRequest(w, AlternativeNames(17)))));
        Assert.Equal(SigningRequestFault.TooManyNames, Fault(Custom(key, w => WriteExtensionRequest(w, AlternativeNames(400)))));
    }

    [Fact]
    public void Empty_and_oversized_requests_are_refused_unread()
    {
        Assert.Equal(SigningRequestFault.Empty, Fault([]));
        Assert.Equal(SigningRequestFault.TooLong, Fault(new byte[SigningRequest.MaxLength + 1]));
        Assert.Equal(SigningRequestFault.TooLong, Fault(new byte[1024 * 1024]));
    }

    [Fact]
    public void Bytes_after_the_request_are_refused()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        Assert.Equal(SigningRequestFault.Malformed, Fault([.. Encode(key, "", null), 0]));
    }

    [Fact]
    public void PEM_is_not_DER()
    {
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        Assert.Equal(SigningRequestFault.Malformed, Fault(System.Text.Encoding.ASCII.GetBytes(PemEncoding.WriteString("CERTIFICATE REQUEST", Encode(key, "", null)))));
    }

    [Fact]
    public void No_input_throws()
    {
        Fuzz([]);
        using var key = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        var good = Encode(key, "CN=web, O=Acme", san => san.AddDnsName("web.example.org"));
        for (var length = 0; length < good.Length; length++) Fuzz(good.AsSpan(0, length));
        var random = new Random(20260102);
        for (var i = 0; i < 20_000; i++)
        {
            var bytes = good.ToArray();
            for (var flips = random.Next(1, 8); flips > 0; flips--) bytes[random.Next(bytes.Length)] = (byte)random.Next(256);
            Fuzz(bytes);
        }

        for (var i = 0; i < 5_000; i++)
        {
            var bytes = new byte[random.Next(600)];
            random.NextBytes(bytes);
            if (bytes.Length > 0) bytes[0] = 0x30;
            Fuzz(bytes);
        }
    }

    [Fact]
    public void Every_fault_has_a_sentence_of_its_own() =>
        Assert.Equal(Enum.GetValues<SigningRequestFault>().Length, Enum.GetValues<SigningRequestFault>().Select(f => f.Sentence()).Distinct().Count());

    /// <summary>The fuzz target: any input, no exception, and never a request without a fault of None.</summary>
    internal static void Fuzz(ReadOnlySpan<byte> input) =>
        Assert.Equal(SigningRequest.TryParse(input.ToArray(), out _, out var fault), fault == SigningRequestFault.None);

    private static SigningRequest Read(byte[] der)
    {
        Assert.True(SigningRequest.TryParse(der, out var request, out var fault), fault.ToString());
        return request;
    }

    private static SigningRequestFault Fault(byte[] der)
    {
        Assert.False(SigningRequest.TryParse(der, out _, out var fault));
        return fault;
    }

    private static AsymmetricAlgorithm NewKey(string kind) => kind switch
    {
        "P-256" => ECDsa.Create(ECCurve.NamedCurves.nistP256),
        "P-384" => ECDsa.Create(ECCurve.NamedCurves.nistP384),
        "P-521" => ECDsa.Create(ECCurve.NamedCurves.nistP521),
        "secp256k1" or "brainpoolP256r1" => ECDsa.Create(ECCurve.CreateFromFriendlyName(kind)),
        _ => RSA.Create(int.Parse(kind, System.Globalization.CultureInfo.InvariantCulture)),
    };

    private static byte[] Encode(AsymmetricAlgorithm key, string subject, Action<SubjectAlternativeNameBuilder>? names)
    {
        var request = key switch
        {
            ECDsa ec => new CertificateRequest(subject, ec, HashAlgorithmName.SHA256),
            _ => new CertificateRequest(subject, (RSA)key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1),
        };
        if (names is not null)
        {
            var san = new SubjectAlternativeNameBuilder();
            names(san);
            request.CertificateExtensions.Add(san.Build());
        }

        return request.CreateSigningRequest();
    }

    /// <summary>A request written by hand, for what no builder would write.</summary>
    private static byte[] Custom(ECDsa key, Action<AsnWriter>? writeAttributes, int version = 0, string signatureAlgorithm = SignatureAlgorithms.EcdsaSha256)
    {
        var info = new AsnWriter(AsnEncodingRules.DER);
        using (info.PushSequence())
        {
            info.WriteInteger(version);
            info.WriteEncodedValue([0x30, 0x00]);
            info.WriteEncodedValue(key.ExportSubjectPublicKeyInfo());
            if (writeAttributes is not null)
            {
                using (info.PushSetOf(new Asn1Tag(TagClass.ContextSpecific, 0))) writeAttributes(info);
            }
        }

        var signed = info.Encode();
        var outer = new AsnWriter(AsnEncodingRules.DER);
        using (outer.PushSequence())
        {
            outer.WriteEncodedValue(signed);
            using (outer.PushSequence()) outer.WriteObjectIdentifier(signatureAlgorithm);
            outer.WriteBitString(key.SignData(signed, HashAlgorithmName.SHA256, DSASignatureFormat.Rfc3279DerSequence));
        }

        return outer.Encode();
    }

    private static void WriteExtensionRequest(AsnWriter writer, params byte[][] extensions)
    {
        using (writer.PushSequence())
        {
            writer.WriteObjectIdentifier("1.2.840.113549.1.9.14");
            using (writer.PushSetOf())
            using (writer.PushSequence())
            {
                foreach (var extension in extensions) writer.WriteEncodedValue(extension);
            }
        }
    }

    private static byte[] AlternativeNames(int count)
    {
        var writer = new AsnWriter(AsnEncodingRules.DER);
        using (writer.PushSequence())
        {
            writer.WriteObjectIdentifier("2.5.29.17");
            using (writer.PushOctetString())
            using (writer.PushSequence())
            {
                for (var i = 0; i < count; i++) writer.WriteCharacterString(UniversalTagNumber.IA5String, $"n{i}.example.org", new Asn1Tag(TagClass.ContextSpecific, 2));
            }
        }

        return writer.Encode();
    }

    private static byte[] RsaInfo(byte[] modulus, byte[] exponent)
    {
        var key = new AsnWriter(AsnEncodingRules.DER);
        using (key.PushSequence())
        {
            key.WriteIntegerUnsigned(modulus);
            key.WriteIntegerUnsigned(exponent);
        }

        var info = new AsnWriter(AsnEncodingRules.DER);
        using (info.PushSequence())
        {
            using (info.PushSequence())
            {
                info.WriteObjectIdentifier("1.2.840.113549.1.1.1");
                info.WriteNull();
            }

            info.WriteBitString(key.Encode());
        }

        return info.Encode();
    }
}
