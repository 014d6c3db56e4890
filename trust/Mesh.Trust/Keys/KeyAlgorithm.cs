namespace Mesh.Trust.Keys;

/// <summary>The kinds of key that may sign certificates or be certified here.</summary>
public enum KeyAlgorithm
{
    /// <summary>ECDSA on NIST P-256 with SHA-256: the default for everything.</summary>
    EcP256,

    /// <summary>ECDSA on NIST P-384 with SHA-384.</summary>
    EcP384,

    /// <summary>RSA, 2048 bits, PKCS #1 v1.5 signatures with SHA-256.</summary>
    Rsa2048,

    /// <summary>RSA, 3072 bits, PKCS #1 v1.5 signatures with SHA-256.</summary>
    Rsa3072,

    /// <summary>RSA, 4096 bits, PKCS #1 v1.5 signatures with SHA-256.</summary>
    Rsa4096,
}
