using System.Buffers;
using System.Buffers.Text;
using System.Text.Json;

namespace Mesh.Identity.Tokens;

/// <summary>
/// A compact JWS (RFC 7515 section 7.1) taken apart: what is needed to find the key and to check the signature.
/// Nothing of it is trusted yet. Header parameters that bring their own key (<c>jwk</c>, <c>jku</c>, <c>x5c</c>, <c>x5u</c>) are never looked at.
/// </summary>
internal readonly ref struct CompactToken
{
    private const int MaxKeyIdLength = 256;
    private static readonly SearchValues<byte> Base64UrlBytes = SearchValues.Create("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"u8);

    private CompactToken(TokenAlgorithm algorithm, string? keyId, ReadOnlySpan<byte> signingInput, ReadOnlySpan<byte> payload, ReadOnlySpan<byte> signature)
    {
        Algorithm = algorithm;
        KeyId = keyId;
        SigningInput = signingInput;
        Payload = payload;
        Signature = signature;
    }

    internal TokenAlgorithm Algorithm { get; }
    internal string? KeyId { get; }
    internal ReadOnlySpan<byte> SigningInput { get; }
    internal ReadOnlySpan<byte> Payload { get; }
    internal ReadOnlySpan<byte> Signature { get; }

    /// <param name="token">The text, at most <see cref="TokenLimits.MaxTokenBytes"/> long.</param>
    /// <param name="buffer">Takes the decoded parts; at least as long as the token.</param>
    internal static TokenFault TryParse(ReadOnlySpan<byte> token, Span<byte> buffer, out CompactToken parsed)
    {
        parsed = default;
        if (!HasShape(token, out var firstDot, out var secondDot)) return TokenFault.Malformed;
        if (!TryDecode(token[..firstDot], buffer, out var headerLength)) return TokenFault.Malformed;
        var header = buffer[..headerLength];
        buffer = buffer[headerLength..];
        if (!TryDecode(token[(firstDot + 1)..secondDot], buffer, out var payloadLength)) return TokenFault.Malformed;
        var payload = buffer[..payloadLength];
        buffer = buffer[payloadLength..];
        if (!TryDecode(token[(secondDot + 1)..], buffer, out var signatureLength)) return TokenFault.Malformed;
        var signature = buffer[..signatureLength];

        TokenAlgorithm? algorithm;
        string? keyId;
        try
        {
            if (!TryReadHeader(header, out algorithm, out keyId)) return TokenFault.Malformed;
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            // The second is the reader's way to report text that is no valid Unicode.
            return TokenFault.Malformed;
        }

        if (algorithm is not { } known) return TokenFault.UnsupportedAlgorithm;
        parsed = new CompactToken(known, keyId, token[..secondDot], payload, signature);
        return TokenFault.None;
    }

    /// <summary>Three non-empty base64url parts, without padding and white space. Cheap enough to ask before anything else.</summary>
    internal static bool HasShape(ReadOnlySpan<byte> token, out int firstDot, out int secondDot)
    {
        secondDot = 0;
        firstDot = token.IndexOfAnyExcept(Base64UrlBytes);
        if (firstDot <= 0 || token[firstDot] != (byte)'.') return false;
        var rest = token[(firstDot + 1)..];
        var length = rest.IndexOfAnyExcept(Base64UrlBytes);
        if (length <= 0 || rest[length] != (byte)'.') return false;
        secondDot = firstDot + 1 + length;
        var signature = token[(secondDot + 1)..];
        return signature.Length > 0 && signature.IndexOfAnyExcept(Base64UrlBytes) < 0;
    }

    private static bool TryDecode(ReadOnlySpan<byte> text, Span<byte> buffer, out int length) =>
        Base64Url.DecodeFromUtf8(text, buffer, out _, out length) == OperationStatus.Done;

    private static bool TryReadHeader(ReadOnlySpan<byte> json, out TokenAlgorithm? algorithm, out string? keyId)
    {
        algorithm = null;
        keyId = null;
        var reader = new Utf8JsonReader(json, new JsonReaderOptions { MaxDepth = 8 });
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject) return false;
        bool sawAlgorithm = false, sawKeyId = false;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals("alg"u8))
            {
                if (sawAlgorithm || !reader.Read() || reader.TokenType != JsonTokenType.String) return false;
                sawAlgorithm = true;
                if (!reader.ValueIsEscaped && TokenAlgorithms.TryParse(reader.ValueSpan, out var known)) algorithm = known;
            }
            else if (reader.ValueTextEquals("kid"u8))
            {
                if (sawKeyId || !reader.Read() || reader.TokenType != JsonTokenType.String || reader.ValueSpan.Length > MaxKeyIdLength) return false;
                sawKeyId = true;
                keyId = reader.GetString();
            }
            else if (reader.ValueTextEquals("crit"u8))
            {
                // RFC 7515 section 4.1.11: an extension that must be understood and is not.
                return false;
            }
            else
            {
                reader.Skip();
            }
        }

        return sawAlgorithm && reader.TokenType == JsonTokenType.EndObject && !reader.Read();
    }
}
