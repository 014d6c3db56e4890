using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Mesh.Spiffe.X509;

namespace Mesh.Spiffe;

/// <summary>
/// An X.509 v3 certificate (RFC 5280), read once from DER by our own strict reader. Immutable, free of native handles until a signature
/// is checked with its key, and safe to share between threads. That it could be read says nothing about whether to trust it: that is
/// <see cref="SvidVerifier"/>'s.
/// </summary>
public sealed class Certificate : IEquatable<Certificate>
{
    /// <summary>The largest certificate that is read, in bytes.</summary>
    public const int MaxSize = 64 * 1024;

    private string? _sha256;

    private Certificate(CertificateContent content)
    {
        Der = content.Der;
        SignedPart = content.SignedPart;
        SerialNumber = content.SerialNumber;
        RawIssuer = content.RawIssuer;
        RawSubject = content.RawSubject;
        NotBefore = content.NotBefore;
        NotAfter = content.NotAfter;
        SubjectPublicKeyInfo = content.SubjectPublicKeyInfo;
        Key = content.Key;
        Signature = content.Signature;
        SignatureScheme = content.SignatureScheme;
        IsCa = content.IsCa;
        PathLength = content.PathLength;
        KeyUsages = content.KeyUsages;
        KeyUsagesAreCritical = content.KeyUsagesAreCritical;
        ExtendedKeyUsages = content.ExtendedKeyUsages;
        AlternativeNames = content.AlternativeNames;
        AlternativeNamesAreCritical = content.AlternativeNamesAreCritical;
        UriNames = Texts(GeneralNameForm.Uri);
        DnsNames = Texts(GeneralNameForm.Dns);
        NameConstraints = content.NameConstraints;
        SubjectKeyId = content.SubjectKeyId;
        AuthorityKeyId = content.AuthorityKeyId;
        HasUnknownCriticalExtension = content.HasUnknownCriticalExtension;
    }

    public ReadOnlyMemory<byte> Der { get; }

    /// <summary>The serial number's content octets: big-endian, positive, at most 20 bytes.</summary>
    public ReadOnlyMemory<byte> SerialNumber { get; }

    /// <summary>The subject's Name in DER; an empty SEQUENCE when there is none.</summary>
    public ReadOnlyMemory<byte> RawSubject { get; }

    /// <summary>The issuer's Name in DER.</summary>
    public ReadOnlyMemory<byte> RawIssuer { get; }

    /// <summary>The public key with its algorithm, in DER.</summary>
    public ReadOnlyMemory<byte> SubjectPublicKeyInfo { get; }

    public PublicKeyKind KeyKind => Key.Kind;

    /// <summary>The subject key identifier; empty when absent.</summary>
    public ReadOnlyMemory<byte> SubjectKeyId { get; }

    /// <summary>The key identifier inside the authority key identifier; empty when absent.</summary>
    public ReadOnlyMemory<byte> AuthorityKeyId { get; }

    /// <summary>The first second of validity, UTC.</summary>
    public DateTimeOffset NotBefore { get; }

    /// <summary>The last second of validity, UTC, inclusive.</summary>
    public DateTimeOffset NotAfter { get; }

    /// <summary>basicConstraints says cA; false when the extension is absent.</summary>
    public bool IsCa { get; }

    /// <summary>How many CA certificates that are not self-issued may follow below; null without a limit.</summary>
    public int? PathLength { get; }

    /// <summary>The key usage extension; null when absent.</summary>
    public X509KeyUsageFlags? KeyUsages { get; }

    /// <summary>The extended key usage extension; null when absent.</summary>
    public ExtendedKeyUsages? ExtendedKeyUsages { get; }

    /// <summary>
    /// Every URI in the subject alternative name, also such as are no URI at all. Bytes above 127 are shown as Latin-1; nobody who
    /// reads a SPIFFE ID from here accepts them.
    /// </summary>
    public ImmutableArray<string> UriNames { get; }

    /// <summary>Every DNS name in the subject alternative name, as it stands there.</summary>
    public ImmutableArray<string> DnsNames { get; }

    /// <summary>True when there is a critical extension that this library does not process (RFC 5280 section 4.2).</summary>
    public bool HasUnknownCriticalExtension { get; }

    /// <summary>True when the certificate restricts the names of what is issued below it.</summary>
    public bool HasNameConstraints => NameConstraints is not null;

    /// <summary>Subject and issuer are the same name.</summary>
    public bool IsSelfIssued => RawSubject.Span.SequenceEqual(RawIssuer.Span);

    /// <summary>SHA-256 over the DER, lower-case hex: the certificate's fingerprint.</summary>
    public string Sha256 => _sha256 ??= Convert.ToHexStringLower(SHA256.HashData(Der.Span));

    /// <summary>The serial number in lower-case hex, without a leading zero byte.</summary>
    public string SerialText => Convert.ToHexStringLower(SerialNumber.Span is [0, _, ..] span ? span[1..] : SerialNumber.Span);

    /// <summary><c>CN=web, O=Example</c>, printable ASCII only; empty when there is no subject.</summary>
    public string SubjectText => DistinguishedName.ToText(RawSubject);

    /// <inheritdoc cref="SubjectText"/>
    public string IssuerText => DistinguishedName.ToText(RawIssuer);

    internal ReadOnlyMemory<byte> SignedPart { get; }

    internal ReadOnlyMemory<byte> Signature { get; }

    /// <summary>Null for an algorithm we do not verify.</summary>
    internal SignatureScheme? SignatureScheme { get; }

    internal SubjectKey Key { get; }

    internal bool KeyUsagesAreCritical { get; }

    internal ImmutableArray<GeneralName> AlternativeNames { get; }

    internal bool AlternativeNamesAreCritical { get; }

    internal NameConstraints? NameConstraints { get; }

    /// <summary>Reads one certificate; the bytes are copied. Malformed input is a fault, never an exception.</summary>
    public static bool TryParse(ReadOnlyMemory<byte> der, [NotNullWhen(true)] out Certificate? certificate, out CertificateFault fault)
    {
        certificate = null;
        if (der.Length > MaxSize)
        {
            fault = CertificateFault.TooLarge;
            return false;
        }

        fault = CertificateContent.Read(der.ToArray(), out var content);
        if (content is null) return false;
        certificate = new Certificate(content);
        return true;
    }

    /// <exception cref="FormatException">The bytes are not a certificate; the message is the fault's sentence.</exception>
    public static Certificate Parse(ReadOnlyMemory<byte> der) =>
        TryParse(der, out var certificate, out var fault) ? certificate : throw new FormatException(fault.Sentence());

    /// <summary>
    /// Reads every certificate of a PEM text, in its order. There must be at least one, and no other kind of block; text between the
    /// blocks is ignored, as RFC 7468 section 2 allows and CA files in the field have it.
    /// </summary>
    public static bool TryParsePem(string pem, out ImmutableArray<Certificate> certificates, out CertificateFault fault)
    {
        certificates = [];
        if (!Pem.TryRead(pem, out var blocks, out fault)) return false;
        var read = ImmutableArray.CreateBuilder<Certificate>(blocks.Count);
        foreach (var block in blocks)
        {
            if (block.Label != Pem.Certificate)
            {
                fault = CertificateFault.ForeignPemBlock;
                return false;
            }

            if (!TryParse(block.Content, out var certificate, out fault)) return false;
            read.Add(certificate);
        }

        fault = read.Count == 0 ? CertificateFault.NoCertificate : CertificateFault.None;
        if (fault != CertificateFault.None) return false;
        certificates = read.ToImmutable();
        return true;
    }

    /// <inheritdoc cref="TryParsePem"/>
    /// <exception cref="FormatException">The message is the fault's sentence.</exception>
    public static ImmutableArray<Certificate> ParsePem(string pem) =>
        TryParsePem(pem, out var certificates, out var fault) ? certificates : throw new FormatException(fault.Sentence());

    /// <summary>
    /// True when the issuer's key made this certificate's signature. Names, dates and permissions of the issuer are not looked at. False
    /// also for algorithms that are not supported: SHA-1, MD5, Ed25519, keys that <see cref="PublicKeyKind"/> does not list.
    /// </summary>
    public bool VerifySignature(Certificate issuer) =>
        SignatureScheme is not null && issuer.Key.Verify(SignatureScheme, SignedPart.Span, Signature.Span);

    public string ToPem() => Pem.Write(Pem.Certificate, Der.Span);

    /// <summary>Two certificates are equal when their bytes are.</summary>
    public bool Equals(Certificate? other) => other is not null && (ReferenceEquals(this, other) || Der.Span.SequenceEqual(other.Der.Span));

    public override bool Equals(object? obj) => Equals(obj as Certificate);

    public override int GetHashCode()
    {
        var hash = new HashCode();
        // The signature is as good as random.
        hash.AddBytes(Signature.Length > 16 ? Signature.Span[^16..] : Signature.Span);
        return hash.ToHashCode();
    }

    /// <summary>The URI name if there is just one, else the subject, and the serial number.</summary>
    public override string ToString()
    {
        var name = UriNames.Length == 1 && SpiffeId.TryParse(UriNames[0], out var id, out _) ? id.ToString() : SubjectText;
        return $"{(name.Length == 0 ? "no subject" : name)} (serial {SerialText})";
    }

    private ImmutableArray<string> Texts(GeneralNameForm form)
    {
        var count = 0;
        foreach (var name in AlternativeNames) count += name.Form == form ? 1 : 0;
        if (count == 0) return [];
        var texts = ImmutableArray.CreateBuilder<string>(count);
        foreach (var name in AlternativeNames)
        {
            if (name.Form == form) texts.Add(name.Text);
        }

        return texts.MoveToImmutable();
    }
}
