using System.Collections.Immutable;
using System.Security.Cryptography.X509Certificates;

namespace Mesh.Spiffe.X509;

/// <summary>The fields of a certificate while they are being read (RFC 5280 section 4.1), in the order in which they stand.</summary>
internal sealed class CertificateContent
{
    private const int MaxExtensions = 64;
    private const int MaxNames = 256;
    private const int MaxSerialLength = 20;

    private readonly List<ReadOnlyMemory<byte>> _seen = [];

    private CertificateContent(ReadOnlyMemory<byte> der) => Der = der;

    public ReadOnlyMemory<byte> Der { get; }
    public ReadOnlyMemory<byte> SignedPart { get; private set; }
    public ReadOnlyMemory<byte> SerialNumber { get; private set; }
    public ReadOnlyMemory<byte> RawIssuer { get; private set; }
    public ReadOnlyMemory<byte> RawSubject { get; private set; }
    public DateTimeOffset NotBefore { get; private set; }
    public DateTimeOffset NotAfter { get; private set; }
    public ReadOnlyMemory<byte> SubjectPublicKeyInfo { get; private set; }
    public SubjectKey Key { get; private set; } = null!;
    public ReadOnlyMemory<byte> Signature { get; private set; }
    public SignatureScheme? SignatureScheme { get; private set; }
    public bool IsCa { get; private set; }
    public int? PathLength { get; private set; }
    public X509KeyUsageFlags? KeyUsages { get; private set; }
    public bool KeyUsagesAreCritical { get; private set; }
    public ExtendedKeyUsages? ExtendedKeyUsages { get; private set; }
    public ImmutableArray<GeneralName> AlternativeNames { get; private set; } = [];
    public bool AlternativeNamesAreCritical { get; private set; }
    public NameConstraints? NameConstraints { get; private set; }
    public ReadOnlyMemory<byte> SubjectKeyId { get; private set; }
    public ReadOnlyMemory<byte> AuthorityKeyId { get; private set; }
    public bool HasUnknownCriticalExtension { get; private set; }

    /// <summary>Reads a whole certificate; null with the fault when it is not one.</summary>
    public static CertificateFault Read(ReadOnlyMemory<byte> der, out CertificateContent? content)
    {
        content = null;
        var read = new CertificateContent(der);
        var fault = read.ReadCertificate();
        if (fault == CertificateFault.None) content = read;
        return fault;
    }

    private CertificateFault ReadCertificate()
    {
        var outer = new DerReader(Der);
        if (!outer.TryRead(DerReader.Sequence, out var certificate)) return CertificateFault.Malformed;
        if (!outer.IsEmpty) return CertificateFault.TrailingData;
        var reader = new DerReader(certificate);
        if (!reader.TryRead(DerReader.Sequence, out var signedPart, out var signedPartEncoded)
            || !reader.TryRead(DerReader.Sequence, out _, out var algorithm)
            || !reader.TryReadBitString(out var signature, out var unused)
            || unused != 0
            || !reader.IsEmpty) return CertificateFault.Malformed;
        SignedPart = signedPartEncoded;
        Signature = signature;
        SignatureScheme = SignatureScheme.Read(algorithm);
        return ReadSignedPart(signedPart, algorithm);
    }

    private CertificateFault ReadSignedPart(ReadOnlyMemory<byte> signedPart, ReadOnlyMemory<byte> outerAlgorithm)
    {
        var reader = new DerReader(signedPart);
        if (!reader.TryRead(0xA0, out var version)) return CertificateFault.NotVersion3;
        var versionReader = new DerReader(version);
        if (!versionReader.TryReadSmallInteger(out var number) || !versionReader.IsEmpty) return CertificateFault.Malformed;
        if (number != 2) return CertificateFault.NotVersion3;

        if (!reader.TryReadInteger(out var serial)) return CertificateFault.Malformed;
        if (serial.Length > MaxSerialLength || serial.Span[0] >= 0x80 || serial.Span is [0]) return CertificateFault.BadSerialNumber;
        SerialNumber = serial;

        if (!reader.TryRead(DerReader.Sequence, out _, out var algorithm)) return CertificateFault.Malformed;
        if (!algorithm.Span.SequenceEqual(outerAlgorithm.Span)) return CertificateFault.SignatureAlgorithmsDiffer;

        if (!reader.TryRead(DerReader.Sequence, out _, out var issuer)) return CertificateFault.Malformed;
        if (!DistinguishedName.IsWellFormed(issuer)) return CertificateFault.BadName;
        RawIssuer = issuer;

        if (!reader.TryRead(DerReader.Sequence, out var validity)) return CertificateFault.Malformed;
        var dates = new DerReader(validity);
        if (!dates.TryReadTime(out var notBefore) || !dates.TryReadTime(out var notAfter) || !dates.IsEmpty || notAfter < notBefore) return CertificateFault.BadValidity;
        (NotBefore, NotAfter) = (notBefore, notAfter);

        if (!reader.TryRead(DerReader.Sequence, out _, out var subject)) return CertificateFault.Malformed;
        if (!DistinguishedName.IsWellFormed(subject)) return CertificateFault.BadName;
        RawSubject = subject;

        if (!reader.TryRead(DerReader.Sequence, out _, out var keyInfo)) return CertificateFault.Malformed;
        SubjectPublicKeyInfo = keyInfo;
        if (SubjectKey.Read(keyInfo) is not { } key) return CertificateFault.BadPublicKey;
        Key = key;

        // issuerUniqueID and subjectUniqueID: obsolete, skipped.
        if (reader.PeekTag() == 0x81 && !reader.TryRead(0x81, out _)) return CertificateFault.Malformed;
        if (reader.PeekTag() == 0x82 && !reader.TryRead(0x82, out _)) return CertificateFault.Malformed;
        if (reader.IsEmpty) return CertificateFault.None;
        if (!reader.TryRead(0xA3, out var extensions) || !reader.IsEmpty) return CertificateFault.Malformed;
        return ReadExtensions(extensions);
    }

    private CertificateFault ReadExtensions(ReadOnlyMemory<byte> wrapped)
    {
        var outer = new DerReader(wrapped);
        if (!outer.TryRead(DerReader.Sequence, out var list) || !outer.IsEmpty || list.IsEmpty) return CertificateFault.Malformed;
        var reader = new DerReader(list);
        while (!reader.IsEmpty)
        {
            if (_seen.Count == MaxExtensions) return CertificateFault.TooManyParts;
            if (!reader.TryRead(DerReader.Sequence, out var extension)) return CertificateFault.Malformed;
            var parts = new DerReader(extension);
            var critical = false;
            if (!parts.TryRead(DerReader.ObjectIdentifier, out var id)) return CertificateFault.Malformed;
            // DER leaves a default out, so a FALSE that stands there is an error.
            if (parts.PeekTag() == DerReader.Boolean && (!parts.TryReadBoolean(out critical) || !critical)) return CertificateFault.Malformed;
            if (!parts.TryRead(DerReader.OctetString, out var value) || !parts.IsEmpty) return CertificateFault.Malformed;
            foreach (var seen in _seen)
            {
                if (seen.Span.SequenceEqual(id.Span)) return CertificateFault.RepeatedExtension;
            }

            _seen.Add(id);
            var fault = ReadExtension(id.Span, critical, value);
            if (fault != CertificateFault.None) return fault;
        }

        return CertificateFault.None;
    }

    private CertificateFault ReadExtension(ReadOnlySpan<byte> id, bool critical, ReadOnlyMemory<byte> value)
    {
        if (id.SequenceEqual(ObjectIdentifiers.BasicConstraints)) return ReadBasicConstraints(value);
        if (id.SequenceEqual(ObjectIdentifiers.KeyUsage)) return ReadKeyUsage(value, critical);
        if (id.SequenceEqual(ObjectIdentifiers.ExtendedKeyUsage)) return ReadExtendedKeyUsage(value);
        if (id.SequenceEqual(ObjectIdentifiers.SubjectAlternativeName)) return ReadAlternativeNames(value, critical);
        if (id.SequenceEqual(ObjectIdentifiers.SubjectKeyIdentifier)) return ReadSubjectKeyId(value);
        if (id.SequenceEqual(ObjectIdentifiers.AuthorityKeyIdentifier)) return ReadAuthorityKeyId(value);
        if (id.SequenceEqual(ObjectIdentifiers.NameConstraints))
        {
            var fault = NameConstraints.Read(value, out var constraints);
            NameConstraints = constraints;
            return fault;
        }

        // Policies restrict nothing for whoever accepts any policy and demands none (RFC 5280 section 6.1.1), which is our case. The
        // extensions that can demand one are not processed, so a critical one is refused like any other we do not know.
        if (!id.SequenceEqual(ObjectIdentifiers.CertificatePolicies)) HasUnknownCriticalExtension |= critical;
        return CertificateFault.None;
    }

    private CertificateFault ReadBasicConstraints(ReadOnlyMemory<byte> value)
    {
        var outer = new DerReader(value);
        if (!outer.TryRead(DerReader.Sequence, out var content) || !outer.IsEmpty) return CertificateFault.BadExtension;
        var reader = new DerReader(content);
        if (reader.PeekTag() == DerReader.Boolean)
        {
            if (!reader.TryReadBoolean(out var isCa) || !isCa) return CertificateFault.BadExtension;
            IsCa = true;
        }

        if (reader.IsEmpty) return CertificateFault.None;
        if (!reader.TryReadSmallInteger(out var pathLength) || !reader.IsEmpty || !IsCa) return CertificateFault.BadExtension;
        PathLength = pathLength;
        return CertificateFault.None;
    }

    private CertificateFault ReadKeyUsage(ReadOnlyMemory<byte> value, bool critical)
    {
        var reader = new DerReader(value);
        if (!reader.TryReadBitString(out var bits, out _) || !reader.IsEmpty || bits.Length > 2) return CertificateFault.BadExtension;
        var first = bits.IsEmpty ? 0 : bits.Span[0];
        // The framework's flags are the first byte as it stands, and bit 8 (decipherOnly) moved to 0x8000.
        KeyUsages = (X509KeyUsageFlags)(first | (bits.Length == 2 ? bits.Span[1] << 8 : 0));
        KeyUsagesAreCritical = critical;
        return CertificateFault.None;
    }

    private CertificateFault ReadExtendedKeyUsage(ReadOnlyMemory<byte> value)
    {
        var outer = new DerReader(value);
        if (!outer.TryRead(DerReader.Sequence, out var content) || !outer.IsEmpty || content.IsEmpty) return CertificateFault.BadExtension;
        var reader = new DerReader(content);
        var usages = Spiffe.ExtendedKeyUsages.None;
        while (!reader.IsEmpty)
        {
            if (!reader.TryRead(DerReader.ObjectIdentifier, out var oid)) return CertificateFault.BadExtension;
            if (oid.Span.SequenceEqual(ObjectIdentifiers.ServerAuth)) usages |= Spiffe.ExtendedKeyUsages.ServerAuth;
            else if (oid.Span.SequenceEqual(ObjectIdentifiers.ClientAuth)) usages |= Spiffe.ExtendedKeyUsages.ClientAuth;
            else if (oid.Span.SequenceEqual(ObjectIdentifiers.AnyExtendedKeyUsage)) usages |= Spiffe.ExtendedKeyUsages.Any;
            else usages |= Spiffe.ExtendedKeyUsages.Other;
        }

        ExtendedKeyUsages = usages;
        return CertificateFault.None;
    }

    private CertificateFault ReadAlternativeNames(ReadOnlyMemory<byte> value, bool critical)
    {
        var outer = new DerReader(value);
        if (!outer.TryRead(DerReader.Sequence, out var content) || !outer.IsEmpty || content.IsEmpty) return CertificateFault.BadExtension;
        var reader = new DerReader(content);
        var names = ImmutableArray.CreateBuilder<GeneralName>(1);
        while (!reader.IsEmpty)
        {
            if (names.Count == MaxNames) return CertificateFault.TooManyParts;
            if (!GeneralName.TryRead(ref reader, out var name)) return CertificateFault.BadExtension;
            names.Add(name);
        }

        AlternativeNames = names.DrainToImmutable();
        AlternativeNamesAreCritical = critical;
        return CertificateFault.None;
    }

    private CertificateFault ReadSubjectKeyId(ReadOnlyMemory<byte> value)
    {
        var reader = new DerReader(value);
        if (!reader.TryRead(DerReader.OctetString, out var id) || !reader.IsEmpty) return CertificateFault.BadExtension;
        SubjectKeyId = id;
        return CertificateFault.None;
    }

    private CertificateFault ReadAuthorityKeyId(ReadOnlyMemory<byte> value)
    {
        var outer = new DerReader(value);
        if (!outer.TryRead(DerReader.Sequence, out var content) || !outer.IsEmpty) return CertificateFault.BadExtension;
        var reader = new DerReader(content);
        if (reader.PeekTag() == 0x80)
        {
            if (!reader.TryRead(0x80, out var id)) return CertificateFault.BadExtension;
            AuthorityKeyId = id;
        }

        // The issuer's name and serial may follow; the key identifier is enough for us.
        while (!reader.IsEmpty)
        {
            if (!reader.TryReadAny(out _, out _, out _)) return CertificateFault.BadExtension;
        }

        return CertificateFault.None;
    }
}
