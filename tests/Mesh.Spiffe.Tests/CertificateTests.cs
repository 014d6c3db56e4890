using System.Formats.Asn1;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using System.Text;
using Mesh.Testing;
using static Mesh.Spiffe.Tests.CertificateSurgery;

namespace Mesh.Spiffe.Tests;

public sealed class CertificateTests
{
    private static readonly TestAuthority Root = TestAuthority.CreateRoot(change: o => o with { Subject = "CN=Root, O=Example, C=DE" });
    private static readonly IssuedCertificate Leaf = Root.CreateLeaf("spiffe://example.org/web", o => o with { DnsNames = ["web.example.org", "*.web.example.org"] });

    [Fact]
    public void Reads_the_same_as_the_framework()
    {
        foreach (var certificate in new[] { Root.Certificate, Leaf.Certificate })
        {
            using var framework = X509CertificateLoader.LoadCertificate(certificate.Der.Span);
            Assert.Equal(framework.RawData, certificate.Der.ToArray());
            Assert.Equal(framework.SerialNumberBytes.ToArray(), certificate.SerialNumber.ToArray());
            Assert.Equal(framework.SubjectName.RawData, certificate.RawSubject.ToArray());
            Assert.Equal(framework.IssuerName.RawData, certificate.RawIssuer.ToArray());
            Assert.Equal(framework.NotBefore.ToUniversalTime(), certificate.NotBefore.UtcDateTime);
            Assert.Equal(framework.NotAfter.ToUniversalTime(), certificate.NotAfter.UtcDateTime);
            Assert.Equal(framework.PublicKey.ExportSubjectPublicKeyInfo(), certificate.SubjectPublicKeyInfo.ToArray());
            Assert.Equal(framework.GetCertHashString(HashAlgorithmName.SHA256), certificate.Sha256, ignoreCase: true);
            Assert.Equal(framework.Extensions.OfType<X509BasicConstraintsExtension>().Single().CertificateAuthority, certificate.IsCa);
            Assert.Equal(framework.Extensions.OfType<X509KeyUsageExtension>().Single().KeyUsages, certificate.KeyUsages);
            Assert.Equal(framework.Extensions.OfType<X509SubjectKeyIdentifierExtension>().Single().SubjectKeyIdentifierBytes.ToArray(), certificate.SubjectKeyId.ToArray());
            Assert.Equal(framework.Extensions.OfType<X509AuthorityKeyIdentifierExtension>().Single().KeyIdentifier!.Value.ToArray(), certificate.AuthorityKeyId.ToArray());
        }

        // In the order of the certificate; the framework writes such a text back to front.
        Assert.Equal("C=DE, O=Example, CN=Root", Root.Certificate.SubjectText);
        Assert.Equal("C=DE, O=Example, CN=Root", Leaf.Certificate.IssuerText);
        Assert.Equal("", Leaf.Certificate.SubjectText);
        Assert.True(Root.Certificate.IsSelfIssued);
        Assert.False(Leaf.Certificate.IsSelfIssued);
        Assert.Equal(["spiffe://example.org/web"], Leaf.Certificate.UriNames);
        Assert.Equal(["web.example.org", "*.web.example.org"], Leaf.Certificate.DnsNames);
        Assert.Equal(ExtendedKeyUsages.ServerAuth | ExtendedKeyUsages.ClientAuth, Leaf.Certificate.ExtendedKeyUsages);
    }

    [Theory]
    [InlineData(TestKey.P256, PublicKeyKind.P256)]
    [InlineData(TestKey.P384, PublicKeyKind.P384)]
    [InlineData(TestKey.P521, PublicKeyKind.P521)]
    [InlineData(TestKey.Rsa2048, PublicKeyKind.Rsa)]
    public void Verifies_the_signature_of_each_kind_of_key(TestKey key, PublicKeyKind kind)
    {
        var root = TestAuthority.CreateRoot(change: o => o with { Key = key });
        var leaf = root.CreateLeaf("spiffe://example.org/web", o => o with { Key = key }).Certificate;
        Assert.Equal(kind, leaf.KeyKind);
        Assert.True(leaf.VerifySignature(root.Certificate));
        Assert.True(root.Certificate.VerifySignature(root.Certificate));
        Assert.False(root.Certificate.VerifySignature(leaf));
        Assert.False(leaf.VerifySignature(Root.Certificate));
        Assert.False(root.CreateLeaf("spiffe://example.org/web", o => o with { BreakSignature = true }).Certificate.VerifySignature(root.Certificate));
    }

    [Theory]
    [InlineData("SHA256")]
    [InlineData("SHA384")]
    [InlineData("SHA512")]
    public void Verifies_each_hash_that_is_still_safe_with_each_algorithm(string hash)
    {
        var name = new HashAlgorithmName(hash);
        using var rsa = RSA.Create(2048);
        using var ecdsa = ECDsa.Create(ECCurve.NamedCurves.nistP256);
        AssertVerifies(new CertificateRequest("CN=a", rsa, name, RSASignaturePadding.Pkcs1));
        AssertVerifies(new CertificateRequest("CN=a", rsa, name, RSASignaturePadding.Pss));
        AssertVerifies(new CertificateRequest("CN=a", ecdsa, name));

        void AssertVerifies(CertificateRequest request)
        {
            using var framework = request.CreateSelfSigned(DateTimeOffset.UtcNow, DateTimeOffset.UtcNow.AddDays(1));
            var certificate = Certificate.Parse(framework.RawData);
            Assert.True(certificate.VerifySignature(certificate));
        }
    }

    [Fact]
    public void Verifies_on_many_threads_at_once()
    {
        Parallel.For(0, 200, _ => Assert.True(Leaf.Certificate.VerifySignature(Root.Certificate)));
    }

    [Fact]
    public void Reads_a_certificate_of_Ed25519_and_verifies_nothing_with_it()
    {
        var certificate = Certificate.ParsePem(BadCertificates.Read("self-signed-ed25519.pem"))[0];
        Assert.Equal(PublicKeyKind.Unsupported, certificate.KeyKind);
        Assert.False(certificate.VerifySignature(certificate));
    }

    [Fact]
    public void A_small_RSA_key_and_a_huge_exponent_are_not_used()
    {
        using var small = RSA.Create(1024);
        Assert.Equal(PublicKeyKind.Unsupported, WithKey(small.ExportSubjectPublicKeyInfo()).KeyKind);

        using var rsa = RSA.Create(2048);
        var modulus = rsa.ExportParameters(false).Modulus!;
        byte[] exponent = [0x01, .. new byte[200], 0x01];
        var key = Sequence(Wrap(0x02, [0, .. modulus]), Wrap(0x02, exponent));
        var info = Sequence(Convert.FromHexString("300D06092A864886F70D0101010500"), Wrap(0x03, [0, .. key]));
        Assert.Equal(PublicKeyKind.Unsupported, WithKey(info).KeyKind);
    }

    [Fact]
    public void A_point_that_is_not_on_the_curve_verifies_nothing()
    {
        var info = Leaf.Certificate.SubjectPublicKeyInfo.ToArray();
        info[^1] ^= 1;
        var certificate = WithKey(info);
        Assert.Equal(PublicKeyKind.P256, certificate.KeyKind);
        Assert.False(certificate.VerifySignature(certificate));
    }

    [Fact]
    public void A_compressed_point_is_not_used()
    {
        var info = Leaf.Certificate.SubjectPublicKeyInfo.ToArray();
        var compressed = info[^64..^32];
        var algorithm = Convert.FromHexString("301306072A8648CE3D020106082A8648CE3D030107");
        Assert.Equal(PublicKeyKind.Unsupported, WithKey(Sequence(algorithm, Wrap(0x03, [0, 0x02, .. compressed]))).KeyKind);
    }

    [Fact]
    public void Is_equal_by_its_bytes()
    {
        var again = Certificate.Parse(Leaf.Certificate.Der.ToArray());
        Assert.Equal(Leaf.Certificate, again);
        Assert.Equal(Leaf.Certificate.GetHashCode(), again.GetHashCode());
        Assert.NotEqual(Leaf.Certificate, Root.Certificate);
    }

    [Fact]
    public void Does_not_follow_later_changes_of_the_buffer_it_was_read_from()
    {
        var buffer = Leaf.Certificate.Der.ToArray();
        var certificate = Certificate.Parse(buffer);
        buffer.AsSpan().Clear();
        Assert.Equal(Leaf.Certificate, certificate);
    }

    [Fact]
    public void Prints_id_or_subject_and_serial()
    {
        Assert.Equal($"spiffe://example.org/web (serial {Leaf.Certificate.SerialText})", Leaf.Certificate.ToString());
        var corporate = TestAuthority.CreateRoot(change: o => o with { Subject = "CN=Root", UriNames = [] });
        Assert.StartsWith("CN=Root (serial ", corporate.Certificate.ToString(), StringComparison.Ordinal);
    }

    [Fact]
    public void A_subject_cannot_forge_a_line_of_a_log()
    {
        var value = Wrap(0x0C, Encoding.UTF8.GetBytes("a\r\nINFO all is well, \u001b[31m\u202e\u00e4"));
        var name = Sequence(Wrap(0x31, Sequence(Convert.FromHexString("0603550403"), value)));
        var certificate = Certificate.Parse((Open(Leaf.Certificate) with { Subject = name }).Close(Root.Key));
        Assert.Equal("CN=a\\u000d\\u000aINFO all is well\\, \\u001b[31m\\u202e\\u00e4", certificate.SubjectText);
    }

    [Fact]
    public void Rejects_what_is_cut_off_at_any_byte()
    {
        var der = Leaf.Certificate.Der;
        for (var length = 0; length < der.Length; length++)
        {
            Assert.False(Certificate.TryParse(der[..length], out var certificate, out var fault));
            Assert.Null(certificate);
            Assert.Equal(CertificateFault.Malformed, fault);
        }
    }

    [Fact]
    public void Rejects_more_than_64_KiB_unread()
    {
        Assert.False(Certificate.TryParse(new byte[Certificate.MaxSize + 1], out _, out var fault));
        Assert.Equal(CertificateFault.TooLarge, fault);
    }

    [Fact]
    public void Rejects_bytes_after_the_end() => AssertRejected(CertificateFault.TrailingData, s => s with { Trailing = [0] });

    [Theory]
    [InlineData("A003020101")]
    [InlineData("A003020100")]
    [InlineData("A003020103")]
    [InlineData("")]
    public void Rejects_other_versions(string version) => AssertRejected(CertificateFault.NotVersion3, s => s with { Version = Convert.FromHexString(version) });

    [Theory]
    [InlineData("020100", CertificateFault.BadSerialNumber)]
    [InlineData("020180", CertificateFault.BadSerialNumber)]
    [InlineData("0215010000000000000000000000000000000000000000", CertificateFault.BadSerialNumber)]
    [InlineData("02020001", CertificateFault.Malformed)]
    [InlineData("0200", CertificateFault.Malformed)]
    public void Rejects_serial_numbers_that_are_not_positive_minimal_and_of_at_most_20_bytes(string serial, CertificateFault fault) =>
        AssertRejected(fault, s => s with { Serial = Convert.FromHexString(serial) });

    [Fact]
    public void Rejects_two_different_signature_algorithms() =>
        AssertRejected(CertificateFault.SignatureAlgorithmsDiffer, s => s with { OuterAlgorithm = Convert.FromHexString("300A06082A8648CE3D040303") });

    [Theory]
    [InlineData("260101000000Z", "260101000000Z", true)]
    [InlineData("260229000000Z", "270101000000Z", false)]
    [InlineData("260101000000Z", "251231235959Z", false)]
    [InlineData("261301000000Z", "270101000000Z", false)]
    [InlineData("260101240000Z", "270101000000Z", false)]
    [InlineData("260101006000Z", "270101000000Z", false)]
    [InlineData("260101000060Z", "270101000000Z", false)]
    [InlineData("2601010000Z", "270101000000Z", false)]
    [InlineData("260101000000+0000", "270101000000Z", false)]
    [InlineData("26010100000aZ", "270101000000Z", false)]
    public void Rejects_dates_that_are_none(string notBefore, string notAfter, bool valid)
    {
        var validity = Sequence(Wrap(0x17, Encoding.ASCII.GetBytes(notBefore)), Wrap(0x17, Encoding.ASCII.GetBytes(notAfter)));
        AssertRejected(valid ? CertificateFault.None : CertificateFault.BadValidity, s => s with { Validity = validity });
    }

    [Fact]
    public void Reads_both_forms_of_dates()
    {
        var validity = Sequence(Wrap(0x17, "500101000000Z"u8.ToArray()), Wrap(0x18, "99991231235959Z"u8.ToArray()));
        var certificate = Certificate.Parse((Open(Leaf.Certificate) with { Validity = validity }).Close(Root.Key));
        Assert.Equal(new DateTimeOffset(1950, 1, 1, 0, 0, 0, TimeSpan.Zero), certificate.NotBefore);
        Assert.Equal(new DateTimeOffset(9999, 12, 31, 23, 59, 59, TimeSpan.Zero), certificate.NotAfter);
        Assert.Equal(2049, Read("491231235959Z").NotAfter.Year);
        AssertRejected(CertificateFault.BadValidity, s => s with { Validity = Sequence(Wrap(0x18, "00000101000000Z"u8.ToArray()), Wrap(0x18, "20260101000000Z"u8.ToArray())) });
        AssertRejected(CertificateFault.BadValidity, s => s with { Validity = Sequence(Wrap(0x18, "20260101000000.5Z"u8.ToArray()), Wrap(0x18, "20270101000000Z"u8.ToArray())) });

        static Certificate Read(string notAfter) => Certificate.Parse(
            (Open(Leaf.Certificate) with { Validity = Sequence(Wrap(0x17, "260101000000Z"u8.ToArray()), Wrap(0x17, Encoding.ASCII.GetBytes(notAfter))) }).Close(Root.Key));
    }

    [Theory]
    [InlineData("3002 3100")]
    [InlineData("3004 3102 3000")]
    [InlineData("3009 3107 3005 0603550403")]
    [InlineData("3003 020101")]
    public void Rejects_a_subject_and_an_issuer_that_is_no_name(string name)
    {
        var encoded = Convert.FromHexString(name.Replace(" ", "", StringComparison.Ordinal));
        AssertRejected(CertificateFault.BadName, s => s with { Subject = encoded });
        AssertRejected(CertificateFault.BadName, s => s with { Issuer = encoded });
    }

    [Theory]
    [InlineData("3000")]
    [InlineData("3004 3000 0300")]
    [InlineData("3009 3003 060100 0302 0780")]
    public void Rejects_a_public_key_without_its_structure(string info) =>
        AssertRejected(CertificateFault.BadPublicKey, s => s with { KeyInfo = Convert.FromHexString(info.Replace(" ", "", StringComparison.Ordinal)) });

    [Fact]
    public void Rejects_the_same_extension_twice()
    {
        AssertRejected(CertificateFault.RepeatedExtension, s => s with { Extensions = [.. s.Extensions!, s.Extensions![0]] });
        AssertRejected(CertificateFault.RepeatedExtension, s => s with { Extensions = [Extension("1.2.3", [5, 0]), Extension("1.2.3", [5, 0])] });
    }

    [Fact]
    public void Rejects_hundreds_of_extensions_names_and_constraints()
    {
        AssertRejected(CertificateFault.TooManyParts, s => s with { Extensions = [.. Enumerable.Range(0, 65).Select(i => Extension($"1.2.{i}", [5, 0]))] });
        var names = TestAuthority.AlternativeName(["spiffe://example.org/web"], Enumerable.Range(0, 256).Select(i => $"a{i}"), critical: true);
        AssertRejected(CertificateFault.TooManyParts, s => s.With("2.5.29.17", names.RawData));
        var subtrees = Enumerable.Range(0, 129).Select(i => Sequence(Wrap(0x82, Encoding.ASCII.GetBytes($"a{i}")))).ToArray();
        AssertRejected(CertificateFault.TooManyParts, s => s.With("2.5.29.30", Sequence(Wrap(0xA0, [.. subtrees.SelectMany(b => b)]))));
    }

    [Theory]
    // basicConstraints: FALSE spelt out, a limit without cA, a negative limit, something behind
    [InlineData("2.5.29.19", "3003010100")]
    [InlineData("2.5.29.19", "3003020100")]
    [InlineData("2.5.29.19", "30060101FF0201FF")]
    [InlineData("2.5.29.19", "30060101FF0101FF")]
    [InlineData("2.5.29.19", "30030101FF00")]
    [InlineData("2.5.29.19", "3003010101")]
    // keyUsage: not a bit string, three bytes, padding bits set
    [InlineData("2.5.29.15", "040106")]
    [InlineData("2.5.29.15", "030400800000")]
    [InlineData("2.5.29.15", "030207FF")]
    // extendedKeyUsage: empty, not an identifier
    [InlineData("2.5.29.37", "3000")]
    [InlineData("2.5.29.37", "3003020101")]
    // subjectAltName: empty, a universal tag inside, a constructed URI, a directory name that is none
    [InlineData("2.5.29.17", "3000")]
    [InlineData("2.5.29.17", "30030C0161")]
    [InlineData("2.5.29.17", "3003A60161")]
    [InlineData("2.5.29.17", "3003A4010C")]
    // nameConstraints: empty, an empty list, another tag
    [InlineData("2.5.29.30", "3000")]
    [InlineData("2.5.29.30", "3002A000")]
    [InlineData("2.5.29.30", "3002A200")]
    // key identifiers
    [InlineData("2.5.29.14", "0201")]
    [InlineData("2.5.29.35", "0400")]
    [InlineData("2.5.29.35", "30028001")]
    public void Rejects_an_extension_with_other_content(string oid, string value) =>
        AssertRejected(CertificateFault.BadExtension, s => s.With(oid, Convert.FromHexString(value)));

    [Fact]
    public void Rejects_a_criticality_of_FALSE_that_is_spelt_out()
    {
        var extension = Sequence(Convert.FromHexString("06022A03"), [0x01, 0x01, 0x00], [0x04, 0x02, 0x05, 0x00]);
        AssertRejected(CertificateFault.Malformed, s => s with { Extensions = [extension] });
    }

    [Theory]
    [InlineData("2.5.29.32", false)] // certificatePolicies restrict nobody who accepts any policy
    [InlineData("2.5.29.36", true)] // policyConstraints could demand one
    [InlineData("2.5.29.54", true)] // inhibitAnyPolicy
    [InlineData("1.2.3.4", true)]
    public void Remembers_a_critical_extension_that_is_not_processed(string oid, bool unknown)
    {
        var surgery = Open(Leaf.Certificate);
        Assert.Equal(unknown, Certificate.Parse(surgery.With(oid, [0x30, 0x00], critical: true).Close(Root.Key)).HasUnknownCriticalExtension);
        Assert.False(Certificate.Parse(surgery.With(oid, [0x30, 0x00], critical: false).Close(Root.Key)).HasUnknownCriticalExtension);
    }

    [Fact]
    public void A_huge_path_length_is_no_limit_that_matters()
    {
        var surgery = Open(Root.Certificate).With("2.5.29.19", Convert.FromHexString("300B0101FF02060100000000FF"), critical: true);
        Assert.Equal(int.MaxValue, Certificate.Parse(surgery.Close(Root.Key)).PathLength);
    }

    [Fact]
    public void Reads_past_the_obsolete_unique_identifiers()
    {
        var certificate = Certificate.Parse((Open(Leaf.Certificate) with { BeforeExtensions = [0x81, 0x02, 0x00, 0x55, 0x82, 0x02, 0x00, 0x55] }).Close(Root.Key));
        Assert.Equal(Leaf.Certificate.UriNames, certificate.UriNames);
    }

    [Theory]
    [InlineData("30800000")] // indefinite length
    [InlineData("30810100")] // a length that fits in one byte, in two
    [InlineData("3082000100")] // a leading zero in the length
    [InlineData("308400000001FF")] // four bytes of length
    [InlineData("3F8101")] // a tag of more than one byte
    [InlineData("31020500")] // another tag
    [InlineData("30")]
    [InlineData("")]
    public void Rejects_BER_that_is_not_DER(string hex)
    {
        Assert.False(Certificate.TryParse(Convert.FromHexString(hex), out _, out var fault));
        Assert.Equal(CertificateFault.Malformed, fault);
        Assert.Equal(fault.Sentence(), Assert.Throws<FormatException>(() => Certificate.Parse(Convert.FromHexString(hex))).Message);
    }

    [Fact]
    public void Rejects_a_length_in_more_bytes_than_it_needs()
    {
        var der = Leaf.Certificate.Der.ToArray();
        Assert.Equal([0x30, 0x82], der[..2]);
        Assert.False(Certificate.TryParse((byte[])[0x30, 0x83, 0, .. der[2..]], out _, out var fault));
        Assert.Equal(CertificateFault.Malformed, fault);
        AssertRejected(CertificateFault.Malformed, s => s with { Serial = [0x02, 0x81, 0x01, 0x05] });
    }

    [Fact]
    public void Rejects_a_signature_that_is_no_whole_number_of_bytes() => AssertRejected(CertificateFault.Malformed, s => s with { UnusedSignatureBits = 1 });

    [Fact]
    public void Reads_every_certificate_of_a_PEM_text_with_comments_in_between()
    {
        var text = "# the root\r\n" + Root.Certificate.ToPem().ReplaceLineEndings("\r\n") + "\n subject=web\n" + Leaf.Certificate.ToPem() + "\n\n";
        Assert.Equal([Root.Certificate, Leaf.Certificate], Certificate.ParsePem(text));
    }

    [Fact]
    public void Writes_PEM_that_the_framework_reads()
    {
        using var framework = X509Certificate2.CreateFromPem(Leaf.Certificate.ToPem());
        Assert.Equal(Leaf.Certificate.Der.ToArray(), framework.RawData);
    }

    [Fact]
    public void Rejects_PEM_that_has_lost_something()
    {
        var pem = Root.Certificate.ToPem();
        AssertRejectedPem(CertificateFault.NoCertificate, "");
        AssertRejectedPem(CertificateFault.NoCertificate, "no PEM");
        AssertRejectedPem(CertificateFault.BadPem, pem[..^30]);
        AssertRejectedPem(CertificateFault.BadPem, pem[..^30] + "\n" + pem);
        AssertRejectedPem(CertificateFault.BadPem, pem + pem[..200]);
        AssertRejectedPem(CertificateFault.BadPem, pem.Replace("-----BEGIN CERTIFICATE-----\n", "-----BEGIN CERTIFICATE-----\nProc-Type: 4,ENCRYPTED\n\n", StringComparison.Ordinal));
        AssertRejectedPem(CertificateFault.BadPem, pem.Replace("END CERTIFICATE", "END CERTIFICATE REQUEST", StringComparison.Ordinal));
        AssertRejectedPem(CertificateFault.ForeignPemBlock, pem + Root.KeyPem);
        AssertRejectedPem(CertificateFault.Malformed, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
        AssertRejectedPem(CertificateFault.TooManyCertificates, string.Concat(Enumerable.Repeat(pem, 257)));
        AssertRejectedPem(CertificateFault.TooLarge, new string(' ', (4 * 1024 * 1024) + 1));
        Assert.Equal(256, Certificate.ParsePem(string.Concat(Enumerable.Repeat(pem, 256))).Length);

        static void AssertRejectedPem(CertificateFault expected, string pem)
        {
            Assert.False(Certificate.TryParsePem(pem, out var certificates, out var fault));
            Assert.Empty(certificates);
            Assert.Equal(expected, fault);
            Assert.Equal(expected.Sentence(), Assert.Throws<FormatException>(() => Certificate.ParsePem(pem)).Message);
        }
    }

    [Fact]
    public void Every_fault_has_a_sentence_of_its_own() => Sentences.AssertDistinct<CertificateFault>(f => f.Sentence());

    [Fact]
    public void Surgery_alone_changes_nothing()
    {
        var certificate = Certificate.Parse(Open(Leaf.Certificate).Close(Root.Key));
        Assert.Equal(Leaf.Certificate.SignedPart.ToArray(), certificate.SignedPart.ToArray());
        Assert.True(certificate.VerifySignature(Root.Certificate));
    }

    private static Certificate WithKey(byte[] info) => Certificate.Parse((Open(Leaf.Certificate) with { KeyInfo = info }).Close(Root.Key));

    private static void AssertRejected(CertificateFault expected, Func<CertificateSurgery, CertificateSurgery> operate)
    {
        var der = operate(Open(Leaf.Certificate)).Close(Root.Key);
        Assert.Equal(expected == CertificateFault.None, Certificate.TryParse(der, out var certificate, out var fault));
        Assert.Equal(expected, fault);
        Assert.Equal(expected == CertificateFault.None, certificate is not null);
    }
}
