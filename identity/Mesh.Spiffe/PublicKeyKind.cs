namespace Mesh.Spiffe;

/// <summary>The public keys that this library can verify with.</summary>
public enum PublicKeyKind
{
    /// <summary>Any other: Ed25519 (not in the base library), an unnamed or compressed curve point, RSA below 2048 or above 8192 bits.</summary>
    Unsupported = 0,
    P256 = 1,
    P384 = 2,
    P521 = 3,
    Rsa = 4,
}
