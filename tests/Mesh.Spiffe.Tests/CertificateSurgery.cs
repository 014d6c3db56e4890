using System.Formats.Asn1;
using System.Security.Cryptography;

namespace Mesh.Spiffe.Tests;

/// <summary>
/// A certificate taken apart into the encoded fields of its signed part, so that a test can put in what no certificate builder would
/// write, and signed again. A field set to an empty array is left out.
/// </summary>
internal sealed record CertificateSurgery
{
    public static readonly byte[] EcdsaWithSha256 = Convert.FromHexString("300A06082A8648CE3D040302");

    public byte[] Version { get; init; } = [];
    public byte[] Serial { get; init; } = [];
    public byte[] Algorithm { get; init; } = [];
    public byte[] Issuer { get; init; } = [];
    public byte[] Validity { get; init; } = [];
    public byte[] Subject { get; init; } = [];
    public byte[] KeyInfo { get; init; } = [];

    /// <summary>Between the key and the extensions: the obsolete unique identifiers.</summary>
    public byte[] BeforeExtensions { get; init; } = [];

    /// <summary>Each one encoded; null leaves the field out.</summary>
    public byte[][]? Extensions { get; init; }

    public byte[] AfterExtensions { get; init; } = [];
    public byte[]? OuterAlgorithm { get; init; }
    public byte[] Trailing { get; init; } = [];

    /// <summary>Says of the signature that so many bits of its last byte do not count.</summary>
    public int UnusedSignatureBits { get; init; }

    public static CertificateSurgery Open(Certificate certificate)
    {
        var signed = new AsnReader(certificate.Der, AsnEncodingRules.DER).ReadSequence().ReadSequence();
        var surgery = new CertificateSurgery
        {
            Version = signed.ReadEncodedValue().ToArray(),
            Serial = signed.ReadEncodedValue().ToArray(),
            Algorithm = signed.ReadEncodedValue().ToArray(),
            Issuer = signed.ReadEncodedValue().ToArray(),
            Validity = signed.ReadEncodedValue().ToArray(),
            Subject = signed.ReadEncodedValue().ToArray(),
            KeyInfo = signed.ReadEncodedValue().ToArray(),
        };
        var list = signed.ReadSequence(new Asn1Tag(TagClass.ContextSpecific, 3)).ReadSequence();
        var extensions = new List<byte[]>();
        while (list.HasData) extensions.Add(list.ReadEncodedValue().ToArray());
        return surgery with { Extensions = [.. extensions] };
    }

    public static byte[] Extension(string oid, byte[] value, bool critical = false)
    {
        var writer = new AsnWriter(AsnEncodingRules.DER);
        using (writer.PushSequence())
        {
            writer.WriteObjectIdentifier(oid);
            if (critical) writer.WriteBoolean(true);
            writer.WriteOctetString(value);
        }

        return writer.Encode();
    }

    /// <summary>Replaces the extension with this identifier, or adds it.</summary>
    public CertificateSurgery With(string oid, byte[] value, bool critical = false)
    {
        var id = new AsnWriter(AsnEncodingRules.DER);
        id.WriteObjectIdentifier(oid);
        var encodedId = id.Encode();
        var others = (Extensions ?? []).Where(e => e.AsSpan().IndexOf(encodedId) is < 0 or > 4);
        return this with { Extensions = [.. others, Extension(oid, value, critical)] };
    }

    public byte[] Close(AsymmetricAlgorithm signer)
    {
        var signed = Sequence(
            Version, Serial, Algorithm, Issuer, Validity, Subject, KeyInfo, BeforeExtensions,
            Extensions is null ? [] : Wrap(0xA3, Sequence(Extensions)),
            AfterExtensions);
        var signature = signer is ECDsa ecdsa
            ? ecdsa.SignData(signed, HashAlgorithmName.SHA256, DSASignatureFormat.Rfc3279DerSequence)
            : ((RSA)signer).SignData(signed, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        signature[^1] &= (byte)(0xFF << UnusedSignatureBits);
        return [.. Sequence(signed, OuterAlgorithm ?? Algorithm, Wrap(0x03, [(byte)UnusedSignatureBits, .. signature])), .. Trailing];
    }

    public static byte[] Sequence(params byte[][] parts) => Wrap(0x30, [.. parts.SelectMany(p => p)]);

    public static byte[] Wrap(byte tag, byte[] content)
    {
        byte[] length = content.Length switch
        {
            < 0x80 => [(byte)content.Length],
            < 0x100 => [0x81, (byte)content.Length],
            < 0x10000 => [0x82, (byte)(content.Length >> 8), (byte)content.Length],
            _ => [0x83, (byte)(content.Length >> 16), (byte)(content.Length >> 8), (byte)content.Length],
        };
        return [tag, .. length, .. content];
    }
}
