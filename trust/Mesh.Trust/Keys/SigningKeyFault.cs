namespace Mesh.Trust.Keys;

/// <summary>Why a text is not a private key we can sign with.</summary>
public enum SigningKeyFault
{
    None,
    TooLong,
    NotFound,
    Encrypted,
    Malformed,
    Unsupported,
}

/// <summary>One sentence for each <see cref="SigningKeyFault"/>.</summary>
public static class SigningKeyFaultTable
{
    public static string Sentence(this SigningKeyFault fault) => fault switch
    {
        SigningKeyFault.None => "the private key is usable",
        SigningKeyFault.TooLong => "the private key file is larger than 16 KiB",
        SigningKeyFault.NotFound => "no PEM block PRIVATE KEY, EC PRIVATE KEY or RSA PRIVATE KEY was found",
        SigningKeyFault.Encrypted => "the private key is encrypted; store it decrypted (openssl pkey -in key -out key), protected by file mode or Secret access",
        SigningKeyFault.Malformed => "the private key cannot be read",
        SigningKeyFault.Unsupported => "the private key is of a kind not supported here; use EC P-256, EC P-384 or RSA of 2048, 3072 or 4096 bits",
        _ => throw new ArgumentOutOfRangeException(nameof(fault)),
    };
}
