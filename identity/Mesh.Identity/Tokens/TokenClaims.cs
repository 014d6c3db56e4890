using System.Text.Json;

namespace Mesh.Identity.Tokens;

/// <summary>
/// The claims of a token whose signature has been checked: the registered ones (RFC 7519 section 4.1) and Kubernetes' own
/// <c>kubernetes.io</c>. A claim given twice, or of a wrong type, makes the token malformed.
/// </summary>
internal struct TokenClaims
{
    private const int MaxAudiences = 64;

    internal string? Issuer { get; private set; }
    internal string? Subject { get; private set; }
    internal List<string>? Audiences { get; private set; }
    internal double? ExpiresAt { get; private set; }
    internal double? NotBefore { get; private set; }
    internal bool HasKubernetes { get; private set; }
    internal string? Namespace { get; private set; }
    internal string? AccountName { get; private set; }
    internal string? AccountUid { get; private set; }
    internal string? PodName { get; private set; }
    internal string? PodUid { get; private set; }
    internal string? NodeName { get; private set; }

    internal static bool TryParse(ReadOnlySpan<byte> json, out TokenClaims claims)
    {
        claims = default;
        try
        {
            var reader = new Utf8JsonReader(json, new JsonReaderOptions { MaxDepth = 16 });
            return claims.Read(ref reader) && !reader.Read();
        }
        catch (Exception e) when (e is JsonException or InvalidOperationException)
        {
            // The second is the reader's way to report text that is no valid Unicode.
            return false;
        }
    }

    private bool Read(ref Utf8JsonReader reader)
    {
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject) return false;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            bool good;
            if (reader.ValueTextEquals("iss"u8)) good = Issuer is null && TryText(ref reader, out var issuer) && (Issuer = issuer) is not null;
            else if (reader.ValueTextEquals("sub"u8)) good = Subject is null && TryText(ref reader, out var subject) && (Subject = subject) is not null;
            else if (reader.ValueTextEquals("aud"u8)) good = Audiences is null && TryAudiences(ref reader);
            else if (reader.ValueTextEquals("exp"u8)) good = ExpiresAt is null && TryNumericDate(ref reader, out var expiry) && (ExpiresAt = expiry) is not null;
            else if (reader.ValueTextEquals("nbf"u8)) good = NotBefore is null && TryNumericDate(ref reader, out var start) && (NotBefore = start) is not null;
            else if (reader.ValueTextEquals("kubernetes.io"u8)) good = !HasKubernetes && TryKubernetes(ref reader);
            else good = Skip(ref reader);
            if (!good) return false;
        }

        return reader.TokenType == JsonTokenType.EndObject;
    }

    private bool TryAudiences(ref Utf8JsonReader reader)
    {
        Audiences = [];
        if (!reader.Read()) return false;
        if (reader.TokenType == JsonTokenType.String) return AddAudience(ref reader);
        if (reader.TokenType != JsonTokenType.StartArray) return false;
        while (reader.Read() && reader.TokenType == JsonTokenType.String)
        {
            if (Audiences.Count == MaxAudiences || !AddAudience(ref reader)) return false;
        }

        return reader.TokenType == JsonTokenType.EndArray;
    }

    private readonly bool AddAudience(ref Utf8JsonReader reader)
    {
        Audiences!.Add(reader.GetString()!);
        return true;
    }

    private bool TryKubernetes(ref Utf8JsonReader reader)
    {
        HasKubernetes = true;
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject) return false;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            bool good;
            if (reader.ValueTextEquals("namespace"u8)) good = Namespace is null && TryText(ref reader, out var ns) && (Namespace = ns) is not null;
            else if (reader.ValueTextEquals("serviceaccount"u8))
            {
                good = TryReference(ref reader, out var name, out var uid) && AccountName is null;
                (AccountName, AccountUid) = (name, uid);
            }
            else if (reader.ValueTextEquals("pod"u8))
            {
                good = TryReference(ref reader, out var name, out var uid) && PodName is null;
                (PodName, PodUid) = (name, uid);
            }
            else if (reader.ValueTextEquals("node"u8))
            {
                good = TryReference(ref reader, out var name, out _) && NodeName is null;
                NodeName = name;
            }
            else
            {
                good = Skip(ref reader);
            }

            if (!good) return false;
        }

        return reader.TokenType == JsonTokenType.EndObject;
    }

    // {"name": "...", "uid": "..."}
    private static bool TryReference(ref Utf8JsonReader reader, out string? name, out string? uid)
    {
        (name, uid) = (null, null);
        if (!reader.Read() || reader.TokenType != JsonTokenType.StartObject) return false;
        while (reader.Read() && reader.TokenType == JsonTokenType.PropertyName)
        {
            if (reader.ValueTextEquals("name"u8))
            {
                if (name is not null || !TryText(ref reader, out name)) return false;
            }
            else if (reader.ValueTextEquals("uid"u8))
            {
                if (uid is not null || !TryText(ref reader, out uid)) return false;
            }
            else if (!Skip(ref reader))
            {
                return false;
            }
        }

        return reader.TokenType == JsonTokenType.EndObject && name is not null;
    }

    private static bool TryText(ref Utf8JsonReader reader, out string? text)
    {
        text = null;
        if (!reader.Read() || reader.TokenType != JsonTokenType.String) return false;
        text = reader.GetString();
        return true;
    }

    // NumericDate, RFC 7519 section 2: seconds since 1970, fractions allowed.
    private static bool TryNumericDate(ref Utf8JsonReader reader, out double seconds)
    {
        seconds = 0;
        return reader.Read() && reader.TokenType == JsonTokenType.Number && reader.TryGetDouble(out seconds) && double.IsFinite(seconds);
    }

    private static bool Skip(ref Utf8JsonReader reader)
    {
        reader.Skip();
        return true;
    }
}
