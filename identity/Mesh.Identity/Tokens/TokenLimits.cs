namespace Mesh.Identity.Tokens;

/// <summary>Bounds on what a caller or a key server can make this service hold.</summary>
public static class TokenLimits
{
    /// <summary>Largest token looked at, in bytes. Kubernetes' own tokens are about 1 kB; the API server's request header limit is 1 MB.</summary>
    public const int MaxTokenBytes = 16 * 1024;

    /// <summary>Largest JWKS or discovery document read, in bytes.</summary>
    public const int MaxDocumentBytes = 256 * 1024;

    /// <summary>Most keys kept of one JWKS; a cluster that rotates daily publishes two or three.</summary>
    public const int MaxKeys = 64;

    /// <summary>Most keys tried for a token that names none.</summary>
    public const int MaxKeysTried = 4;
}
