using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using System.Text;
using Mesh.Spiffe.X509;

namespace Mesh.Spiffe;

/// <summary>
/// What a trust domain's SVIDs are verified with (SPIFFE Trust Domain and Bundle, section 4): its X.509 authorities, and how new the
/// list is. Immutable; a rotation makes a new one. A bundle without authorities is legal and means that nothing is trusted.
/// An authority need not be self-signed: whoever puts an intermediate here trusts it by itself.
/// </summary>
public sealed class TrustBundle : IEquatable<TrustBundle>
{
    /// <summary>The most X.509 authorities in one bundle.</summary>
    public const int MaxAuthorities = 256;

    /// <param name="trustDomain">Whose bundle it is.</param>
    /// <param name="x509Authorities">CA certificates; one given twice counts once.</param>
    /// <param name="sequence"><c>spiffe_sequence</c>: grows with every change of the content.</param>
    /// <param name="refreshHint"><c>spiffe_refresh_hint</c>: how often to look for a new one; whole seconds.</param>
    /// <exception cref="ArgumentException">Too many authorities, one with a key we cannot verify with, or a negative hint.</exception>
    public TrustBundle(TrustDomain trustDomain, IEnumerable<Certificate> x509Authorities, ulong? sequence = null, TimeSpan? refreshHint = null)
    {
        ArgumentNullException.ThrowIfNull(trustDomain);
        ArgumentNullException.ThrowIfNull(x509Authorities);
        TrustDomain = trustDomain;
        X509Authorities = [.. x509Authorities.Distinct()];
        if (X509Authorities.Length > MaxAuthorities) throw new ArgumentException(TrustBundleFault.TooManyAuthorities.Sentence(), nameof(x509Authorities));
        if (X509Authorities.Any(a => a.KeyKind == PublicKeyKind.Unsupported)) throw new ArgumentException(TrustBundleFault.UnsupportedKey.Sentence(), nameof(x509Authorities));
        if (refreshHint < TimeSpan.Zero) throw new ArgumentException(TrustBundleFault.BadRefreshHint.Sentence(), nameof(refreshHint));
        Sequence = sequence;
        RefreshHint = refreshHint;
    }

    public TrustDomain TrustDomain { get; }

    public ulong? Sequence { get; }

    /// <summary>As the publisher wrote it, from zero on: whoever polls sets its own bounds.</summary>
    public TimeSpan? RefreshHint { get; }

    public ImmutableArray<Certificate> X509Authorities { get; }

    /// <summary>The issuers below these authorities whose signatures have been checked already.</summary>
    internal VerifiedIssuers VerifiedIssuers { get; } = new();

    /// <summary>Reads a bundle document in SPIFFE's JSON form. It does not name its trust domain: that is known from where it was fetched.</summary>
    public static bool TryParseJson(TrustDomain trustDomain, string json, [NotNullWhen(true)] out TrustBundle? bundle, out TrustBundleFault fault) =>
        TryParseJson(trustDomain, Encoding.UTF8.GetBytes(json), out bundle, out fault);

    /// <inheritdoc cref="TryParseJson(TrustDomain, string, out TrustBundle?, out TrustBundleFault)"/>
    public static bool TryParseJson(TrustDomain trustDomain, ReadOnlyMemory<byte> utf8Json, [NotNullWhen(true)] out TrustBundle? bundle, out TrustBundleFault fault)
    {
        fault = BundleDocument.Read(trustDomain, utf8Json, out bundle);
        return bundle is not null;
    }

    /// <exception cref="FormatException">The message is the fault's sentence.</exception>
    public static TrustBundle ParseJson(TrustDomain trustDomain, string json) =>
        TryParseJson(trustDomain, json, out var bundle, out var fault) ? bundle : throw new FormatException(fault.Sentence());

    /// <summary>Reads a PEM file of CA certificates: at least one, and no other kind of block.</summary>
    public static bool TryParsePem(TrustDomain trustDomain, string pem, [NotNullWhen(true)] out TrustBundle? bundle, out TrustBundleFault fault)
    {
        bundle = null;
        if (!Certificate.TryParsePem(pem, out var certificates, out var certificateFault))
        {
            fault = certificateFault switch
            {
                CertificateFault.NoCertificate => TrustBundleFault.NoCertificate,
                CertificateFault.BadPem => TrustBundleFault.BadPem,
                CertificateFault.ForeignPemBlock => TrustBundleFault.ForeignPemBlock,
                CertificateFault.TooManyCertificates => TrustBundleFault.TooManyAuthorities,
                CertificateFault.TooLarge => TrustBundleFault.TooLarge,
                _ => TrustBundleFault.BadCertificate,
            };
            return false;
        }

        fault = certificates.Any(c => c.KeyKind == PublicKeyKind.Unsupported) ? TrustBundleFault.UnsupportedKey : TrustBundleFault.None;
        if (fault != TrustBundleFault.None) return false;
        bundle = new TrustBundle(trustDomain, certificates);
        return true;
    }

    /// <exception cref="FormatException">The message is the fault's sentence.</exception>
    public static TrustBundle ParsePem(TrustDomain trustDomain, string pem) =>
        TryParsePem(trustDomain, pem, out var bundle, out var fault) ? bundle : throw new FormatException(fault.Sentence());

    /// <summary>SPIFFE's JSON form, strictly: each key with <c>kty</c>, <c>use</c>, one <c>x5c</c> and its parameters, and nothing more.</summary>
    public string ToJson() => BundleDocument.Write(this);

    /// <summary>All authorities, one PEM block each; the sequence and the hint have no place there.</summary>
    public string ToPem() => string.Concat(X509Authorities.Select(a => a.ToPem()));

    /// <summary>Same trust domain, sequence, hint and authorities, the last in any order.</summary>
    public bool Equals(TrustBundle? other) =>
        other is not null
        && TrustDomain.Equals(other.TrustDomain)
        && Sequence == other.Sequence
        && RefreshHint == other.RefreshHint
        && HasSameAuthorities(other);

    /// <summary>True when both trust the same certificates, whatever their sequence and hint say.</summary>
    public bool HasSameAuthorities(TrustBundle other) =>
        X509Authorities.Length == other.X509Authorities.Length && X509Authorities.All(other.X509Authorities.Contains);

    public override bool Equals(object? obj) => Equals(obj as TrustBundle);

    public override int GetHashCode() => HashCode.Combine(TrustDomain, Sequence, RefreshHint, X509Authorities.Length);

    public override string ToString() => $"trust bundle of {TrustDomain}, {X509Authorities.Length} X.509 authorities, sequence {(Sequence is { } s ? s : "none")}";
}
