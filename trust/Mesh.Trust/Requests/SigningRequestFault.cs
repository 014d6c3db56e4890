namespace Mesh.Trust.Requests;

/// <summary>Why a certificate signing request is refused, before anybody asks what it asks for.</summary>
public enum SigningRequestFault
{
    None,
    Empty,
    TooLong,
    Malformed,
    UnsupportedVersion,
    UnsupportedKey,
    UnsupportedSignature,
    RepeatedExtension,
    TooManyNames,
    BadSignature,
}

/// <summary>One sentence for each <see cref="SigningRequestFault"/>. They may be shown to the requester: none holds what it sent.</summary>
public static class SigningRequestFaultTable
{
    public static string Sentence(this SigningRequestFault fault) => fault switch
    {
        SigningRequestFault.None => "the certificate signing request is well formed and signed by its own key",
        SigningRequestFault.Empty => "the certificate signing request is missing",
        SigningRequestFault.TooLong => "the certificate signing request is larger than 16 KiB",
        SigningRequestFault.Malformed => "the certificate signing request is not DER of a PKCS #10 CertificationRequest",
        SigningRequestFault.UnsupportedVersion => "the certificate signing request is not of version 1",
        SigningRequestFault.UnsupportedKey => "the key is of a kind not supported here; use EC P-256, EC P-384 or RSA of 2048, 3072 or 4096 bits",
        SigningRequestFault.UnsupportedSignature => "the certificate signing request is not signed with ECDSA or RSA PKCS #1 v1.5 and SHA-256, SHA-384 or SHA-512",
        SigningRequestFault.RepeatedExtension => "the certificate signing request asks for the same extension twice",
        SigningRequestFault.TooManyNames => "the certificate signing request asks for more than 16 names",
        SigningRequestFault.BadSignature => "the signature of the certificate signing request does not verify with its own key",
        _ => throw new ArgumentOutOfRangeException(nameof(fault)),
    };
}
