using System.Collections.Concurrent;
using System.Security.Cryptography;

namespace Mesh.Identity.Tokens;

/// <summary>
/// One public key of a token issuer. Verifies from many threads: the framework promises nothing about one
/// <see cref="RSA"/> or <see cref="ECDsa"/> object used by two threads, so each verification borrows one of its own.
/// </summary>
internal sealed class TokenKey
{
    private readonly ConcurrentBag<AsymmetricAlgorithm> _idle = [];
    private readonly Func<AsymmetricAlgorithm> _create;
    private readonly TokenAlgorithm? _onlyAlgorithm;

    private TokenKey(string? keyId, TokenAlgorithm? onlyAlgorithm, Func<AsymmetricAlgorithm> create)
    {
        (KeyId, _onlyAlgorithm, _create) = (keyId, onlyAlgorithm, create);
        // Importing once here turns a key that cannot be imported into a fault of the document it came in.
        _idle.Add(create());
    }

    /// <summary>The JWK's <c>kid</c>, or null when it has none.</summary>
    internal string? KeyId { get; }

    /// <exception cref="CryptographicException">The parameters are no RSA key.</exception>
    internal static TokenKey FromRsa(string? keyId, TokenAlgorithm? onlyAlgorithm, RSAParameters parameters) =>
        new(keyId, onlyAlgorithm, () => RSA.Create(parameters));

    /// <exception cref="CryptographicException">The point is not on the curve.</exception>
    internal static TokenKey FromEc(string? keyId, TokenAlgorithm algorithm, ECParameters parameters) =>
        new(keyId, algorithm, () => ECDsa.Create(parameters));

    /// <summary>Whether a token with this <c>alg</c> may be checked with this key at all (RFC 8725 section 3.1).</summary>
    internal bool Fits(TokenAlgorithm algorithm) => _onlyAlgorithm is { } only ? only == algorithm : algorithm.IsRsa();

    internal bool Verify(TokenAlgorithm algorithm, ReadOnlySpan<byte> signingInput, ReadOnlySpan<byte> signature)
    {
        if (!Fits(algorithm)) return false;
        if (!_idle.TryTake(out var key)) key = _create();
        var valid = key switch
        {
            RSA rsa => rsa.VerifyData(signingInput, signature, algorithm.Hash(), algorithm.Padding()),
            // JOSE carries r and s side by side (RFC 7518 section 3.4), which is the framework's default form.
            ECDsa ecdsa => ecdsa.VerifyData(signingInput, signature, algorithm.Hash()),
            _ => false,
        };
        _idle.Add(key);
        return valid;
    }
}
