using System.Collections.Immutable;
using System.Security.Cryptography;
using Mesh.Spiffe;

namespace Mesh.Trust.Issuing;

/// <summary>A certificate just issued, with what an audit line says about it. The private key never was here.</summary>
public sealed class IssuedSvid
{
    internal IssuedSvid(SpiffeId id, byte[] leaf, byte[] serialNumber, DateTimeOffset notBefore, DateTimeOffset notAfter, SvidIssuer issuer)
    {
        Id = id;
        Leaf = leaf;
        SerialNumber = serialNumber;
        NotBefore = notBefore;
        NotAfter = notAfter;
        Issuer = issuer;
    }

    public SpiffeId Id { get; }

    /// <summary>The certificate, DER.</summary>
    public ReadOnlyMemory<byte> Leaf { get; }

    /// <summary>Big endian, positive.</summary>
    public ReadOnlyMemory<byte> SerialNumber { get; }

    public DateTimeOffset NotBefore { get; }

    public DateTimeOffset NotAfter { get; }

    /// <summary>Who signed; its chain goes with the leaf.</summary>
    public SvidIssuer Issuer { get; }

    /// <summary>SHA-256 of the DER, lower-case hexadecimal: what the certificate is found by in logs.</summary>
    public string Sha256 => Convert.ToHexStringLower(SHA256.HashData(Leaf.Span));

    /// <summary>The serial number in lower-case hexadecimal.</summary>
    public string SerialText => Convert.ToHexStringLower(SerialNumber.Span);

    /// <summary>The leaf and the authorities between it and the anchor, in the order TLS sends them.</summary>
    public ImmutableArray<Certificate> Chain() => [Certificate.Parse(Leaf), .. Issuer.Intermediates];

    public override string ToString() => $"{Id} serial {SerialText} until {NotAfter:u}";
}
