using System.Collections.Immutable;
using System.Formats.Asn1;
using System.Globalization;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Mesh.Spiffe;

namespace Mesh.Testing;

/// <summary>A certificate of a test with its private key. It need not be a valid SVID.</summary>
public sealed record IssuedCertificate(Certificate Certificate, ImmutableArray<Certificate> Chain, AsymmetricAlgorithm Key)
{
    /// <summary>What a peer would send: leaf first, then the intermediates.</summary>
    public ReadOnlyMemory<byte>[] ChainDer => [.. Chain.Select(c => c.Der)];
}

/// <summary>
/// A certificate authority for tests, made with the framework's certificate builder, so that it is independent of the authority that the
/// product ships. It issues whatever it is told to, broken leaves included.
/// </summary>
public sealed class TestAuthority
{
    private static int _counter;

    private readonly TimeProvider _time;
    private readonly TestAuthority? _parent;

    private TestAuthority(TrustDomain trustDomain, AuthorityOptions options, TestAuthority? parent, TimeProvider time)
    {
        _time = time;
        _parent = parent;
        TrustDomain = trustDomain;
        Key = NewKey(options.Key);
        var now = time.GetUtcNow();
        var extensions = new List<X509Extension> { new X509BasicConstraintsExtension(options.IsCa, options.PathLength is not null, options.PathLength ?? 0, critical: true) };
        if (options.KeyUsages is { } usages) extensions.Add(new X509KeyUsageExtension(usages, critical: true));
        var uris = options.UriNames ?? [trustDomain.Id.ToString()];
        if (uris.Count + options.DnsNames.Count > 0) extensions.Add(AlternativeName(uris, options.DnsNames, critical: false));
        if (options.ExtendedKeyUsages.Count > 0) extensions.Add(ExtendedKeyUsage(options.ExtendedKeyUsages));
        extensions.AddRange(options.Extensions);
        var subject = options.Subject.Length > 0
            ? options.Subject
            : string.Create(CultureInfo.InvariantCulture, $"CN={trustDomain} {(parent is null ? "root" : "issuer")} {Interlocked.Increment(ref _counter)}, O=Mesh tests");
        Certificate = Sign(subject, Key, extensions, options.NotBefore ?? now.AddHours(-1), options.NotAfter ?? now.AddYears(10), parent, options.WithKeyIds);
    }

    private TestAuthority(TrustDomain trustDomain, Certificate certificate, AsymmetricAlgorithm key, TestAuthority? parent, TimeProvider time)
    {
        _time = time;
        _parent = parent;
        TrustDomain = trustDomain;
        Certificate = certificate;
        Key = key;
    }

    public TrustDomain TrustDomain { get; }

    public Certificate Certificate { get; }

    public AsymmetricAlgorithm Key { get; }

    public string CertificatePem => Certificate.ToPem();

    public string KeyPem => Key.ExportPkcs8PrivateKeyPem() + "\n";

    /// <summary>The root at the top.</summary>
    public TestAuthority Root => _parent?.Root ?? this;

    /// <summary>The bundle that holds the root.</summary>
    public TrustBundle Bundle => new(TrustDomain, [Root.Certificate], sequence: 1);

    public TrustBundleSet Bundles => new(Bundle);

    /// <summary>This authority and those above it, without the root: what goes along with a leaf.</summary>
    public ImmutableArray<Certificate> Intermediates => _parent is null ? [] : [Certificate, .. _parent.Intermediates];

    public static TestAuthority CreateRoot(TrustDomain trustDomain, Func<AuthorityOptions, AuthorityOptions>? change = null, TimeProvider? time = null) =>
        new(trustDomain, Apply(change), null, time ?? TimeProvider.System);

    /// <param name="trustDomain">The name of the trust domain.</param>
    public static TestAuthority CreateRoot(string trustDomain = "example.org", Func<AuthorityOptions, AuthorityOptions>? change = null, TimeProvider? time = null) =>
        CreateRoot(TrustDomain.Parse(trustDomain), change, time);

    /// <summary>
    /// The authority of somebody else, for leaves that it would not issue itself: a directory as <c>mesh trust init</c> makes it, with keys on P-256.
    /// </summary>
    public static TestAuthority Load(TrustDomain trustDomain, string directory, TimeProvider? time = null)
    {
        TestAuthority Read(string certificate, string key, TestAuthority? parent)
        {
            var ecdsa = ECDsa.Create();
            ecdsa.ImportFromPem(File.ReadAllText(Path.Combine(directory, key)));
            return new TestAuthority(trustDomain, Certificate.ParsePem(File.ReadAllText(Path.Combine(directory, certificate)))[0], ecdsa, parent, time ?? TimeProvider.System);
        }

        return Read("issuer/tls.crt", "issuer/tls.key", Read("root.crt", "root.key", null));
    }

    public TestAuthority CreateIntermediate(Func<AuthorityOptions, AuthorityOptions>? change = null) => new(TrustDomain, Apply(change), this, _time);

    /// <summary>A valid SVID, or one that is valid but for its dates, its issuer or its names.</summary>
    public X509Svid CreateSvid(SpiffeId id, Func<LeafOptions, LeafOptions>? change = null)
    {
        var issued = CreateLeaf(id, change);
        return X509Svid.Create(issued.Chain, issued.Key);
    }

    /// <inheritdoc cref="CreateSvid(SpiffeId, Func{LeafOptions, LeafOptions}?)"/>
    public X509Svid CreateSvid(string id, Func<LeafOptions, LeafOptions>? change = null) => CreateSvid(SpiffeId.Parse(id), change);

    /// <summary>A leaf as the options say, whether or not it is an SVID.</summary>
    public IssuedCertificate CreateLeaf(SpiffeId id, Func<LeafOptions, LeafOptions>? change = null)
    {
        var options = change is null ? new LeafOptions() : change(new LeafOptions());
        var key = NewKey(options.Key);
        var now = _time.GetUtcNow();
        var extensions = new List<X509Extension>();
        if (options.IsCa is { } isCa) extensions.Add(new X509BasicConstraintsExtension(isCa, false, 0, critical: true));
        if (options.KeyUsages is { } usages) extensions.Add(new X509KeyUsageExtension(usages, options.KeyUsagesAreCritical));
        if (options.ExtendedKeyUsages.Count > 0) extensions.Add(ExtendedKeyUsage(options.ExtendedKeyUsages));
        var uris = options.UriNames ?? [id.ToString()];
        if (uris.Count + options.DnsNames.Count > 0) extensions.Add(AlternativeName(uris, options.DnsNames, options.NamesAreCritical ?? options.Subject.Length == 0));
        extensions.AddRange(options.Extensions);
        var certificate = Sign(options.Subject, key, extensions, options.NotBefore ?? now.AddMinutes(-1), options.NotAfter ?? now.AddHours(1), this, options.WithKeyIds, options.BreakSignature);
        return new IssuedCertificate(certificate, [certificate, .. Intermediates], key);
    }

    /// <inheritdoc cref="CreateLeaf(SpiffeId, Func{LeafOptions, LeafOptions}?)"/>
    public IssuedCertificate CreateLeaf(string id, Func<LeafOptions, LeafOptions>? change = null) => CreateLeaf(SpiffeId.Parse(id), change);

    /// <summary>A certificate for a key made elsewhere, for example the one of a signing request.</summary>
    public ImmutableArray<Certificate> Issue(SpiffeId id, PublicKey key, DateTimeOffset notBefore, DateTimeOffset notAfter)
    {
        var request = new CertificateRequest(new X500DistinguishedName(""), key, HashAlgorithmName.SHA256);
        request.CertificateExtensions.Add(new X509BasicConstraintsExtension(false, false, 0, critical: true));
        request.CertificateExtensions.Add(new X509KeyUsageExtension(X509KeyUsageFlags.DigitalSignature, critical: true));
        request.CertificateExtensions.Add(ExtendedKeyUsage([LeafOptions.ServerAuth, LeafOptions.ClientAuth]));
        request.CertificateExtensions.Add(AlternativeName([id.ToString()], [], critical: true));
        request.CertificateExtensions.Add(X509AuthorityKeyIdentifierExtension.CreateFromSubjectKeyIdentifier(Certificate.SubjectKeyId.Span));
        using var certificate = request.Create(new X500DistinguishedName(Certificate.RawSubject.Span), Generator(Key), notBefore, notAfter, NewSerial());
        return [Certificate.Parse(certificate.RawDataMemory), .. Intermediates];
    }

    /// <summary>A subject alternative name with these names in this order, without the framework's <see cref="Uri"/> in between.</summary>
    public static X509Extension AlternativeName(IEnumerable<string> uris, IEnumerable<string> dnsNames, bool critical)
    {
        var writer = new AsnWriter(AsnEncodingRules.DER);
        using (writer.PushSequence())
        {
            // As raw bytes: a broken name must get through as well.
            foreach (var uri in uris) writer.WriteOctetString(System.Text.Encoding.Latin1.GetBytes(uri), new Asn1Tag(TagClass.ContextSpecific, 6));
            foreach (var name in dnsNames) writer.WriteOctetString(System.Text.Encoding.Latin1.GetBytes(name), new Asn1Tag(TagClass.ContextSpecific, 2));
        }

        return new X509Extension("2.5.29.17", writer.Encode(), critical);
    }

    private static AuthorityOptions Apply(Func<AuthorityOptions, AuthorityOptions>? change) => change is null ? new AuthorityOptions() : change(new AuthorityOptions());

    private static Certificate Sign(
        string subject,
        AsymmetricAlgorithm key,
        List<X509Extension> extensions,
        DateTimeOffset notBefore,
        DateTimeOffset notAfter,
        TestAuthority? issuer,
        bool withKeyIds,
        bool breakSignature = false)
    {
        var name = new X500DistinguishedName(subject);
        var request = key switch
        {
            ECDsa ecdsa => new CertificateRequest(name, ecdsa, HashAlgorithmName.SHA256),
            _ => new CertificateRequest(name, (RSA)key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1),
        };
        foreach (var extension in extensions) request.CertificateExtensions.Add(extension);
        if (withKeyIds)
        {
            var keyId = new X509SubjectKeyIdentifierExtension(request.PublicKey, critical: false);
            request.CertificateExtensions.Add(keyId);
            var issuerKeyId = issuer is null ? keyId.SubjectKeyIdentifierBytes : issuer.Certificate.SubjectKeyId;
            if (!issuerKeyId.IsEmpty) request.CertificateExtensions.Add(X509AuthorityKeyIdentifierExtension.CreateFromSubjectKeyIdentifier(issuerKeyId.Span));
        }

        // The overload with a generator issues what it is told; the one with a certificate would refuse to be a broken CA.
        var issuerName = issuer is null ? name : new X500DistinguishedName(issuer.Certificate.RawSubject.Span);
        using var certificate = request.Create(issuerName, Generator(issuer?.Key ?? key), notBefore, notAfter, NewSerial());
        var der = certificate.RawData;
        if (breakSignature) der[^1] ^= 1;
        return Certificate.Parse(der);
    }

    private static X509SignatureGenerator Generator(AsymmetricAlgorithm key) => key switch
    {
        ECDsa ecdsa => X509SignatureGenerator.CreateForECDsa(ecdsa),
        _ => X509SignatureGenerator.CreateForRSA((RSA)key, RSASignaturePadding.Pkcs1),
    };

    private static X509EnhancedKeyUsageExtension ExtendedKeyUsage(IEnumerable<string> purposes)
    {
        var oids = new OidCollection();
        foreach (var purpose in purposes) oids.Add(new Oid(purpose));
        return new X509EnhancedKeyUsageExtension(oids, critical: false);
    }

    private static byte[] NewSerial()
    {
        var serial = RandomNumberGenerator.GetBytes(16);
        serial[0] = (byte)((serial[0] & 0x3F) | 0x40);
        return serial;
    }

    private static AsymmetricAlgorithm NewKey(TestKey kind) => kind switch
    {
        TestKey.P256 => ECDsa.Create(ECCurve.NamedCurves.nistP256),
        TestKey.P384 => ECDsa.Create(ECCurve.NamedCurves.nistP384),
        TestKey.P521 => ECDsa.Create(ECCurve.NamedCurves.nistP521),
        _ => RSA.Create(2048),
    };
}
