using System.Security.Cryptography;

namespace Mesh.Identity.Tokens;

/// <summary>The signature algorithms accepted in tokens (RFC 7518 section 3.1). What is not here is refused, whatever the header says.</summary>
internal enum TokenAlgorithm
{
    RS256,
    RS384,
    RS512,
    PS256,
    PS384,
    PS512,
    ES256,
    ES384,
    ES512,
}

internal static class TokenAlgorithms
{
    internal static bool TryParse(ReadOnlySpan<byte> name, out TokenAlgorithm algorithm)
    {
        TokenAlgorithm? found = name switch
        {
            _ when name.SequenceEqual("RS256"u8) => TokenAlgorithm.RS256,
            _ when name.SequenceEqual("RS384"u8) => TokenAlgorithm.RS384,
            _ when name.SequenceEqual("RS512"u8) => TokenAlgorithm.RS512,
            _ when name.SequenceEqual("PS256"u8) => TokenAlgorithm.PS256,
            _ when name.SequenceEqual("PS384"u8) => TokenAlgorithm.PS384,
            _ when name.SequenceEqual("PS512"u8) => TokenAlgorithm.PS512,
            _ when name.SequenceEqual("ES256"u8) => TokenAlgorithm.ES256,
            _ when name.SequenceEqual("ES384"u8) => TokenAlgorithm.ES384,
            _ when name.SequenceEqual("ES512"u8) => TokenAlgorithm.ES512,
            _ => null,
        };
        algorithm = found.GetValueOrDefault();
        return found is not null;
    }

    internal static HashAlgorithmName Hash(this TokenAlgorithm algorithm) => algorithm switch
    {
        TokenAlgorithm.RS256 or TokenAlgorithm.PS256 or TokenAlgorithm.ES256 => HashAlgorithmName.SHA256,
        TokenAlgorithm.RS384 or TokenAlgorithm.PS384 or TokenAlgorithm.ES384 => HashAlgorithmName.SHA384,
        _ => HashAlgorithmName.SHA512,
    };

    internal static bool IsRsa(this TokenAlgorithm algorithm) => algorithm <= TokenAlgorithm.PS512;

    internal static RSASignaturePadding Padding(this TokenAlgorithm algorithm) =>
        algorithm <= TokenAlgorithm.RS512 ? RSASignaturePadding.Pkcs1 : RSASignaturePadding.Pss;
}
