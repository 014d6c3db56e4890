using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using System.Formats.Asn1;
using Mesh.Trust.Keys;

namespace Mesh.Trust.Requests;

/// <summary>
/// A PKCS #10 certification request (RFC 2986) whose signature has been verified with its own key: one in hand is proof that the
/// requester holds the private key. Nothing in it is a claim we believe; the names are there to be compared with what the token says.
/// </summary>
public sealed class SigningRequest
{
    /// <summary>Longer requests are refused unread. One for an RSA 4096 key with two names has 1,300 bytes.</summary>
    public const int MaxLength = 16 * 1024;

    /// <summary>Subject alternative names and common names, all kinds together.</summary>
    public const int MaxNames = 16;

    private const string ExtensionRequest = "1.2.840.113549.1.9.14";
    private const string SubjectAlternativeName = "2.5.29.17";
    private const string CommonName = "2.5.4.3";
    private static readonly Asn1Tag Attributes = new(TagClass.ContextSpecific, 0);
    private static readonly Asn1Tag DnsName = new(TagClass.ContextSpecific, 2);
    private static readonly Asn1Tag UriName = new(TagClass.ContextSpecific, 6);

    private SigningRequest(SubjectKey key, RequestedNames names)
    {
        Key = key;
        DnsNames = names.Dns.ToImmutableArray();
        UriNames = names.Uri.ToImmutableArray();
        CommonNames = names.Common.ToImmutableArray();
        HasOtherNames = names.HasOther;
        HasOtherSubject = names.HasOtherSubject;
    }

    /// <summary>The public key to certify. Possession of its private half is proven.</summary>
    public SubjectKey Key { get; }

    /// <summary>The DNS names asked for, as written.</summary>
    public ImmutableArray<string> DnsNames { get; }

    /// <summary>The URIs asked for, as written.</summary>
    public ImmutableArray<string> UriNames { get; }

    /// <summary>The common names of the Subject, as written.</summary>
    public ImmutableArray<string> CommonNames { get; }

    /// <summary>Whether a subject alternative name of another kind (e-mail, IP address, directory name, ...) is asked for.</summary>
    public bool HasOtherNames { get; }

    /// <summary>Whether the Subject holds something besides common names. It is never copied.</summary>
    public bool HasOtherSubject { get; }

    /// <summary>Reads and verifies a request.</summary>
    /// <param name="der">DER, one CertificationRequest and nothing after it. Not copied: the caller must not change it later.</param>
    public static bool TryParse(ReadOnlyMemory<byte> der, [NotNullWhen(true)] out SigningRequest? request, out SigningRequestFault fault)
    {
        request = null;
        if (der.IsEmpty)
        {
            fault = SigningRequestFault.Empty;
            return false;
        }

        if (der.Length > MaxLength)
        {
            fault = SigningRequestFault.TooLong;
            return false;
        }

        try
        {
            fault = Read(der, out request);
        }
        catch (AsnContentException)
        {
            fault = SigningRequestFault.Malformed;
        }

        return request is not null;
    }

    private static SigningRequestFault Read(ReadOnlyMemory<byte> der, out SigningRequest? request)
    {
        request = null;
        var outer = new AsnReader(der, AsnEncodingRules.DER);
        var parts = outer.ReadSequence();
        outer.ThrowIfNotEmpty();
        var signed = parts.PeekEncodedValue();
        var info = parts.ReadSequence();
        var algorithm = parts.ReadSequence();
        var oid = algorithm.ReadObjectIdentifier();
        // RFC 5758: ECDSA identifiers have no parameters; RFC 4055: those of RSA have NULL.
        if (algorithm.HasData) algorithm.ReadNull();
        algorithm.ThrowIfNotEmpty();
        if (!parts.TryReadPrimitiveBitString(out var unused, out var signature) || unused != 0) return SigningRequestFault.Malformed;
        parts.ThrowIfNotEmpty();

        if (!info.TryReadInt32(out var version) || version != 0) return SigningRequestFault.UnsupportedVersion;
        var names = new RequestedNames();
        ReadSubject(info, names);
        if (!SubjectKey.TryRead(info.ReadEncodedValue(), out var key)) return SigningRequestFault.UnsupportedKey;
        // RFC 2986 wants an empty [0] where there are no attributes; not everybody writes it.
        if (info.HasData)
        {
            var fault = ReadAttributes(info.ReadSetOf(skipSortOrderValidation: true, Attributes), names);
            if (fault != SigningRequestFault.None) return fault;
        }

        info.ThrowIfNotEmpty();
        if (names.Count > MaxNames) return SigningRequestFault.TooManyNames;

        var verdict = key.Verify(oid, signed.Span, signature.Span);
        if (verdict == SigningRequestFault.None) request = new SigningRequest(key, names);
        return verdict;
    }

    private static void ReadSubject(AsnReader info, RequestedNames names)
    {
        var subject = info.ReadSequence();
        while (subject.HasData)
        {
            var set = subject.ReadSetOf(skipSortOrderValidation: true);
            while (set.HasData)
            {
                var attribute = set.ReadSequence();
                var type = attribute.ReadObjectIdentifier();
                var tag = attribute.PeekTag();
                var text = tag.TagClass == TagClass.Universal ? (UniversalTagNumber)tag.TagValue : UniversalTagNumber.Null;
                if (type == CommonName && text is UniversalTagNumber.UTF8String or UniversalTagNumber.PrintableString or UniversalTagNumber.IA5String)
                {
                    names.Common.Add(attribute.ReadCharacterString(text));
                }
                else
                {
                    attribute.ReadEncodedValue();
                    names.HasOtherSubject = true;
                }

                attribute.ThrowIfNotEmpty();
            }
        }
    }

    private static SigningRequestFault ReadAttributes(AsnReader attributes, RequestedNames names)
    {
        var extensionsSeen = false;
        while (attributes.HasData)
        {
            var attribute = attributes.ReadSequence();
            var type = attribute.ReadObjectIdentifier();
            var values = attribute.ReadSetOf(skipSortOrderValidation: true);
            attribute.ThrowIfNotEmpty();
            if (type != ExtensionRequest) continue;
            if (extensionsSeen) return SigningRequestFault.RepeatedExtension;
            extensionsSeen = true;
            var extensions = values.ReadSequence();
            values.ThrowIfNotEmpty();
            var fault = ReadExtensions(extensions, names);
            if (fault != SigningRequestFault.None) return fault;
        }

        return SigningRequestFault.None;
    }

    private static SigningRequestFault ReadExtensions(AsnReader extensions, RequestedNames names)
    {
        var namesSeen = false;
        while (extensions.HasData)
        {
            var extension = extensions.ReadSequence();
            var oid = extension.ReadObjectIdentifier();
            if (extension.PeekTag().HasSameClassAndValue(Asn1Tag.Boolean)) extension.ReadBoolean();
            if (!extension.TryReadPrimitiveOctetString(out var value)) return SigningRequestFault.Malformed;
            extension.ThrowIfNotEmpty();
            if (oid != SubjectAlternativeName) continue;
            if (namesSeen) return SigningRequestFault.RepeatedExtension;
            namesSeen = true;
            var outer = new AsnReader(value, AsnEncodingRules.DER);
            var list = outer.ReadSequence();
            outer.ThrowIfNotEmpty();
            while (list.HasData)
            {
                var tag = list.PeekTag();
                if (tag.HasSameClassAndValue(DnsName)) names.Dns.Add(list.ReadCharacterString(UniversalTagNumber.IA5String, DnsName));
                else if (tag.HasSameClassAndValue(UriName)) names.Uri.Add(list.ReadCharacterString(UniversalTagNumber.IA5String, UriName));
                else
                {
                    list.ReadEncodedValue();
                    names.HasOther = true;
                }

                // Checked here as well as at the end, so that a request of thousands of names is not collected first.
                if (names.Count > MaxNames) return SigningRequestFault.TooManyNames;
            }
        }

        return SigningRequestFault.None;
    }

    private sealed class RequestedNames
    {
        public List<string> Dns { get; } = [];
        public List<string> Uri { get; } = [];
        public List<string> Common { get; } = [];
        public bool HasOther { get; set; }
        public bool HasOtherSubject { get; set; }
        public int Count => Dns.Count + Uri.Count + Common.Count;
    }
}
