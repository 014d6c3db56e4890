using System.Security.Cryptography;
using System.Security.Cryptography.X509Certificates;
using Google.Protobuf;
using Mesh.Testing;

namespace Mesh.Identity.Tests;

/// <summary>Signing requests as the framework writes them.</summary>
internal static class Csr
{
    public static byte[] Create(AsymmetricAlgorithm key, string? uri = null, string? dns = null, string subject = "", Action<SubjectAlternativeNameBuilder>? more = null)
    {
        var name = new X500DistinguishedName(subject);
        var request = key is ECDsa ec ? new CertificateRequest(name, ec, HashAlgorithmName.SHA256) : new CertificateRequest(name, (RSA)key, HashAlgorithmName.SHA256, RSASignaturePadding.Pkcs1);
        if (more is not null)
        {
            var builder = new SubjectAlternativeNameBuilder();
            more(builder);
            request.CertificateExtensions.Add(builder.Build());
        }
        else if (uri is not null || dns is not null)
        {
            request.CertificateExtensions.Add(TestAuthority.AlternativeName(uri is null ? [] : [uri], dns is null ? [] : [dns], critical: false));
        }

        return request.CreateSigningRequest();
    }

    public static ByteString Bytes(byte[] der) => ByteString.CopyFrom(der);
}
