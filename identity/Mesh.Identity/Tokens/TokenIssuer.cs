using System.Buffers.Text;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;

namespace Mesh.Identity.Tokens;

/// <summary>Which key a <see cref="TokenIssuer"/> signs with. Kubernetes clusters mostly use RS256.</summary>
public enum TokenIssuerKey
{
    /// <summary>RSA 2048, RS256.</summary>
    Rsa,

    /// <summary>P-256, ES256.</summary>
    P256,
}

/// <summary>
/// Issues tokens shaped like those of Kubernetes' TokenRequest API, for machines without Kubernetes: <c>mesh demo</c> and tests.
/// Whoever holds it can be any workload of its issuer, so its key stays in memory.
/// </summary>
public sealed class TokenIssuer : IDisposable
{
    private readonly AsymmetricAlgorithm _key;
    private readonly TimeProvider _time;

    private TokenIssuer(string issuer, AsymmetricAlgorithm key, TimeProvider time)
    {
        (Issuer, _key, _time) = (issuer, key, time);
        KeyId = Base64Url.EncodeToString(SHA256.HashData(key.ExportSubjectPublicKeyInfo()).AsSpan(0, 16));
    }

    /// <summary>The <c>iss</c> claim.</summary>
    public string Issuer { get; }

    public string KeyId { get; }

    /// <summary>An issuer with a new key.</summary>
    public static TokenIssuer Create(string issuer, TokenIssuerKey key, TimeProvider time) =>
        new(issuer, key == TokenIssuerKey.Rsa ? RSA.Create(2048) : ECDsa.Create(ECCurve.NamedCurves.nistP256), time);

    /// <summary>A token for a ServiceAccount, valid from now.</summary>
    /// <param name="ns">Namespace.</param>
    /// <param name="serviceAccount">Name of the account.</param>
    /// <param name="audience">Who may accept it.</param>
    /// <param name="lifetime">From now to <c>exp</c>.</param>
    /// <param name="pod">Binds it to a pod of this name; the uid is derived from the name.</param>
    public string Issue(string ns, string serviceAccount, string audience, TimeSpan lifetime, string? pod = null)
    {
        var now = _time.GetUtcNow();
        return Sign(WriteJson(json =>
        {
            json.WriteStartArray("aud"u8);
            json.WriteStringValue(audience);
            json.WriteEndArray();
            json.WriteNumber("exp"u8, (now + lifetime).ToUnixTimeSeconds());
            json.WriteNumber("iat"u8, now.ToUnixTimeSeconds());
            json.WriteString("iss"u8, Issuer);
            json.WriteString("jti"u8, Guid.NewGuid());
            json.WriteStartObject("kubernetes.io"u8);
            json.WriteString("namespace"u8, ns);
            if (pod is not null) WriteReference(json, "pod", pod, ns);
            WriteReference(json, "serviceaccount", serviceAccount, ns);
            json.WriteEndObject();
            json.WriteNumber("nbf"u8, now.ToUnixTimeSeconds());
            json.WriteString("sub"u8, $"system:serviceaccount:{ns}:{serviceAccount}");
        }));
    }

    /// <summary>The public keys of these issuers as a JWKS document: several while one replaces another.</summary>
    public static byte[] ToJwks(params ReadOnlySpan<TokenIssuer> issuers)
    {
        var keys = issuers.ToArray();
        return WriteJson(json =>
        {
            json.WriteStartArray("keys"u8);
            foreach (var issuer in keys) issuer.WriteKey(json);
            json.WriteEndArray();
        });
    }

    /// <summary>Writes the JWKS whole: a reader sees the old file or the new one, never a part.</summary>
    public static void WriteJwks(string path, params ReadOnlySpan<TokenIssuer> issuers)
    {
        var temporary = $"{path}.{Guid.NewGuid():N}.tmp";
        File.WriteAllBytes(temporary, ToJwks(issuers));
        File.Move(temporary, path, overwrite: true);
    }

    /// <summary>Signs any claims, with this issuer's algorithm and key id unless a header is given.</summary>
    internal string Sign(ReadOnlySpan<byte> claims, string? header = null)
    {
        header ??= $$"""{"alg":"{{(_key is RSA ? "RS256" : "ES256")}}","kid":"{{KeyId}}"}""";
        var signingInput = $"{Base64Url.EncodeToString(Encoding.UTF8.GetBytes(header))}.{Base64Url.EncodeToString(claims)}";
        var bytes = Encoding.ASCII.GetBytes(signingInput);
        byte[] signature;
        // Signing is kept to one thread: the framework promises nothing about one key used by two.
        lock (_key)
        {
            signature = _key is RSA rsa
                ? rsa.SignData(bytes, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1)
                : ((ECDsa)_key).SignData(bytes, HashAlgorithmName.SHA256);
        }

        return $"{signingInput}.{Base64Url.EncodeToString(signature)}";
    }

    public override string ToString() => $"{Issuer}, key {KeyId}";

    public void Dispose() => _key.Dispose();

    private void WriteKey(Utf8JsonWriter json)
    {
        json.WriteStartObject();
        json.WriteString("use"u8, "sig");
        json.WriteString("kid"u8, KeyId);
        if (_key is RSA rsa)
        {
            var parameters = rsa.ExportParameters(includePrivateParameters: false);
            json.WriteString("kty"u8, "RSA");
            json.WriteString("alg"u8, "RS256");
            json.WriteString("n"u8, Base64Url.EncodeToString(parameters.Modulus));
            json.WriteString("e"u8, Base64Url.EncodeToString(parameters.Exponent));
        }
        else
        {
            var parameters = ((ECDsa)_key).ExportParameters(includePrivateParameters: false);
            json.WriteString("kty"u8, "EC");
            json.WriteString("alg"u8, "ES256");
            json.WriteString("crv"u8, "P-256");
            json.WriteString("x"u8, Base64Url.EncodeToString(parameters.Q.X));
            json.WriteString("y"u8, Base64Url.EncodeToString(parameters.Q.Y));
        }

        json.WriteEndObject();
    }

    private static void WriteReference(Utf8JsonWriter json, string kind, string name, string ns)
    {
        json.WriteStartObject(kind);
        json.WriteString("name"u8, name);
        json.WriteString("uid"u8, new Guid(SHA256.HashData(Encoding.UTF8.GetBytes($"{kind}/{ns}/{name}")).AsSpan(0, 16)));
        json.WriteEndObject();
    }

    private static byte[] WriteJson(Action<Utf8JsonWriter> write)
    {
        using var stream = new MemoryStream();
        using (var json = new Utf8JsonWriter(stream))
        {
            json.WriteStartObject();
            write(json);
            json.WriteEndObject();
        }

        return stream.ToArray();
    }
}
