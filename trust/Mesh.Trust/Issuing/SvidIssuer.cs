using System.Buffers;
using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using System.Formats.Asn1;
using Mesh.Spiffe;
using Mesh.Trust.Keys;

namespace Mesh.Trust.Issuing;

/// <summary>
/// Issues X.509 SVIDs: modify (fill in what the request leaves open), validate (refuse what policy does not allow), enforce (cut what
/// the issuer cannot vouch for), sign. Immutable and safe for concurrent use without locks; a new issuer certificate means a new object.
///
/// The Subject is empty and the subject alternative name therefore critical (X509-SVID section 3.1): the identity is the URI, and a
/// common name would be a second, unchecked place to look for one. What does not change from one certificate to the next is encoded
/// once, here; the rest is written around it.
/// </summary>
public sealed class SvidIssuer
{
    /// <summary>DNS names in one certificate.</summary>
    public const int MaxDnsNames = 8;

    private const byte DigitalSignature = 0x80;

    // An AsnWriter keeps its buffer through Reset; each thread that issues has its own.
    [ThreadStatic] private static AsnWriter? _writer;

    private readonly SigningKey _key;
    private readonly IssuancePolicy _policy;
    private readonly TimeProvider _time;
    private readonly byte[] _basicConstraints;
    private readonly byte[] _keyUsage;
    private readonly byte[] _extendedKeyUsage;
    private readonly byte[] _authorityKeyId;

    /// <param name="chain">The issuer's certificate, then those above it, without the anchor unless the issuer is the anchor itself.</param>
    /// <param name="anchor">What the chain ends at.</param>
    /// <param name="key">The issuer's key. Not owned.</param>
    /// <exception cref="ArgumentException">The key is not the issuer's.</exception>
    public SvidIssuer(TrustDomain trustDomain, ImmutableArray<Certificate> chain, Certificate anchor, SigningKey key, IssuancePolicy policy, TimeProvider time)
    {
        if (chain.IsDefaultOrEmpty) throw new ArgumentException("an issuer needs its certificate", nameof(chain));
        Certificate = chain[0];
        if (!Certificate.SubjectPublicKeyInfo.Span.SequenceEqual(key.SubjectPublicKeyInfo.Span))
            throw new ArgumentException("the private key does not belong to the issuer's certificate", nameof(key));
        TrustDomain = trustDomain;
        Anchor = anchor;
        Intermediates = chain;
        AuthorityKeyId = Certificate.SubjectKeyId.IsEmpty ? key.KeyId : Certificate.SubjectKeyId;
        NotBefore = chain.Append(anchor).Max(c => c.NotBefore);
        NotAfter = chain.Append(anchor).Min(c => c.NotAfter);
        _key = key;
        _policy = policy;
        _time = time;
        _basicConstraints = CertificateFields.BasicConstraints(authority: false, pathLength: null);
        _keyUsage = CertificateFields.KeyUsage(DigitalSignature, unusedBits: 7);
        _extendedKeyUsage = CertificateFields.ServerAndClient();
        _authorityKeyId = CertificateFields.AuthorityKeyId(AuthorityKeyId.Span);
    }

    public TrustDomain TrustDomain { get; }

    /// <summary>The certificate whose key signs.</summary>
    public Certificate Certificate { get; }

    /// <summary>
    /// What goes with each leaf: <see cref="Certificate"/> and the authorities between it and the anchor. Holds the anchor only where
    /// the issuer is the anchor.
    /// </summary>
    public ImmutableArray<Certificate> Intermediates { get; }

    public Certificate Anchor { get; }

    /// <summary>The key id by which leaves name their issuer.</summary>
    public ReadOnlyMemory<byte> AuthorityKeyId { get; }

    /// <summary>From when the issuer and everything above it is valid.</summary>
    public DateTimeOffset NotBefore { get; }

    /// <summary>Until when the issuer and everything above it is valid. No leaf outlives it.</summary>
    public DateTimeOffset NotAfter { get; }

    /// <summary>Issues one SVID.</summary>
    /// <exception cref="System.Security.Cryptography.CryptographicException">The key refused to sign or could not be reached.</exception>
    public bool TryIssue(SvidRequest request, [NotNullWhen(true)] out IssuedSvid? svid, out IssuanceFault fault)
    {
        svid = null;
        var now = _time.GetUtcNow();
        var lifetime = request.Lifetime ?? _policy.Lifetime;
        fault = Validate(request, lifetime);
        if (fault != IssuanceFault.None) return false;
        fault = Enforce(now, lifetime, out var notBefore, out var notAfter);
        if (fault != IssuanceFault.None) return false;
        svid = Sign(request, notBefore, notAfter);
        return true;
    }

    public override string ToString() => $"issuer {Certificate.SubjectText} for {TrustDomain.Name} until {NotAfter:u}";

    private IssuanceFault Validate(SvidRequest request, TimeSpan lifetime)
    {
        if (request.Id.TrustDomain != TrustDomain) return IssuanceFault.ForeignTrustDomain;
        if (request.Id.IsRoot) return IssuanceFault.RootPath;
        if (lifetime < IssuancePolicy.ShortestLifetime) return IssuanceFault.LifetimeTooShort;
        if (lifetime > _policy.MaximumLifetime) return IssuanceFault.LifetimeTooLong;
        if (request.DnsNames.Length > MaxDnsNames) return IssuanceFault.TooManyDnsNames;
        foreach (var name in request.DnsNames)
        {
            if (!IsDnsName(name)) return IssuanceFault.BadDnsName;
        }

        return IssuanceFault.None;
    }

    private IssuanceFault Enforce(DateTimeOffset now, TimeSpan lifetime, out DateTimeOffset notBefore, out DateTimeOffset notAfter)
    {
        notBefore = now - _policy.ClockSkew;
        notAfter = now + lifetime;
        if (now < NotBefore) return IssuanceFault.IssuerNotYetValid;
        if (now > NotAfter) return IssuanceFault.IssuerExpired;
        if (NotAfter - now < IssuancePolicy.ShortestLifetime) return IssuanceFault.IssuerExpiresTooSoon;
        if (notBefore < NotBefore) notBefore = NotBefore;
        if (notAfter > NotAfter) notAfter = NotAfter;
        return IssuanceFault.None;
    }

    private IssuedSvid Sign(SvidRequest request, DateTimeOffset notBefore, DateTimeOffset notAfter)
    {
        var serial = new byte[CertificateFields.SerialLength];
        CertificateFields.FillSerial(serial);
        var writer = _writer ??= new AsnWriter(AsnEncodingRules.DER, 2048);
        writer.Reset();
        CertificateFields.WriteToBeSigned(
            writer, serial, _key.SignatureAlgorithm.Span, Certificate.RawSubject.Span, notBefore, notAfter, CertificateFields.EmptyName,
            request.Key.SubjectPublicKeyInfo.Span, (Issuer: this, Request: request),
            static (extensions, values) => values.Issuer.WriteExtensions(extensions, values.Request));

        var length = writer.GetEncodedLength();
        var buffer = ArrayPool<byte>.Shared.Rent(length);
        try
        {
            writer.Encode(buffer);
            var leaf = CertificateFields.Sign(writer, buffer.AsSpan(0, length), _key);
            return new IssuedSvid(request.Id, leaf, serial, WholeSeconds(notBefore), WholeSeconds(notAfter), this);
        }
        finally
        {
            ArrayPool<byte>.Shared.Return(buffer);
        }
    }

    private void WriteExtensions(AsnWriter writer, SvidRequest request)
    {
        Span<byte> keyId = stackalloc byte[PublicKeyEncoding.KeyIdLength];
        PublicKeyEncoding.WriteKeyId(request.Key.Bits.Span, keyId);
        writer.WriteEncodedValue(_basicConstraints);
        writer.WriteEncodedValue(_keyUsage);
        writer.WriteEncodedValue(_extendedKeyUsage);
        CertificateFields.WriteSubjectKeyId(writer, keyId);
        writer.WriteEncodedValue(_authorityKeyId);
        CertificateFields.WriteSubjectAlternativeName(writer, critical: true, request.Id.ToString(), request.DnsNames.AsSpan());
    }

    /// <summary>
    /// Lower-case labels of letters, digits, '-' and '_' (a trust domain may hold an underscore, and Linkerd's name ends with it).
    /// </summary>
    private static bool IsDnsName(string name)
    {
        if (name.Length is 0 or > 253) return false;
        var label = 0;
        for (var i = 0; i < name.Length; i++)
        {
            var c = name[i];
            if (c == '.')
            {
                if (label == 0 || name[i - 1] == '-') return false;
                label = 0;
                continue;
            }

            if (!(char.IsAsciiLetterLower(c) || char.IsAsciiDigit(c) || c == '_' || (c == '-' && label > 0)) || ++label > 63) return false;
        }

        return label > 0 && name[^1] != '-';
    }

    private static DateTimeOffset WholeSeconds(DateTimeOffset time) => new(time.UtcTicks - (time.UtcTicks % TimeSpan.TicksPerSecond), TimeSpan.Zero);
}
