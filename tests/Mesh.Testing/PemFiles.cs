using Mesh.Spiffe;
using Mesh.Spiffe.Files;

namespace Mesh.Testing;

/// <summary>An SVID and a bundle in a folder, in the file names of a <c>kubernetes.io/tls</c> Secret.</summary>
public sealed record PemFiles(string Certificate, string Key, string Bundle)
{
    public static PemFiles Write(string folder, X509Svid svid, TrustBundle bundle)
    {
        Directory.CreateDirectory(folder);
        var files = new PemFiles(Path.Combine(folder, "tls.crt"), Path.Combine(folder, "tls.key"), Path.Combine(folder, "ca.crt"));
        PrivateFile.WritePublic(files.Certificate, svid.ChainToPem());
        PrivateFile.Write(files.Key, svid.KeyToPem());
        PrivateFile.WritePublic(files.Bundle, bundle.ToPem());
        return files;
    }

    /// <summary>The authority's own certificate and key, and its root, as an issuer Secret has them.</summary>
    public static PemFiles Write(string folder, TestAuthority authority)
    {
        Directory.CreateDirectory(folder);
        var files = new PemFiles(Path.Combine(folder, "tls.crt"), Path.Combine(folder, "tls.key"), Path.Combine(folder, "ca.crt"));
        PrivateFile.WritePublic(files.Certificate, string.Concat(authority.Intermediates.Select(c => c.ToPem())) is { Length: > 0 } chain ? chain : authority.CertificatePem);
        PrivateFile.Write(files.Key, authority.KeyPem);
        PrivateFile.WritePublic(files.Bundle, authority.Bundle.ToPem());
        return files;
    }
}
