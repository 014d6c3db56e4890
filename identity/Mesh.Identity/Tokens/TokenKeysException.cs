namespace Mesh.Identity.Tokens;

/// <summary>The keys of a token issuer could not be read; the message says from where and why, in one line.</summary>
public sealed class TokenKeysException : Exception
{
    public TokenKeysException(string message) : base(message) { }
    public TokenKeysException(string message, Exception cause) : base(message, cause) { }
    public TokenKeysException() { }
}
