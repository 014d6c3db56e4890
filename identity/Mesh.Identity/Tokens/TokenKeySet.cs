using System.Buffers.Text;
using System.Collections.Frozen;
using System.Collections.Immutable;
using System.Diagnostics.CodeAnalysis;
using System.Security.Cryptography;
using System.Text.Json;

namespace Mesh.Identity.Tokens;

/// <summary>
/// An issuer's public keys as of one reading of its JWKS (RFC 7517). Keys that cannot be used here (other types, private use, broken)
/// are left out and named in <see cref="LeftOut"/>, so that one odd key does not take the others down.
/// </summary>
internal sealed class TokenKeySet
{
    private const int MinRsaBits = 2048, MaxRsaBits = 8192;
    private static readonly JsonDocumentOptions Strict = new() { MaxDepth = 8, AllowDuplicateProperties = false };
    private readonly FrozenDictionary<string, ImmutableArray<TokenKey>> _byId;
    private readonly ImmutableArray<TokenKey> _nameless;
    private readonly ImmutableArray<TokenKey> _all;

    private TokenKeySet(ImmutableArray<TokenKey> keys, ImmutableArray<string> leftOut)
    {
        _all = keys;
        _byId = keys.Where(k => k.KeyId is not null).GroupBy(k => k.KeyId!).ToFrozenDictionary(g => g.Key, g => g.ToImmutableArray(), StringComparer.Ordinal);
        _nameless = [.. keys.Where(k => k.KeyId is null)];
        LeftOut = leftOut;
    }

    internal int Count => _all.Length;

    /// <summary>Why keys of the document are not in the set, for the log.</summary>
    internal ImmutableArray<string> LeftOut { get; }

    internal IEnumerable<string> KeyIds => _byId.Keys.Order(StringComparer.Ordinal);

    /// <summary>
    /// The keys to try: those with the token's key id, else those that have none; all of them for a token that names no key.
    /// </summary>
    internal ImmutableArray<TokenKey> Find(string? keyId)
    {
        if (keyId is null) return _all;
        return _byId.TryGetValue(keyId, out var keys) ? keys : _nameless;
    }

    /// <summary>Reads a JWKS. False, with the reason, when it is none or holds no usable key.</summary>
    internal static bool TryParse(ReadOnlyMemory<byte> json, [NotNullWhen(true)] out TokenKeySet? keys, out string fault)
    {
        keys = null;
        if (json.Length > TokenLimits.MaxDocumentBytes)
        {
            fault = $"the key set is larger than {TokenLimits.MaxDocumentBytes} bytes";
            return false;
        }

        try
        {
            using var document = JsonDocument.Parse(json, Strict);
            if (document.RootElement.ValueKind != JsonValueKind.Object || !document.RootElement.TryGetProperty("keys"u8, out var list) || list.ValueKind != JsonValueKind.Array)
            {
                fault = "the document is no key set: it has no array \"keys\"";
                return false;
            }

            if (list.GetArrayLength() > TokenLimits.MaxKeys)
            {
                fault = $"the key set has more than {TokenLimits.MaxKeys} keys";
                return false;
            }

            var usable = ImmutableArray.CreateBuilder<TokenKey>();
            var leftOut = ImmutableArray.CreateBuilder<string>();
            foreach (var element in list.EnumerateArray())
            {
                if (TryReadKey(element, out var key, out var reason)) usable.Add(key);
                else leftOut.Add(LogText.Clean(reason));
            }

            if (usable.Count == 0)
            {
                fault = leftOut.Count == 0 ? "the key set is empty" : $"the key set has no usable key: {string.Join("; ", leftOut)}";
                return false;
            }

            keys = new TokenKeySet(usable.ToImmutable(), leftOut.ToImmutable());
            fault = "";
            return true;
        }
        catch (JsonException e)
        {
            fault = $"the key set is not JSON: line {e.LineNumber}, byte {e.BytePositionInLine}";
            return false;
        }
        catch (InvalidOperationException)
        {
            // Property names that are no Unicode, which the reader notices only when it compares them.
            fault = "the key set is not UTF-8";
            return false;
        }
    }

    private static bool TryReadKey(JsonElement element, [NotNullWhen(true)] out TokenKey? key, out string reason)
    {
        key = null;
        if (element.ValueKind != JsonValueKind.Object)
        {
            reason = "a key is no object";
            return false;
        }

        var keyId = Text(element, "kid");
        var name = keyId is null ? "a key without id" : $"key {keyId}";
        if (keyId is { Length: > 256 })
        {
            reason = "a key id is longer than 256 characters";
            return false;
        }

        // RFC 7517 sections 4.2 and 4.3: a key for encryption must not verify.
        if (Text(element, "use") is { } use && use != "sig" ||
            element.TryGetProperty("key_ops"u8, out var operations) && operations.ValueKind == JsonValueKind.Array && !operations.EnumerateArray().Any(o => o.ValueKind == JsonValueKind.String && o.ValueEquals("verify"u8)))
        {
            reason = $"{name} is not for verifying signatures";
            return false;
        }

        TokenAlgorithm? algorithm = null;
        if (Text(element, "alg") is { } algorithmName)
        {
            if (!TokenAlgorithms.TryParse(System.Text.Encoding.UTF8.GetBytes(algorithmName), out var parsed))
            {
                reason = $"{name} is for algorithm {algorithmName}";
                return false;
            }

            algorithm = parsed;
        }

        try
        {
            switch (Text(element, "kty"))
            {
                case "RSA":
                    return TryReadRsa(element, keyId, name, algorithm, out key, out reason);
                case "EC":
                    return TryReadEc(element, keyId, name, algorithm, out key, out reason);
                case var type:
                    reason = $"{name} is of type {type ?? "(none)"}";
                    return false;
            }
        }
        catch (CryptographicException)
        {
            reason = $"{name} cannot be imported";
            return false;
        }
    }

    private static bool TryReadRsa(JsonElement element, string? keyId, string name, TokenAlgorithm? algorithm, [NotNullWhen(true)] out TokenKey? key, out string reason)
    {
        key = null;
        reason = $"{name} is no usable RSA key";
        if (algorithm is { } only && !only.IsRsa()) return false;
        if (Bytes(element, "n") is not { } modulus || Bytes(element, "e") is not { Length: <= 8 } exponent) return false;
        var bits = modulus.AsSpan().TrimStart((byte)0).Length * 8;
        if (bits is < MinRsaBits or > MaxRsaBits)
        {
            reason = $"{name} has about {bits} bits; {MinRsaBits} to {MaxRsaBits} are accepted";
            return false;
        }

        key = TokenKey.FromRsa(keyId, algorithm, new RSAParameters { Modulus = modulus, Exponent = exponent });
        return true;
    }

    private static bool TryReadEc(JsonElement element, string? keyId, string name, TokenAlgorithm? algorithm, [NotNullWhen(true)] out TokenKey? key, out string reason)
    {
        key = null;
        reason = $"{name} is no usable EC key";
        (TokenAlgorithm Algorithm, ECCurve Curve, int Size)? profile = Text(element, "crv") switch
        {
            "P-256" => (TokenAlgorithm.ES256, ECCurve.NamedCurves.nistP256, 32),
            "P-384" => (TokenAlgorithm.ES384, ECCurve.NamedCurves.nistP384, 48),
            "P-521" => (TokenAlgorithm.ES512, ECCurve.NamedCurves.nistP521, 66),
            _ => null,
        };
        if (profile is not { } p || algorithm is { } only && only != p.Algorithm) return false;
        if (Bytes(element, "x") is not { } x || Bytes(element, "y") is not { } y || x.Length != p.Size || y.Length != p.Size) return false;
        key = TokenKey.FromEc(keyId, p.Algorithm, new ECParameters { Curve = p.Curve, Q = new ECPoint { X = x, Y = y } });
        return true;
    }

    private static string? Text(JsonElement element, string name) => JsonText.TryGet(element, name, out var text) ? text : null;

    private static byte[]? Bytes(JsonElement element, string name)
    {
        if (Text(element, name) is not { } text) return null;
        try
        {
            return Base64Url.DecodeFromChars(text);
        }
        catch (FormatException)
        {
            return null;
        }
    }
}
