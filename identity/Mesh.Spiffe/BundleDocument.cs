using System.Buffers.Text;
using System.Collections.Immutable;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Text.Unicode;

namespace Mesh.Spiffe;

/// <summary>
/// The JSON form of bundles (SPIFFE Trust Domain and Bundle, sections 4 and 5; X509-SVID section 6). Reading is tolerant where the
/// standard demands it, since one key of tomorrow must not cost the keys of today: an unknown <c>kty</c> or <c>use</c> and a missing or
/// empty <c>x5c</c> skip that key, of several <c>x5c</c> values the first counts. Of an X.509 key only the certificate is used.
/// </summary>
internal static class BundleDocument
{
    public const int MaxLength = 4 * 1024 * 1024;

    private const string X509Use = "x509-svid";

    // Beyond this a hint says nothing that a poller could act on, and TimeSpan would overflow.
    private const ulong MaxRefreshHintSeconds = 10UL * 365 * 24 * 3600;

    private static readonly JsonDocumentOptions Strict = new() { AllowDuplicateProperties = false, MaxDepth = 32 };
    private static readonly JsonDocumentOptions WithDuplicates = new() { AllowDuplicateProperties = true, MaxDepth = 32 };

    public static TrustBundleFault Read(TrustDomain trustDomain, ReadOnlyMemory<byte> utf8Json, out TrustBundle? bundle)
    {
        bundle = null;
        var fault = Open(utf8Json, out var document);
        if (document is null) return fault;
        using (document) return ReadBundle(trustDomain, document.RootElement, out bundle);
    }

    /// <summary>A SPIFFE Bundle Map (section 5): several trust domains in one document, all or nothing.</summary>
    public static TrustBundleFault ReadMap(ReadOnlyMemory<byte> utf8Json, out ImmutableArray<TrustBundle> bundles)
    {
        bundles = [];
        var fault = Open(utf8Json, out var document);
        if (document is null) return fault;
        using (document)
        {
            if (document.RootElement.ValueKind != JsonValueKind.Object) return TrustBundleFault.NotKeySet;
            if (!document.RootElement.TryGetProperty("trust_domains", out var map) || map.ValueKind != JsonValueKind.Object) return TrustBundleFault.NoTrustDomains;
            var read = ImmutableArray.CreateBuilder<TrustBundle>();
            foreach (var entry in map.EnumerateObject())
            {
                // The keys are bare names here, not SPIFFE IDs.
                if (TrustDomain.Judge(entry.Name) != SpiffeIdFault.None) return TrustBundleFault.BadTrustDomain;
                fault = ReadBundle(new TrustDomain(entry.Name), entry.Value, out var bundle);
                if (bundle is null) return fault;
                // A bundle inside a map has no say in when the map is read again.
                read.Add(bundle.RefreshHint is null ? bundle : new TrustBundle(bundle.TrustDomain, bundle.X509Authorities, bundle.Sequence));
            }

            bundles = read.DrainToImmutable();
            return TrustBundleFault.None;
        }
    }

    public static string Write(TrustBundle bundle)
    {
        using var buffer = new MemoryStream();
        using (var writer = new Utf8JsonWriter(buffer, new JsonWriterOptions { Indented = true, NewLine = "\n" })) Write(writer, bundle, withHint: true);
        return Encoding.UTF8.GetString(buffer.GetBuffer(), 0, (int)buffer.Length) + "\n";
    }

    public static string WriteMap(IEnumerable<TrustBundle> bundles)
    {
        using var buffer = new MemoryStream();
        using (var writer = new Utf8JsonWriter(buffer, new JsonWriterOptions { Indented = true, NewLine = "\n" }))
        {
            writer.WriteStartObject();
            writer.WriteStartObject("trust_domains");
            foreach (var bundle in bundles)
            {
                writer.WritePropertyName(bundle.TrustDomain.Name);
                Write(writer, bundle, withHint: false);
            }

            writer.WriteEndObject();
            writer.WriteEndObject();
        }

        return Encoding.UTF8.GetString(buffer.GetBuffer(), 0, (int)buffer.Length) + "\n";
    }

    private static TrustBundleFault Open(ReadOnlyMemory<byte> utf8Json, out JsonDocument? document)
    {
        document = null;
        if (utf8Json.Length > MaxLength) return TrustBundleFault.TooLarge;
        // The framework looks at the encoding of a string only when it is read.
        if (!Utf8.IsValid(utf8Json.Span)) return TrustBundleFault.NotJson;
        try
        {
            document = JsonDocument.Parse(utf8Json, Strict);
            return TrustBundleFault.None;
        }
        catch (JsonException)
        {
            return IsJson(utf8Json) ? TrustBundleFault.RepeatedName : TrustBundleFault.NotJson;
        }
    }

    private static bool IsJson(ReadOnlyMemory<byte> utf8Json)
    {
        try
        {
            JsonDocument.Parse(utf8Json, WithDuplicates).Dispose();
            return true;
        }
        catch (JsonException)
        {
            return false;
        }
    }

    private static TrustBundleFault ReadBundle(TrustDomain trustDomain, JsonElement root, out TrustBundle? bundle)
    {
        bundle = null;
        if (root.ValueKind != JsonValueKind.Object) return TrustBundleFault.NotKeySet;
        if (!root.TryGetProperty("keys", out var keys)) return TrustBundleFault.NoKeys;
        if (keys.ValueKind != JsonValueKind.Array) return TrustBundleFault.NotKeySet;

        ulong? sequence = null;
        if (root.TryGetProperty("spiffe_sequence", out var sequenceElement))
        {
            if (!TryGetWholeNumber(sequenceElement, out var number)) return TrustBundleFault.BadSequence;
            sequence = number;
        }

        TimeSpan? refreshHint = null;
        if (root.TryGetProperty("spiffe_refresh_hint", out var hintElement))
        {
            if (!TryGetWholeNumber(hintElement, out var seconds)) return TrustBundleFault.BadRefreshHint;
            refreshHint = TimeSpan.FromSeconds((long)Math.Min(seconds, MaxRefreshHintSeconds));
        }

        var authorities = new List<Certificate>();
        foreach (var key in keys.EnumerateArray())
        {
            if (key.ValueKind != JsonValueKind.Object) return TrustBundleFault.NotKeySet;
            if (EncodedCertificate(key) is not { } encoded) continue;
            if (!TryDecode(encoded, out var certificate)) return TrustBundleFault.BadCertificate;
            // A key we cannot verify with is RFC 7517's "value out of the supported range" (section 5): ignored, like an unknown kty.
            if (certificate!.KeyKind == PublicKeyKind.Unsupported) continue;
            if (authorities.Count == TrustBundle.MaxAuthorities) return TrustBundleFault.TooManyAuthorities;
            authorities.Add(certificate);
        }

        bundle = new TrustBundle(trustDomain, authorities, sequence, refreshHint);
        return TrustBundleFault.None;
    }

    private static bool TryGetWholeNumber(JsonElement element, out ulong number)
    {
        number = 0;
        return element.ValueKind == JsonValueKind.Number && element.TryGetUInt64(out number);
    }

    /// <summary>The first <c>x5c</c> value of an X.509 key, or null for an entry that is to be ignored.</summary>
    private static JsonElement? EncodedCertificate(JsonElement key)
    {
        if (!key.TryGetProperty("kty", out var type) || type.ValueKind != JsonValueKind.String || !(type.ValueEquals("EC") || type.ValueEquals("RSA"))) return null;
        if (!key.TryGetProperty("use", out var use) || use.ValueKind != JsonValueKind.String || !use.ValueEquals(X509Use)) return null;
        if (!key.TryGetProperty("x5c", out var chain) || chain.ValueKind != JsonValueKind.Array || chain.GetArrayLength() == 0) return null;
        return chain[0];
    }

    private static bool TryDecode(JsonElement encoded, out Certificate? certificate)
    {
        certificate = null;
        return encoded.ValueKind == JsonValueKind.String
            && encoded.TryGetBytesFromBase64(out var der)
            && Certificate.TryParse(der, out certificate, out _);
    }

    private static void Write(Utf8JsonWriter writer, TrustBundle bundle, bool withHint)
    {
        writer.WriteStartObject();
        writer.WriteStartArray("keys");
        foreach (var authority in bundle.X509Authorities) WriteKey(writer, authority);
        writer.WriteEndArray();
        if (bundle.Sequence is { } sequence) writer.WriteNumber("spiffe_sequence", sequence);
        if (withHint && bundle.RefreshHint is { } hint) writer.WriteNumber("spiffe_refresh_hint", (long)hint.TotalSeconds);
        writer.WriteEndObject();
    }

    private static void WriteKey(Utf8JsonWriter writer, Certificate authority)
    {
        writer.WriteStartObject();
        if (authority.KeyKind == PublicKeyKind.Rsa)
        {
            using var rsa = RSA.Create();
            rsa.ImportSubjectPublicKeyInfo(authority.SubjectPublicKeyInfo.Span, out _);
            var parameters = rsa.ExportParameters(includePrivateParameters: false);
            writer.WriteString("kty", "RSA");
            writer.WriteString("use", X509Use);
            writer.WriteString("n", Base64Url.EncodeToString(parameters.Modulus));
            writer.WriteString("e", Base64Url.EncodeToString(parameters.Exponent));
        }
        else
        {
            // The kind vouches for an uncompressed point at the end of the field: x and y, half each.
            var (curve, size) = authority.KeyKind switch
            {
                PublicKeyKind.P256 => ("P-256", 32),
                PublicKeyKind.P384 => ("P-384", 48),
                _ => ("P-521", 66),
            };
            var point = authority.SubjectPublicKeyInfo.Span[^(2 * size)..];
            writer.WriteString("kty", "EC");
            writer.WriteString("use", X509Use);
            writer.WriteString("crv", curve);
            writer.WriteString("x", Base64Url.EncodeToString(point[..size]));
            writer.WriteString("y", Base64Url.EncodeToString(point[size..]));
        }

        writer.WriteStartArray("x5c");
        writer.WriteBase64StringValue(authority.Der.Span);
        writer.WriteEndArray();
        writer.WriteEndObject();
    }
}
